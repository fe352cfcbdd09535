//! Whole checkpoints in memory: sound, sick, and cut every way that families cut heads.

use std::path::PathBuf;
use std::sync::Arc;

use faer::Mat;

use crate::measure::kernels::noise::gaussian;
use crate::measure::{Plan, Weighed, weigh};
use crate::terms::{
    AttentionParts, BlockSource, Category, Dtype, HeadAxis, HeadPart, Meaning, ModelMap, Reason, Role,
    Samples, SourceError, Subject, TensorInfo, TensorReading, Tier, TrainerState,
};

/// A checkpoint of f32 or f64 tensors.
#[derive(Default)]
pub(super) struct Memory {
    infos: Vec<TensorInfo>,
    data: Vec<Vec<u8>>,
    meanings: Vec<Meaning>,
    pub(super) attention: Vec<AttentionParts>,
}

impl Memory {
    pub(super) fn push(&mut self, role: Role, layer: Option<u32>, shape: &[u64], values: &[f64]) -> usize {
        self.push_named(&format!("t{}", self.infos.len()), role, layer, shape, values)
    }

    pub(super) fn push_named(
        &mut self,
        name: &str,
        role: Role,
        layer: Option<u32>,
        shape: &[u64],
        values: &[f64],
    ) -> usize {
        assert_eq!(shape.iter().product::<u64>() as usize, values.len());
        self.infos.push(TensorInfo {
            name: Arc::from(name),
            dtype: Dtype::F64,
            shape: shape.to_vec(),
            file: PathBuf::from("memory"),
        });
        self.data.push(values.iter().flat_map(|x| x.to_le_bytes()).collect());
        let inputs_first = false;
        self.meanings.push(Meaning { role, category: Category::Other, layer, guessed: false, inputs_first });
        self.infos.len() - 1
    }

    pub(super) fn store_inputs_first(&mut self, tensor: usize) {
        self.meanings[tensor].inputs_first = true;
    }

    pub(super) fn map(&self) -> ModelMap {
        ModelMap {
            family: "memory".to_owned(),
            meanings: self.meanings.clone(),
            attention: self.attention.clone(),
            tied: Vec::new(),
            tied_absent: Vec::new(),
            remarks: Vec::new(),
        }
    }

    pub(super) fn weigh(&self) -> Weighed {
        self.weigh_with(&Plan { threads: 2, ..Plan::default() })
    }

    pub(super) fn weigh_with(&self, plan: &Plan) -> Weighed {
        let weighed = weigh(self, &self.map(), None, &TrainerState::default(), plan, &());
        assert_eq!(weighed.problems, []);
        weighed
    }
}

impl BlockSource for Memory {
    fn tensors(&self) -> &[TensorInfo] {
        &self.infos
    }

    fn read(&self, tensor: usize, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        buffer.copy_from_slice(&self.data[tensor][offset as usize..offset as usize + buffer.len()]);
        Ok(())
    }
}

pub(super) fn close(got: f64, want: f64, bound: f64) {
    assert!((got - want).abs() <= bound * want.abs().max(1e-12), "got {got}, want {want}");
}

fn value(tensor: &TensorReading, metric: &str) -> f64 {
    *tensor.samples.get(metric).unwrap_or_else(|| panic!("{metric}: {:?}", tensor.absent.get(metric)))
}

fn matrix(rows: usize, columns: usize, values: &[f64]) -> Mat<f64> {
    Mat::from_fn(rows, columns, |i, j| values[i * columns + j])
}

