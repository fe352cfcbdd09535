//! The containers around tensors: dictionaries, lists, modules that were saved whole. Finds every
//! tensor once, names it by its path, takes off what trainers wrap around a model, and tells model from
//! optimizer.

use std::collections::HashSet;

use super::rebuild::{Rebuilt, rebuild};
use crate::tensor::limits::{NESTING_MAX, TENSORS_MAX};
use crate::tensor::pickle::{Id, Node, Pickle};

/// What a tensor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The model.
    Model,
    /// An optimizer: moments, master weights.
    Optimizer,
    /// A random number generator.
    Random,
    /// Something else beside the model.
    Beside,
}

impl Part {
    /// Why it is not weighed; none for the model.
    pub fn reason(self, name: &str) -> Option<String> {
        match self {
            Part::Model => None,
            Part::Optimizer => Some("optimizer state, not part of the model".into()),
            Part::Random => Some("state of a random number generator".into()),
            Part::Beside => {
                let key = name.split('.').next().unwrap_or(name);
                Some(format!("beside the model, under {}", crate::tensor::found::tame(key)))
            }
        }
    }

    /// By the key under which a trainer keeps it.
    pub fn of_key(key: &str) -> Self {
        let key = key.to_ascii_lowercase();
        let words: Vec<&str> = key.split(['_', '-', '.', ' ']).collect();
        if key.contains("optim") || key == "opt" || key.contains("scaler") || key.contains("fp32_groups") {
            Part::Optimizer
        } else if key.contains("rng") || words.contains(&"random") {
            Part::Random
        } else if MODEL_KEYS.contains(&key.as_str()) || words.contains(&"ema") || words.contains(&"model") {
            Part::Model
        } else {
            Part::Beside
        }
    }
}

/// A tensor or what was made in place of one.
pub struct Leaf {
    pub name: String,
    pub part: Part,
    pub what: Rebuilt,
}

/// Everything that a pickle holds.
#[derive(Default)]
pub struct Contents {
    pub leaves: Vec<Leaf>,
    pub too_deep: bool,
}

/// Keys under which trainers keep the model, most telling first. The first that is there is taken off
/// the names; others (a moving average, a second network) keep theirs.
const MODEL_KEYS: &[&str] = &[
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "model_state",
    "weights",
    "params",
    "generator",
    "state",
    "app",
];

/// Finds the tensors below the root.
pub fn walk(pickle: &Pickle) -> Contents {
    let mut walker = Walker { pickle, visited: HashSet::new(), contents: Contents::default() };
    walker.wrapper(pickle.root, String::new(), 0);
    let mut contents = walker.contents;
    let models = || contents.leaves.iter().filter(|leaf| leaf.part == Part::Model);
    let parallel = models().count() > 0 && models().all(|leaf| leaf.name.starts_with("module."));
    for leaf in &mut contents.leaves {
        let name =
            if parallel { leaf.name.strip_prefix("module.").unwrap_or(&leaf.name) } else { &leaf.name };
        leaf.name = tidy_name(name);
    }
    contents
}

/// Names and parts of tensors whose paths through the containers are known, by the same rules.
pub fn of_paths(paths: &[Vec<String>]) -> Vec<(String, Part)> {
    let mut stripped: Vec<String> = Vec::new();
    let under = |path: &[String], stripped: &[String]| path.starts_with(stripped);
    loop {
        let level = stripped.len();
        let wraps = |key: &&&str| {
            paths.iter().any(|path| under(path, &stripped) && path.len() > level + 1 && path[level] == **key)
        };
        match MODEL_KEYS.iter().find(wraps) {
            Some(key) if level < NESTING_MAX => stripped.push((*key).to_owned()),
            _ => break,
        }
    }
    let flat = paths.iter().any(|path| path.len() == 1);
    let named = paths.iter().map(|path| {
        let level = stripped.iter().zip(path).take_while(|(wrapper, key)| wrapper == key).count();
        // Names that were joined before they came here still begin with the trainer's key.
        let first = path.get(level).map_or("", |key| key.split('.').next().unwrap_or(key));
        let by_key = Part::of_key(first);
        let part = match by_key {
            _ if !stripped.is_empty() && level == stripped.len() => Part::Model,
            Part::Beside if stripped.is_empty() && (!flat || path.len() == 1) => Part::Model,
            _ => by_key,
        };
        (tidy_name(&path[level..].join(".")), part)
    });
    named.collect()
}

/// The name without what wrappers of modules put into it.
pub fn tidy_name(name: &str) -> String {
    let mut name = name.to_owned();
    for wrapper in ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."] {
        if name.contains(wrapper) {
            name = name.replace(wrapper, "");
        }
    }
    name
}

struct Walker<'a> {
    pickle: &'a Pickle,
    /// Containers that were looked into: each is, once, however often it is named.
    visited: HashSet<Id>,
    contents: Contents,
}

