//! Families against the names and shapes that transformers really saves.
//!
//! `tests/fixtures/model/make_families.py` saves a tiny model of each type and writes beside every
//! tensor the role and layer that an independent table gives it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use weighbridge::model::{FAMILIES, Tag, understand, understand_with};
use weighbridge::terms::{Category, Dtype, HeadAxis, ModelMap, Role, TensorInfo};

/// One saved model.
struct Case {
    name: String,
    tensors: Vec<TensorInfo>,
    roles: Vec<(Role, Option<u32>)>,
    config: Value,
    /// Query heads, key heads, width; 0 where heads are not to be cut.
    heads: [u64; 3],
}

fn cases() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model/families");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| case(path)).collect()
}

fn case(path: &Path) -> Case {
    let value: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let rows = value["tensors"].as_object().unwrap();
    let numbers = |row: &Value| row.as_array().unwrap()[2..].iter().map(|n| n.as_u64().unwrap()).collect();
    let tensors = rows.iter().map(|(name, row)| tensor(name, numbers(row)));
    let roles = rows.values().map(|row| {
        let role = Role::from_name(row[0].as_str().unwrap()).unwrap();
        (role, row[1].as_u64().map(|layer| layer as u32))
    });
    Case {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        tensors: tensors.collect(),
        roles: roles.collect(),
        config: value["config"].clone(),
        heads: serde_json::from_value(value["heads"].clone()).unwrap(),
    }
}

fn tensor(name: &str, shape: Vec<u64>) -> TensorInfo {
    TensorInfo { name: name.into(), dtype: Dtype::F32, shape, file: "model.safetensors".into() }
}