#[test]
fn spectra_are_those_of_a_decomposition() {
    for (rows, columns) in [(90, 40), (40, 90), (70, 70), (3, 5)] {
        let mut memory = Memory::default();
        let values = gaussian(rows * columns, 31);
        memory.push(Role::MlpUp, Some(0), &[rows as u64, columns as u64], &values);
        let weighed = memory.weigh();
        let tensor = &weighed.tensors[0];
        let s = matrix(rows, columns, &values).singular_values().unwrap();
        let total: f64 = s.iter().map(|s| s * s).sum();
        close(value(tensor, "frobenius_norm"), total.sqrt(), 1e-12);
        close(value(tensor, "spectral_norm"), s[0], 1e-12);
        close(value(tensor, "stable_rank"), total / (s[0] * s[0]), 1e-12);
        let fourth: f64 = s.iter().map(|s| s.powi(4)).sum();
        close(value(tensor, "participation_ratio"), total * total / fourth, 1e-12);
        close(value(tensor, "smallest_singular_value"), s[s.len() - 1], 1e-6);
        assert_eq!(value(tensor, "numerical_rank"), rows.min(columns) as f64);
    }
}

#[test]
fn a_deficient_matrix_keeps_its_rank_and_entropy() {
    // rank 3 with 1e-9 of noise: below what a Gram matrix can see, above what f64 can
    let (rows, columns) = (200, 120);
    let (left, right) = (gaussian(rows * 3, 1), gaussian(columns * 3, 2));
    let noise = gaussian(rows * columns, 3);
    let values: Vec<f64> = (0..rows * columns)
        .map(|at| {
            let (i, j) = (at / columns, at % columns);
            (0..3).map(|r| left[i * 3 + r] * right[j * 3 + r]).sum::<f64>() + 1e-9 * noise[at]
        })
        .collect();
    let mut memory = Memory::default();
    memory.push(Role::MlpUp, Some(0), &[rows as u64, columns as u64], &values);
    let weighed = memory.weigh();
    let tensor = &weighed.tensors[0];
    let s = matrix(rows, columns, &values).singular_values().unwrap();
    let total: f64 = s.iter().sum();
    let entropy: f64 = s.iter().map(|s| s / total).map(|p| -p * p.ln()).sum();
    assert_eq!(value(tensor, "numerical_rank"), 3.0);
    close(value(tensor, "effective_rank"), entropy.exp(), 1e-9);
    close(value(tensor, "smallest_singular_value"), s[s.len() - 1], 1e-4);
    close(
        value(tensor, "alpha_hill"),
        {
            let half: Vec<f64> = s[..60].iter().map(|x| (x / s[59]).ln() * 2.0).collect();
            1.0 + 60.0 / half.iter().sum::<f64>()
        },
        1e-6,
    );
}

#[test]
fn principal_components_survive_columns_whose_mean_drowns_their_spread() {
    let (rows, columns) = (64, 80);
    for (rows, columns) in [(rows, columns), (columns * 2, rows)] {
        let noise = gaussian(rows * columns, 4);
        let shifted: Vec<f64> = noise.iter().map(|x| 1e3 + 1e-3 * x).collect();
        let mut memory = Memory::default();
        memory.push(Role::MlpUp, None, &[rows as u64, columns as u64], &noise);
        memory.push(Role::MlpUp, None, &[rows as u64, columns as u64], &shifted);
        let weighed = memory.weigh();
        let [plain, shifted] = &weighed.tensors[..] else { panic!() };
        for metric in ["pca_first_component_ratio", "pca_components_90"] {
            close(value(shifted, metric), value(plain, metric), 1e-5);
        }
    }
}

/// Two query heads of width 4 over a model of width 10, with one shared key head.
fn heads_of(samples: impl Fn(&Memory) -> AttentionParts, memory: &mut Memory) -> Vec<Samples> {
    let parts = samples(memory);
    memory.attention.push(parts);
    let weighed = memory.weigh();
    let heads = weighed.subjects.iter().filter(|s| matches!(s.subject, Subject::Head { .. }));
    heads.map(|head| head.samples.clone()).collect()
}

fn part(tensor: usize, axis: HeadAxis, starts: &[u64]) -> HeadPart {
    HeadPart { tensor, axis, starts: starts.to_vec(), width: 4 }
}