impl Walker<'_> {
    /// A container that may be wrapped around the model.
    fn wrapper(&mut self, id: Id, name: String, depth: usize) {
        let Some(items) = self.pickle.items(id).filter(|_| depth < NESTING_MAX) else {
            return self.inside(id, name, Part::Model, depth);
        };
        if self.is_optimizer(id) {
            return self.inside(id, name, Part::Optimizer, depth);
        }
        let keyed = |key: &&&str| {
            let value = self.pickle.get(id, key);
            value.is_some_and(|value| {
                let tensor = !matches!(rebuild(self.pickle, value), Rebuilt::Other);
                !tensor && !self.is_optimizer(value) && self.holds_tensor(value)
            })
        };
        let model = MODEL_KEYS.iter().find(keyed).copied();
        if model.is_none() && items.iter().any(|&(_, value)| self.is_weight(value)) {
            return self.inside(id, name, Part::Model, depth);
        }
        if !self.visited.insert(id) {
            return;
        }
        for (key, value) in items {
            let key = self.key(key);
            let part = if self.is_optimizer(value) { Part::Optimizer } else { Part::of_key(&key) };
            let path = join(&name, &key);
            match model {
                Some(model) if key == model => self.wrapper(value, name.clone(), depth + 1),
                None if part == Part::Beside => self.inside(value, path, Part::Model, depth + 1),
                _ => self.inside(value, path, part, depth + 1),
            }
        }
    }

    /// True for a tensor with a dimension. Trainers keep scalars beside the model's key.
    fn is_weight(&self, id: Id) -> bool {
        match rebuild(self.pickle, id) {
            Rebuilt::Tensor(view) => !view.shape.is_empty(),
            Rebuilt::Skipped { .. } => false,
            Rebuilt::Other => false,
        }
    }

    fn is_optimizer(&self, id: Id) -> bool {
        self.pickle.get(id, "param_groups").is_some() && self.pickle.get(id, "state").is_some()
    }

    fn holds_tensor(&self, id: Id) -> bool {
        let (mut seen, mut waiting) = (HashSet::new(), vec![id]);
        while let Some(id) = waiting.pop() {
            if !matches!(rebuild(self.pickle, id), Rebuilt::Other) {
                return true;
            }
            if seen.insert(id) {
                waiting.extend(self.children(id).into_iter().map(|(_, child)| child));
            }
        }
        false
    }

    /// Everything below: named by its path.
    fn inside(&mut self, id: Id, name: String, part: Part, depth: usize) {
        let what = rebuild(self.pickle, id);
        if !matches!(what, Rebuilt::Other) {
            if self.contents.leaves.len() <= TENSORS_MAX {
                self.contents.leaves.push(Leaf { name, part, what });
            }
            return;
        }
        let children = self.children(id);
        if children.is_empty() || !self.visited.insert(id) {
            return;
        }
        if depth >= NESTING_MAX {
            self.contents.too_deep = true;
            return;
        }
        for (key, child) in children {
            let part = if self.is_optimizer(child) { Part::Optimizer } else { part };
            let name = key.map_or_else(|| name.clone(), |key| join(&name, &key));
            self.inside(child, name, part, depth + 1);
        }
    }

    /// Parts of a container with their keys. The dictionaries of a module that was saved whole add
    /// nothing to the names.
    fn children(&self, id: Id) -> Vec<(Option<String>, Id)> {
        if let Some(items) = self.pickle.items(id).filter(|items| !items.is_empty()) {
            return items.into_iter().map(|(key, value)| (Some(self.key(key)), value)).collect();
        }
        if let Some(elements) = self.pickle.sequence(id) {
            return elements.iter().enumerate().map(|(index, &id)| (Some(index.to_string()), id)).collect();
        }
        let Node::Call(call) = self.pickle.node(id) else { return Vec::new() };
        let Some(state) = call.state else { return Vec::new() };
        if self.pickle.get(state, "_modules").is_some() {
            let parts = ["_parameters", "_buffers", "_modules"];
            return parts.iter().filter_map(|part| Some((None, self.pickle.get(state, part)?))).collect();
        }
        vec![(None, state)]
    }

    fn key(&self, id: Id) -> String {
        match self.pickle.node(id) {
            Node::Text(text) => text.to_string(),
            Node::Int(value) => value.to_string(),
            _ => format!("key{id}"),
        }
    }
}

fn join(name: &str, key: &str) -> String {
    if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
}

/// Keys that hold the training step, most telling first.
pub const STEP_KEYS: &[&str] = &[
    "global_step",
    "global_steps",
    "iter_num",
    "step",
    "iteration",
    "num_updates",
    "steps",
    "iter",
    "current_step",
];
/// Containers in which the step is looked for.
const STEP_CONTAINERS: &[&str] =
    &["trainer_state", "train_state", "extra_state", "state", "timestamp", "meta", "trainer"];

/// The training step that the pickle names, if it does.
pub fn step_inside(pickle: &Pickle, id: Id) -> Option<u64> {
    step_below(pickle, id, 3)
}

fn step_below(pickle: &Pickle, id: Id, depth: usize) -> Option<u64> {
    // Composer counts steps as batches, and its iterations are something else.
    if let Some(batch) = pickle.get(id, "Timestamp").and_then(|time| pickle.get(time, "batch")) {
        return number(pickle, batch);
    }
    let here = STEP_KEYS.iter().find_map(|key| pickle.get(id, key).and_then(|value| number(pickle, value)));
    here.or_else(|| {
        // fairseq counts updates in the last line of its optimizer's history alone.
        let history = pickle.get(id, "optimizer_history").and_then(|history| pickle.sequence(history));
        let updates = history.and_then(|history| pickle.get(*history.last()?, "num_updates"));
        updates.and_then(|updates| number(pickle, updates))
    })
    .or_else(|| {
        let inner = |key: &&str| pickle.get(id, key).and_then(|value| step_below(pickle, value, depth - 1));
        (depth > 1).then(|| STEP_CONTAINERS.iter().find_map(inner)).flatten()
    })
}

fn number(pickle: &Pickle, id: Id) -> Option<u64> {
    match pickle.node(id) {
        Node::Int(value) => u64::try_from(*value).ok(),
        Node::Float(value) if *value >= 0.0 && *value < 9e15 && value.fract() == 0.0 => Some(*value as u64),
        // Composer keeps its times as value and unit.
        Node::Dict(_) => pickle.get(id, "value").and_then(|value| pickle.size(value)),
        _ => None,
    }
}