#[test]
fn every_parameter_of_every_type_has_its_role() {
    let cases = cases();
    let types: std::collections::BTreeSet<_> =
        cases.iter().map(|case| case.config["model_type"].as_str().unwrap()).collect();
    assert!(types.len() >= 40, "{} model types", types.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let map = understand(&case.tensors, Some(&case.config));
        let model_type = case.config["model_type"].as_str().unwrap();
        if map.family != model_type {
            wrong.push(format!("{}: family {} for {model_type}", case.name, map.family));
        }
        for ((tensor, meaning), want) in case.tensors.iter().zip(&map.meanings).zip(&case.roles) {
            if (meaning.role, meaning.layer) != *want || meaning.guessed {
                let guessed = if meaning.guessed { " (guessed)" } else { "" };
                wrong.push(format!(
                    "{}: {} is {} {:?}{guessed}, not {} {:?}",
                    case.name, tensor.name, meaning.role, meaning.layer, want.0, want.1
                ));
            }
        }
        if !map.remarks.is_empty() {
            wrong.push(format!("{}: remarks {:?}", case.name, map.remarks));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_attention_block_is_cut_into_its_heads() {
    for case in cases() {
        let map = understand(&case.tensors, Some(&case.config));
        let [heads, key_heads, width] = case.heads;
        let layers: std::collections::BTreeSet<_> =
            case.roles.iter().filter_map(|(_, layer)| *layer).collect();
        let want: Vec<u32> = if heads == 0 { Vec::new() } else { layers.into_iter().collect() };
        let got: Vec<u32> = map.attention.iter().map(|block| block.layer).collect();
        assert_eq!(got, want, "{}: {:?}", case.name, map.remarks);
        for block in &map.attention {
            let parts = [&block.query, &block.key, &block.value, &block.output];
            for part in parts {
                assert_eq!((part.starts.len() as u64, part.width), (heads, width), "{}", case.name);
                let shape = &case.tensors[part.tensor].shape;
                let along = if part.axis == HeadAxis::Rows { shape[0] } else { shape[1] };
                assert!(part.starts.iter().all(|start| start + width <= along), "{}: {part:?}", case.name);
            }
            let different =
                |starts: &[u64]| starts.iter().collect::<std::collections::BTreeSet<_>>().len() as u64;
            assert_eq!(different(&block.query.starts), heads, "{}", case.name);
            assert_eq!(different(&block.key.starts), key_heads, "{}", case.name);
            assert_eq!(different(&block.value.starts), key_heads, "{}", case.name);
            assert_eq!(different(&block.output.starts), heads, "{}", case.name);
            covers_a_fused_projection(&case, &map);
        }
    }
}

/// In a fused projection, Q, K and V of all heads together are the whole of it, and nothing twice.
fn covers_a_fused_projection(case: &Case, map: &ModelMap) {
    for block in map.attention.iter().filter(|block| block.query.tensor == block.key.tensor) {
        let mut starts: Vec<u64> =
            [&block.query, &block.key, &block.value].iter().flat_map(|p| p.starts.clone()).collect();
        starts.sort();
        starts.dedup();
        let shape = &case.tensors[block.query.tensor].shape;
        let along = if block.query.axis == HeadAxis::Rows { shape[0] } else { shape[1] };
        assert_eq!(
            starts,
            (0..along / block.query.width).map(|i| i * block.query.width).collect::<Vec<_>>(),
            "{}",
            case.name
        );
    }
}

fn named(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).unwrap()
}

#[test]
fn orders_of_fused_projections() {
    // Starts of Q, K and V of the four query heads, in head widths, by each type's own source.
    for (name, query, key, value) in [
        ("gpt2", [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]),
        ("gpt_neox", [0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]),
        ("bloom", [0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]),
        ("falcon", [0, 1, 2, 3], [4, 4, 4, 4], [5, 5, 5, 5]),
        ("falcon-old", [0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]),
        ("falcon-new", [0, 1, 4, 5], [2, 2, 6, 6], [3, 3, 7, 7]),
        ("gpt_bigcode", [0, 1, 2, 3], [4, 4, 4, 4], [5, 5, 5, 5]),
        ("gpt_bigcode-mha", [0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]),
        ("phi3", [0, 1, 2, 3], [4, 4, 5, 5], [6, 6, 7, 7]),
        ("mpt", [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]),
        ("persimmon", [0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]),
        ("modernbert", [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]),
        ("deberta", [0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]),
    ] {
        let case = named(name);
        let block = &understand(&case.tensors, Some(&case.config)).attention[1];
        let in_widths = |starts: &[u64]| starts.iter().map(|start| start / 8).collect::<Vec<_>>();
        assert_eq!(in_widths(&block.query.starts), query, "{name}");
        assert_eq!(in_widths(&block.key.starts), key, "{name}");
        assert_eq!(in_widths(&block.value.starts), value, "{name}");
    }
    let llama = named("llama");
    let block = &understand(&llama.tensors, Some(&llama.config)).attention[0];
    assert_eq!(block.key.starts, [0, 0, 8, 8]);
    assert_eq!((block.query.axis, block.output.axis), (HeadAxis::Rows, HeadAxis::Columns));
    let gpt2 = named("gpt2");
    let map = understand(&gpt2.tensors, Some(&gpt2.config));
    assert_eq!(
        (map.attention[0].query.axis, map.attention[0].output.axis),
        (HeadAxis::Columns, HeadAxis::Rows)
    );
}

#[test]
fn norms_that_scale_the_input_are_named_where_they_do() {
    for (name, norm) in [
        ("gpt2", Some("transformer.h.1.ln_1.weight")),
        ("llama", Some("model.layers.1.input_layernorm.weight")),
        ("falcon-new", Some("transformer.h.1.ln_attn.weight")),
        ("t5", Some("encoder.block.1.layer.0.layer_norm.weight")),
        ("bert", None),
        ("gemma2", None),
        ("olmo2", None),
    ] {
        let case = named(name);
        let map = understand(&case.tensors, Some(&case.config));
        let got = map.attention[1].input_norm.map(|at| &*case.tensors[at].name);
        assert_eq!(got, norm, "{name}");
    }
}

#[test]
fn wrappers_and_absent_configurations_change_no_role() {
    for case in cases() {
        let plain = understand(&case.tensors, Some(&case.config));
        for prefix in ["module.", "_orig_mod.", "base_model.model.", "module._orig_mod.net."] {
            let wrapped: Vec<TensorInfo> = case
                .tensors
                .iter()
                .map(|tensor| TensorInfo {
                    name: format!("{prefix}{}", tensor.name).into(),
                    ..tensor.clone()
                })
                .collect();
            let map = understand(&wrapped, Some(&case.config));
            assert_eq!(map.meanings, plain.meanings, "{} with {prefix}", case.name);
            assert_eq!(map.attention, plain.attention, "{} with {prefix}", case.name);
        }
        let bare = understand(&case.tensors, None);
        assert_eq!(bare.meanings, plain.meanings, "{} without configuration", case.name);
        assert_eq!(bare.attention, []);
    }
}

#[test]
fn adapters_on_any_family() {
    for case in cases() {
        let plain = understand(&case.tensors, Some(&case.config));
        let mut names = Vec::new();
        let mut want = Vec::new();
        for (tensor, meaning) in case.tensors.iter().zip(&plain.meanings) {
            let is_host = tensor.shape.len() == 2
                && matches!(meaning.category, Category::Attention | Category::FeedForward);
            let Some(module) = tensor.name.strip_suffix(".weight").filter(|_| is_host) else { continue };
            for (end, role, shape) in [
                ("lora_A.weight", Role::LoraA, vec![4, tensor.shape[1]]),
                ("lora_B.default.weight", Role::LoraB, vec![tensor.shape[0], 4]),
            ] {
                names.push(TensorInfo {
                    shape,
                    ..self::tensor(&format!("base_model.model.{module}.{end}"), vec![])
                });
                want.push((role, meaning.layer, meaning.category));
            }
        }
        let map = understand(&names, None);
        let got: Vec<_> = map.meanings.iter().map(|m| (m.role, m.layer, m.category)).collect();
        assert_eq!(got, want, "{}", case.name);
        assert!(map.meanings.iter().all(|meaning| !meaning.guessed), "{}", case.name);
    }
}

#[test]
fn a_real_adapter_and_its_rank() {
    let a = tensor("base_model.model.transformer.h.1.attn.c_attn.lora_A.weight", vec![4, 48]);
    let b = tensor("base_model.model.transformer.h.1.attn.c_attn.lora_B.weight", vec![144, 4]);
    let config: Value = serde_json::json!({"adapter_config": {"r": 4, "rank_pattern": {}}});
    let map = understand(&[a.clone(), b.clone()], Some(&config));
    assert_eq!((map.meanings[0].role, map.meanings[1].role), (Role::LoraA, Role::LoraB));
    assert!(
        map.meanings
            .iter()
            .all(|m| m.layer == Some(1) && m.category == Category::Attention && !m.inputs_first)
    );
    assert_eq!(map.remarks, Vec::<String>::new());
    let config: Value = serde_json::json!({"adapter_config": {"r": 8}});
    assert!(understand(&[a, b], Some(&config)).remarks[0].contains("rank is 8"));
}

#[test]
fn shapes_that_deny_the_configuration_are_remarked() {
    let with = |name: &str, changes: &[(&str, Value)]| {
        let mut case = named(name);
        for (key, value) in changes {
            case.config[*key] = value.clone();
        }
        understand(&case.tensors, Some(&case.config))
    };
    for (name, key, value, words) in [
        ("llama", "num_attention_heads", 5, "5 heads of 6"),
        ("llama", "num_key_value_heads", 3, "3 heads of 8"),
        ("llama", "hidden_size", 64, "width is 64"),
        ("llama", "vocab_size", 99, "vocabulary 99"),
        ("llama", "num_hidden_layers", 9, "configuration says 9"),
        ("gpt2", "n_head", 7, "7 query and 7 key heads"),
        ("falcon-new", "num_kv_heads", 3, "3 key heads"),
        ("gpt2", "n_head", 1_000_000_000_000_u64, "1000000000000 heads"),
    ] {
        let map = with(name, &[(key, value.into()), ("head_dim", Value::Null)]);
        let told = map.remarks.join("\n");
        assert!(told.contains(words), "{name} with {key} = {value}: {told:?}");
        assert_eq!(map.meanings, with(name, &[]).meanings);
        assert_eq!(map.attention.is_empty(), words.contains("heads"), "{name} with {key} = {value}");
    }
    let foreign = with("llama", &[("model_type", "gpt2".into())]);
    assert!(foreign.remarks[0].contains("model_type gpt2"), "{:?}", foreign.remarks);
    assert_eq!(foreign.family, "llama");
}

#[test]
fn tied_pairs_by_the_configuration() {
    let gpt2 = named("gpt2");
    let map = understand(&gpt2.tensors, Some(&gpt2.config));
    assert_eq!(map.tied, []);
    assert_eq!(map.tied_absent, [("lm_head.weight".to_string(), "transformer.wte.weight".to_string())]);

    let mut both = named("gpt2");
    let wte = both.tensors.iter().position(|tensor| &*tensor.name == "transformer.wte.weight").unwrap();
    both.tensors.push(tensor("lm_head.weight", both.tensors[wte].shape.clone()));
    let map = understand(&both.tensors, Some(&both.config));
    assert_eq!((map.tied, map.tied_absent), (vec![(both.tensors.len() - 1, wte)], vec![]));
    both.config["tie_word_embeddings"] = false.into();
    assert_eq!(understand(&both.tensors, Some(&both.config)).tied, []);
    both.config["tie_word_embeddings"] = true.into();
    both.tensors.last_mut().unwrap().shape[0] += 1;
    assert!(understand(&both.tensors, Some(&both.config)).remarks[0].contains("shapes differ"));

    let absent = |name: &str| {
        let case = named(name);
        let pairs = understand(&case.tensors, Some(&case.config)).tied_absent;
        pairs.into_iter().map(|(absent, same)| format!("{absent} = {same}")).collect::<Vec<_>>()
    };
    assert_eq!(absent("bert"), ["cls.predictions.decoder.weight = bert.embeddings.word_embeddings.weight"]);
    assert_eq!(absent("bert-base"), Vec::<String>::new());
    assert_eq!(absent("llama"), Vec::<String>::new());
    assert_eq!(absent("qwen2-tied"), ["lm_head.weight = model.embed_tokens.weight"]);
    assert!(absent("t5").contains(&"lm_head.weight = shared.weight".to_string()));
}

#[test]
fn nanogpt_is_told_from_gpt2_by_its_shapes() {
    let nano: Vec<TensorInfo> = [
        ("_orig_mod.transformer.wte.weight", vec![61, 32]),
        ("_orig_mod.transformer.wpe.weight", vec![16, 32]),
        ("_orig_mod.transformer.h.0.ln_1.weight", vec![32]),
        ("_orig_mod.transformer.h.0.attn.c_attn.weight", vec![96, 32]),
        ("_orig_mod.transformer.h.0.attn.c_proj.weight", vec![32, 32]),
        ("_orig_mod.transformer.h.0.mlp.c_fc.weight", vec![128, 32]),
        ("_orig_mod.lm_head.weight", vec![61, 32]),
    ]
    .into_iter()
    .map(|(name, shape)| tensor(name, shape))
    .collect();
    let config: Value = serde_json::json!({"n_head": 4, "n_layer": 1, "n_embd": 32});
    let map = understand(&nano, Some(&config));
    assert_eq!(map.family, "nanogpt");
    assert!(map.meanings.iter().all(|meaning| !meaning.inputs_first && !meaning.guessed));
    assert_eq!(map.attention[0].query.axis, HeadAxis::Rows);
    let gpt2 = named("gpt2");
    let meanings = understand(&gpt2.tensors, Some(&gpt2.config)).meanings;
    let stored: BTreeMap<Arc<str>, bool> = gpt2
        .tensors
        .iter()
        .zip(meanings)
        .map(|(tensor, meaning)| (tensor.name.clone(), meaning.inputs_first))
        .collect();
    assert!(stored["transformer.h.0.mlp.c_fc.weight"] && stored["transformer.h.0.attn.c_proj.weight"]);
    assert!(!stored["transformer.wte.weight"] && !stored["transformer.h.0.ln_1.weight"]);
}

#[test]
fn names_of_other_libraries() {
    let shapes: Vec<TensorInfo> = [
        // torchtitan and the original Llama
        ("tok_embeddings.weight", vec![61, 32]),
        ("layers.0.attention.wq.weight", vec![32, 32]),
        ("layers.0.attention.wk.weight", vec![16, 32]),
        ("layers.0.attention.wv.weight", vec![16, 32]),
        ("layers.0.attention.wo.weight", vec![32, 32]),
        ("layers.0.feed_forward.w1.weight", vec![48, 32]),
        ("layers.0.feed_forward.w2.weight", vec![32, 48]),
        ("layers.0.feed_forward.w3.weight", vec![48, 32]),
        ("layers.0.attention_norm.weight", vec![32]),
        ("layers.0.ffn_norm.weight", vec![32]),
        ("norm.weight", vec![32]),
        ("output.weight", vec![61, 32]),
    ]
    .into_iter()
    .map(|(name, shape)| tensor(name, shape))
    .collect();
    let params: Value = serde_json::json!({"dim": 32, "n_heads": 4, "n_kv_heads": 2, "n_layers": 1});
    let map = understand(&shapes, Some(&params));
    let roles: Vec<&str> = map.meanings.iter().map(|meaning| meaning.role.name()).collect();
    let want =
        "token_embedding attn_q attn_k attn_v attn_out mlp_gate mlp_down mlp_up norm norm norm lm_head";
    assert_eq!(roles.join(" "), want);
    assert_eq!((map.attention[0].key.starts.clone(), map.remarks.len()), (vec![0, 0, 8, 8], 0));
}

#[test]
fn unknown_names_are_guessed_and_say_so() {
    let shapes: Vec<(&str, Vec<u64>, Role, Option<u32>)> = vec![
        ("embedding.weight", vec![100, 8], Role::TokenEmbedding, None),
        ("pos_emb", vec![16, 8], Role::PositionEmbedding, None),
        ("tower.blocks.3.mha.to_q.weight", vec![8, 8], Role::AttnQ, Some(3)),
        ("tower.blocks.3.mha.to_kv.weight", vec![16, 8], Role::AttnQkv, Some(3)),
        ("tower.blocks.3.mha.to_out.0.weight", vec![8, 8], Role::AttnOut, Some(3)),
        ("tower.blocks.3.mha.to_out.0.bias", vec![8], Role::Bias, Some(3)),
        ("tower.blocks.3.ff_ln.weight", vec![8], Role::Norm, Some(3)),
        ("tower.blocks.3.mlp.proj.weight", vec![8, 32], Role::MlpDown, Some(3)),
        ("tower.blocks.3.moe.experts.2.w2.weight", vec![8, 32], Role::ExpertDown, Some(3)),
        ("stem.conv.weight", vec![8, 3, 3, 3], Role::Conv, None),
        ("stem.scale", vec![8], Role::Other, None),
        ("whatever.weight", vec![5, 7], Role::Other, None),
        ("x.lora_A.weight", vec![2, 7], Role::LoraA, None),
    ];
    let tensors: Vec<TensorInfo> =
        shapes.iter().map(|(name, shape, ..)| tensor(name, shape.clone())).collect();
    let map = understand(&tensors, None);
    assert_eq!(map.family, "unknown");
    for ((name, _, role, layer), meaning) in shapes.iter().zip(&map.meanings) {
        assert_eq!((meaning.role, meaning.layer, meaning.guessed), (*role, *layer, true), "{name}");
    }
    assert_eq!(understand(&[], None).meanings, []);
}

#[test]
fn a_family_of_the_users_own() {
    let family: weighbridge::model::Family = serde_json::from_value(serde_json::json!({
        "name": "ours", "model_types": ["ours_v1"], "inputs_first": true,
        "parts": [{"names": "tower.#.mix", "role": "attn_qkv", "tag": "qkv_groups"},
                  {"names": "tower.#.back", "role": "attn_out"},
                  {"names": "tower.#.pre", "role": "norm", "tag": "input_norm"}],
        "tied": [{"name": "out", "same_as": "in"}]}))
    .unwrap();
    let tensors = [
        tensor("tower.2.mix.weight", vec![8, 16]),
        tensor("tower.2.back.weight", vec![8, 8]),
        tensor("tower.2.pre.weight", vec![8]),
    ];
    let config: Value = serde_json::json!({"n_heads": 4, "n_kv_heads": 2, "n_layers": 3});
    let map = understand_with(&tensors, Some(&config), &[family]);
    assert_eq!(map.family, "ours");
    let block = &map.attention[0];
    assert_eq!((block.layer, block.query.width, block.input_norm), (2, 2, Some(2)));
    assert_eq!((block.key.starts.clone(), block.key.axis), (vec![4, 4, 12, 12], HeadAxis::Columns));
    let wrong = serde_json::from_value::<weighbridge::model::Family>(serde_json::json!({
        "name": "x", "parts": [{"names": "a", "role": "attn_z"}]}));
    assert!(wrong.unwrap_err().to_string().contains("attn_z: not one of token_embedding"));
}

#[test]
fn tables_are_sound() {
    let mut types = BTreeMap::new();
    for family in FAMILIES {
        assert!(!family.name.is_empty() && !family.parts.is_empty());
        for model_type in family.model_types {
            assert_eq!(types.insert(*model_type, family.name), None, "{model_type} twice");
        }
        for part in family.parts {
            assert!(
                part.names.split('.').all(|c| !c.is_empty() && (c == "#" || !c.contains('#'))),
                "{}",
                part.names
            );
        }
    }
}

/// The table of `docs/families.md`.
#[test]
fn the_table_of_families_is_the_list_of_families() {
    let mut table = "| family | model types | matrices | attention |\n|---|---|---|---|\n".to_string();
    for family in FAMILIES {
        let tags: Vec<_> = family.parts.iter().map(|part| part.tag).collect();
        let attention =
            [(Tag::QkvBlocks, "fused, in blocks"), (Tag::QkvGroups, "fused, grouped by key head")];
        let mut attention: Vec<&str> =
            attention.iter().filter(|(tag, _)| tags.contains(tag)).map(|(_, words)| *words).collect();
        if family.parts.iter().any(|part| part.role == Role::AttnQ && part.tag == Tag::Plain) {
            attention.insert(0, "apart");
        }
        let attention = if attention.is_empty() { "none".to_string() } else { attention.join("; ") };
        let stored = if family.inputs_first { "(inputs, outputs)" } else { "(outputs, inputs)" };
        let types = family.model_types.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ");
        table += &format!("| `{}` | {types} | {stored} | {attention} |\n", family.name);
    }
    crate::doc::check("docs/families.md", "made from the registry", &table);

    let mut rows: BTreeMap<String, (Vec<String>, usize)> = BTreeMap::new();
    for case in cases() {
        let model_type = case.config["model_type"].as_str().unwrap().to_string();
        let row = rows.entry(model_type.clone()).or_default();
        row.0.extend((case.name != model_type).then(|| case.name.clone()));
        row.1 += case.tensors.len();
    }
    let mut tried = "| model type | tensors checked |\n|---|---|\n".to_string();
    for (model_type, (more, tensors)) in rows {
        let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
        tried += &format!("| `{model_type}`{more} | {tensors} |\n");
    }
    crate::doc::check("docs/families.md", "cases", &tried);
}