#[test]
fn heads_are_the_same_however_they_lie() {
    let (d, w) = (10, 4);
    let [q, k, v] = [1, 2, 3].map(|seed| gaussian(d * 2 * w, seed));
    let o = gaussian(2 * w * d, 4);
    let gain = gaussian(d, 5);
    let transpose = |values: &[f64], rows: usize, columns: usize| -> Vec<f64> {
        (0..rows * columns).map(|at| values[(at % rows) * columns + at / rows]).collect()
    };
    // stored (inputs, outputs), each projection by itself
    let mut first = Memory::default();
    let [tq, tk, tv] = [&q, &k, &v].map(|x| first.push(Role::AttnQ, Some(0), &[10, 8], x));
    let to = first.push(Role::AttnOut, Some(0), &[8, 10], &o);
    let tg = first.push(Role::Norm, Some(0), &[10], &gain);
    let inputs_first = heads_of(
        |_| AttentionParts {
            layer: 0,
            query: part(tq, HeadAxis::Columns, &[0, 4]),
            key: part(tk, HeadAxis::Columns, &[4, 4]),
            value: part(tv, HeadAxis::Columns, &[0, 0]),
            output: part(to, HeadAxis::Rows, &[0, 4]),
            input_norm: Some(tg),
        },
        &mut first,
    );
    // stored (outputs, inputs), Q, K and V one above the other
    let fused: Vec<f64> = [&q, &k, &v].iter().flat_map(|x| transpose(x, d, 2 * w)).collect();
    let mut second = Memory::default();
    let tf = second.push(Role::AttnQkv, Some(0), &[24, 10], &fused);
    let to = second.push(Role::AttnOut, Some(0), &[10, 8], &transpose(&o, 2 * w, d));
    let tg = second.push(Role::Norm, Some(0), &[10], &gain);
    let outputs_first = heads_of(
        |_| AttentionParts {
            layer: 0,
            query: part(tf, HeadAxis::Rows, &[0, 4]),
            key: part(tf, HeadAxis::Rows, &[12, 12]),
            value: part(tf, HeadAxis::Rows, &[16, 16]),
            output: part(to, HeadAxis::Columns, &[0, 4]),
            input_norm: Some(tg),
        },
        &mut second,
    );
    assert_eq!(inputs_first.len(), 2);
    for (a, b) in inputs_first.iter().zip(&outputs_first) {
        assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
        assert_eq!(a.len(), 14);
        a.iter().for_each(|(name, want)| close(b[name], *want, 1e-10));
    }
    // head 1 by forming everything
    let cut = |x: &[f64], start: usize| Mat::from_fn(d, w, |i, j| x[i * 2 * w + start + j]);
    let (wq, wk, wv) = (cut(&q, 4), cut(&k, 4), cut(&v, 0));
    let wo = Mat::from_fn(w, d, |i, j| o[(4 + i) * d + j]);
    let s = (&wq * wk.transpose()).singular_values().unwrap();
    let head = &inputs_first[1];
    close(head["qk_spectral_norm"], s[0], 1e-10);
    let total: f64 = s.iter().map(|s| s * s).sum();
    close(head["qk_norm"], total.sqrt(), 1e-10);
    close(head["qk_logit_std"], (total / 4.0).sqrt(), 1e-10);
    close(head["ov_norm"], (&wv * &wo).norm_l2(), 1e-10);
    let fold = |x: &Mat<f64>| Mat::from_fn(d, w, |i, j| x[(i, j)] * gain[i]);
    let folded = (fold(&wq) * fold(&wk).transpose()).singular_values().unwrap();
    close(head["qk_spectral_norm_with_gain"], folded[0], 1e-10);
    close(head["ov_norm_with_gain"], (fold(&wv) * &wo).norm_l2(), 1e-10);
}

