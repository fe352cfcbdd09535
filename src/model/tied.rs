//! Tensors that are one and the same in memory, by the configuration's word.

use serde_json::Value;

use super::config::Config;
use super::family::Family;
use super::names::{Leaf, Name};
use super::understand::Known;

/// Pairs of indices, and pairs of names.
type Tied = (Vec<(usize, usize)>, Vec<(String, String)>);

/// Pairs that are both in the file, and those of which one is left out: (absent, equal to).
pub(super) fn tied_pairs(
    known: &[Known<'_>],
    family: Option<&Family>,
    config: Option<&Value>,
    remarks: &mut Vec<String>,
) -> Tied {
    let (mut both, mut absent) = (Vec::new(), Vec::new());
    let (Some(family), config) = (family, Config::new(config, None)) else { return (both, absent) };
    if !config.tied() {
        return (both, absent);
    }
    for pair in family.tied.iter() {
        let find = |path: &str| {
            known.iter().position(|known| known.name.leaf == Leaf::Weight && ends_with(&known.name, path))
        };
        let Some(same_as) = find(pair.same_as) else { continue };
        match find(pair.name) {
            Some(name) if known[name].info.shape == known[same_as].info.shape => both.push((name, same_as)),
            Some(name) => remarks.push(format!(
                "{} and {} are tied by the configuration, but their shapes differ",
                known[name].info.name, known[same_as].info.name
            )),
            None if config.has_lm_head() && is_used(pair.name, known) => {
                absent.push((format!("{}.weight", pair.name), known[same_as].info.name.to_string()));
            }
            None => {}
        }
    }
    (both, absent)
}

fn ends_with(name: &Name<'_>, path: &str) -> bool {
    let path: Vec<&str> = path.split('.').collect();
    name.module.ends_with(&path)
}

/// True where the module of an absent weight belongs to this model: one name alone, or one whose parent
/// is there. BERT's table lists the heads of several classes.
fn is_used(path: &str, known: &[Known<'_>]) -> bool {
    let Some((parent, _)) = path.rsplit_once('.') else {
        return true;
    };
    let parent: Vec<&str> = parent.split('.').collect();
    let inside = |name: &Name<'_>| name.module.windows(parent.len()).any(|window| window == parent);
    known.iter().any(|known| inside(&known.name))
}
