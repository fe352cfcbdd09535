//! Steps in names.

/// Words that announce a step in a file's or directory's name. Epochs come last: they count something
/// else, and serve only where no step is named.
const STEP_WORDS: &[&str] =
    &["global_step", "step", "iteration", "iter", "checkpoint", "ckpt", "batch", "epoch"];

/// The step that a name (without its extension) tells: digits after a step word, or else at the end
/// after a separator, or else the whole name. `-00001-of-00002` is a shard, not a step.
pub(super) fn step_in_name(stem: &str) -> Option<u64> {
    if shard_of(stem).is_some() {
        return None;
    }
    let lower = stem.to_ascii_lowercase();
    let announced = STEP_WORDS.iter().find_map(|word| {
        lower.rmatch_indices(word).find_map(|(at, _)| {
            let rest = lower[at + word.len()..].trim_start_matches(['-', '_', '=', '.', 's']);
            leading_number(rest)
        })
    });
    announced.or_else(|| trailing_number(stem))
}

/// Digits at the end of a name, where they stand alone or after a separator, or are at least two:
/// `gpt2` and `model-v2` name no step.
fn trailing_number(stem: &str) -> Option<u64> {
    let head = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &stem[head.len()..];
    let whole = head.strip_suffix('.').unwrap_or_default();
    if whole.ends_with(|c: char| c.is_ascii_digit()) {
        return None; // a decimal fraction: `val_loss=0.35`
    }
    let alone = head.is_empty() || head.ends_with(['-', '_', '.', '=']);
    if alone || digits.len() >= 2 { digits.parse().ok() } else { None }
}

/// The number that a text begins with, if digits and nothing else of its word follow.
fn leading_number(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// The number after `prefix`, where the name is nothing but these two.
pub(super) fn number_after(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Splits `model-00001-of-00002` into the name before the numbers, the shard and the count.
pub(super) fn shard_of(stem: &str) -> Option<(&str, u64, u64)> {
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (base, shard) = rest.rsplit_once(['-', '_'])?;
    Some((base, shard.parse().ok()?, count.parse().ok()?))
}

/// True for names that trainers and copiers give to what is not done yet, and for hidden ones.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.starts_with('.')
        || name.starts_with("tmp")
        || [".tmp", ".part", ".incomplete"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_found_in_names() {
        for (name, step) in [
            ("step-100", Some(100)),
            ("model_step00001000", Some(1000)),
            ("model-step=250", Some(250)),
            ("epoch=1-step=100", Some(100)),
            ("epoch_3", Some(3)),
            ("iter_0000100", Some(100)),
            ("ckpt-7", Some(7)),
            ("steps_12_of_lora", Some(12)),
            ("lora-000010", Some(10)),
            ("weights.5", Some(5)),
            ("000200", Some(200)),
            ("model100", Some(100)),
            ("gpt2", None),
            ("model-v2", None),
            ("llama-7b", None),
            ("model", None),
            ("model-00001-of-00002", None),
            ("checkpoint-last", None),
            ("step", None),
            ("val_loss=0.35", None),
            ("last-v1", None),
            ("gpt--val_loss=2.35-step=100-epoch=1", Some(100)),
            ("step-99999999999999999999999", None),
        ] {
            assert_eq!(step_in_name(name), step, "{name}");
        }
    }

    #[test]
    fn unfinished_names_are_known() {
        for name in ["tmp-checkpoint-5", ".hidden", "model.safetensors.tmp", "a.part", "b.incomplete", "tmpx"]
        {
            assert!(is_unfinished(name), "{name}");
        }
        for name in ["checkpoint-5", "model.safetensors", "temporary", "part.safetensors"] {
            assert!(!is_unfinished(name), "{name}");
        }
    }
}