#[test]
fn a_sick_head_costs_itself_alone() {
    let mut memory = Memory::default();
    let mut q = gaussian(80, 1);
    q[3] = f64::NAN;
    let tq = memory.push(Role::AttnQ, Some(0), &[8, 10], &q);
    let others = [2, 3].map(|seed| memory.push(Role::AttnK, Some(0), &[8, 10], &gaussian(80, seed)));
    let to = memory.push(Role::AttnOut, Some(0), &[10, 8], &gaussian(80, 4));
    memory.attention.push(AttentionParts {
        layer: 0,
        query: part(tq, HeadAxis::Rows, &[0, 4]),
        key: part(others[0], HeadAxis::Rows, &[0, 4]),
        value: part(others[1], HeadAxis::Rows, &[0, 4]),
        output: part(to, HeadAxis::Columns, &[0, 4]),
        input_norm: None,
    });
    let weighed = memory.weigh();
    let of = |subject: Subject| weighed.subjects.iter().find(|s| s.subject == subject).unwrap();
    let sick = of(Subject::Head { layer: 0, head: 0 });
    assert_eq!(sick.absent["q_norm"], Reason::NotFinite);
    assert_eq!(sick.absent["qk_norm"], Reason::NotFinite);
    assert!(sick.samples.contains_key("v_norm") && sick.samples.contains_key("ov_norm"));
    assert!(of(Subject::Head { layer: 0, head: 1 }).samples.contains_key("qk_spectral_entropy"));
    assert_eq!(of(Subject::Layer(0)).absent["ward_clusters"], Reason::NotFinite);
}

#[test]
fn ranges_that_do_not_fit_are_a_reason() {
    let mut memory = Memory::default();
    let t = memory.push(Role::AttnQkv, Some(0), &[8, 10], &gaussian(80, 1));
    let beyond = part(t, HeadAxis::Rows, &[0, 6]);
    let all = || beyond.clone();
    memory.attention.push(AttentionParts {
        layer: 3,
        query: all(),
        key: all(),
        value: all(),
        output: all(),
        input_norm: None,
    });
    let weighed = memory.weigh();
    assert_eq!(weighed.subjects.len(), 2, "the layer and the model");
    assert_eq!(weighed.subjects[0].subject, Subject::Layer(3));
    assert!(matches!(weighed.subjects[0].absent["ward_clusters"], Reason::NotApplicable(_)));
}

#[test]
fn every_metric_of_every_sick_tensor_has_a_value_or_a_reason() {
    let mut memory = Memory::default();
    let normal = gaussian(400, 8);
    let with = |at: usize, x: f64| {
        let mut values = normal.clone();
        values[at] = x;
        values
    };
    let rank_one: Vec<f64> = (0..400).map(|i| normal[i / 20] * normal[i % 20]).collect();
    let wide: Vec<f64> =
        normal.iter().enumerate().map(|(i, x)| if i % 2 == 0 { x * 1e30 } else { x * 1e-30 }).collect();
    let huge: Vec<f64> = normal.iter().map(|x| x * 1e200).collect();
    let tiny: Vec<f64> = normal.iter().map(|x| x * 1e-310).collect();
    for role in [Role::MlpUp, Role::TokenEmbedding, Role::PositionEmbedding, Role::Router, Role::LmHead] {
        for values in [
            with(7, f64::NAN),
            with(9, f64::INFINITY),
            vec![0.0; 400],
            vec![3.0; 400],
            rank_one.clone(),
            wide.clone(),
            huge.clone(),
            tiny.clone(),
        ] {
            memory.push(role, Some(1), &[20, 20], &values);
        }
        memory.push(role, Some(1), &[1, 400], &normal);
        memory.push(role, Some(1), &[400, 1], &normal);
        memory.push(role, Some(1), &[0, 20], &[]);
        memory.push(role, Some(1), &[20, 0], &[]);
        memory.push(role, Some(1), &[2, 10, 20], &normal);
        memory.push(role, Some(1), &[4, 4, 5, 5], &normal);
        memory.push(role, Some(1), &[], &[1.0]);
        memory.push(role, Some(1), &[400], &normal);
    }
    let weighed = memory.weigh();
    for tensor in &weighed.tensors {
        let role = tensor.facts.meaning.role;
        let table = matches!(role, Role::TokenEmbedding | Role::LmHead).then_some(super::embeddings::DEFS);
        let positions = (role == Role::PositionEmbedding).then_some(super::positions::DEFS);
        let families = [Some(super::spectrum::DEFS), table, positions];
        for def in families.into_iter().flatten().flatten() {
            let (has, lacks) = (tensor.samples.get(def.name), tensor.absent.contains_key(def.name));
            assert!(has.is_some() != lacks, "{} {}: {has:?} {lacks}", tensor.facts.name, def.name);
        }
        assert!(tensor.samples.values().all(|value| value.is_finite()), "{tensor:?}");
    }
    let [.., huge, tiny] = &weighed.tensors[..8] else { panic!() };
    close(value(huge, "spectral_norm") / 1e200, value(tiny, "spectral_norm") / 1e-310, 1e-3);
    close(value(huge, "effective_rank"), value(tiny, "effective_rank"), 1e-3);
}

