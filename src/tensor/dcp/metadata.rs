//! What `.metadata` says, as plain data.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::tensor::pickle::{Id, Node, Pickle};

/// Tensors and where their chunks lie.
pub struct Metadata {
    /// Everything that was saved, in order.
    pub entries: Vec<Entry>,
    /// All chunks.
    pub items: Vec<Item>,
}

/// Something that was saved.
pub struct Entry {
    /// Its flat name.
    pub name: String,
    /// Its path through the containers.
    pub path: Vec<String>,
    /// Tensor or not.
    pub what: What,
}

/// What was saved.
pub enum What {
    /// A tensor of that whole shape.
    Tensor {
        /// Dimensions.
        shape: Vec<u64>,
        /// torch's name of the dtype.
        dtype: String,
    },
    /// Any other object.
    Bytes,
    /// A kind that is not known.
    Unknown(String),
}

/// One range of a rank's file.
pub struct Item {
    /// Flat name of what it belongs to.
    pub name: String,
    /// First index in each dimension; none for what is no tensor.
    pub begin: Option<Vec<u64>>,
    /// File beside the metadata.
    pub file: PathBuf,
    /// Its range.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// True when it was compressed on the way.
    pub transformed: bool,
}

impl Metadata {
    /// Reads the outermost object; none where it is something else.
    pub fn of(pickle: &Pickle) -> Option<Self> {
        let field = |name| pickle.get(pickle.state(pickle.root)?, name);
        let planner: HashMap<&str, Id> = field("planner_data")
            .and_then(|planner| pickle.items(planner))
            .map_or_else(HashMap::new, |paths| {
                paths.into_iter().filter_map(|(name, path)| Some((pickle.text(name)?, path))).collect()
            });
        let tensors = pickle.items(field("state_dict_metadata")?)?;
        let entries = tensors.into_iter().filter_map(|(name, value)| {
            let name = pickle.text(name)?.to_owned();
            let path = planner.get(&*name).and_then(|&keys| path(pickle, keys));
            Some(Entry { path: path.unwrap_or_else(|| vec![name.clone()]), what: what(pickle, value), name })
        });
        let items = pickle.items(field("storage_data")?)?;
        let items = items.into_iter().filter_map(|(index, info)| item(pickle, index, info));
        Some(Self { entries: entries.collect(), items: items.collect() })
    }
}

fn path(pickle: &Pickle, id: Id) -> Option<Vec<String>> {
    let keys = pickle.sequence(id)?.iter().map(|&key| match pickle.node(key) {
        Node::Text(text) => Some(text.to_string()),
        Node::Int(value) => Some(value.to_string()),
        _ => None,
    });
    keys.collect::<Option<Vec<_>>>().filter(|path| !path.is_empty())
}

fn what(pickle: &Pickle, id: Id) -> What {
    let Some((global, _)) = pickle.call(id) else { return What::Unknown("an object".into()) };
    match &*global.name {
        "BytesStorageMetadata" => What::Bytes,
        "TensorStorageMetadata" => {
            tensor(pickle, id).unwrap_or_else(|| What::Unknown("a tensor without shape or dtype".into()))
        }
        name => What::Unknown(name.to_owned()),
    }
}

fn tensor(pickle: &Pickle, id: Id) -> Option<What> {
    let state = pickle.state(id)?;
    let shape = pickle.sizes(pickle.get(state, "size")?)?;
    // The properties' state is a tuple that begins with the dtype; older ones are a dictionary.
    let properties = pickle.state(pickle.get(state, "properties")?)?;
    let first = pickle.sequence(properties).and_then(|fields| fields.first().copied());
    let dtype = pickle.global(first.or_else(|| pickle.get(properties, "dtype"))?)?;
    Some(What::Tensor { shape, dtype: dtype.name.to_string() })
}

fn item(pickle: &Pickle, index: Id, info: Id) -> Option<Item> {
    let (index, info) = (pickle.state(index)?, pickle.state(info)?);
    Some(Item {
        name: pickle.text(pickle.get(index, "fqn")?)?.to_owned(),
        begin: pickle.get(index, "offset").and_then(|offset| pickle.sizes(offset)),
        file: PathBuf::from(pickle.text(pickle.get(info, "relative_path")?)?),
        offset: pickle.size(pickle.get(info, "offset")?)?,
        length: pickle.size(pickle.get(info, "length")?)?,
        transformed: pickle
            .get(info, "transform_descriptors")
            .is_some_and(|id| pickle.sequence(id).is_some_and(|descriptors| !descriptors.is_empty())),
    })
}