#[test]
fn threads_change_nothing() {
    let mut memory = Memory::default();
    for seed in 0..6 {
        memory.push(Role::MlpUp, Some(0), &[60, 40], &gaussian(2400, seed));
    }
    let with = |threads| memory.weigh_with(&Plan { threads, ..Plan::default() });
    assert_eq!(with(1), with(3));
}

/// What is left is the same to the last bit.
#[test]
fn spectra_alone_leave_the_rest_out() {
    let mut memory = Memory::default();
    memory.push(Role::MlpUp, Some(0), &[80, 60], &gaussian(4800, 1));
    memory.push(Role::TokenEmbedding, None, &[90, 70], &gaussian(6300, 2));
    memory.push(Role::MlpDown, Some(0), &[70, 90], &gaussian(6300, 3));
    let all = memory.weigh();
    let spectra = memory.weigh_with(&Plan { spectra_alone: true, ..Plan::default() });
    let left_out: Vec<_> = all.tensors[1]
        .samples
        .keys()
        .filter(|name| !spectra.tensors[1].samples.contains_key(*name))
        .collect();
    assert!(
        left_out.contains(&&"pca_components_90") && left_out.contains(&&"embedding_mean_cosine"),
        "{left_out:?}"
    );
    assert!(!left_out.contains(&&"alpha_fit") && !left_out.contains(&&"spectral_norm"), "{left_out:?}");
    for (tensor, whole) in spectra.tensors.iter().zip(&all.tensors) {
        assert!(
            tensor.samples.contains_key("alpha_fit") && !tensor.samples.contains_key("pca_components_90")
        );
        assert!(tensor.samples.iter().all(|(name, value)| whole.samples[name] == *value));
    }
}

#[test]
fn spectra_wait_for_their_turn() {
    let mut memory = Memory::default();
    for seed in 0..4 {
        memory.push(Role::MlpUp, Some(0), &[60, 40], &gaussian(2400, seed));
    }
    let mut seen = [0; 4];
    for round in 0..4 {
        let budget = Some(std::time::Duration::from_nanos(1));
        let weighed = memory.weigh_with(&Plan { spectra_budget: budget, round, ..Plan::default() });
        for (tensor, seen) in weighed.tensors.iter().zip(&mut seen) {
            assert!(tensor.samples.contains_key("stable_rank"));
            match tensor.absent.get("effective_rank") {
                None => *seen += 1,
                reason => assert_eq!(reason, Some(&Reason::OverBudget)),
            }
        }
    }
    assert_eq!(seen, [1; 4]);
    let weighed = memory.weigh_with(&Plan { tier: Tier::Two, ..Plan::default() });
    assert!(weighed.tensors.iter().all(|t| t.samples.contains_key("spectral_norm")));
    assert!(weighed.tensors.iter().all(|t| !t.samples.contains_key("alpha_hill")));
}
