//! A reader of pickle streams that builds a picture of the objects and never runs one of them.
//!
//! The stream is a program for a stack machine. This machine knows every opcode of protocols 0 to 5,
//! but a callable is just its name, and calling it is just a note of the name and the arguments: a
//! [`Node::Call`]. Whoever looks at the picture afterwards decides which names mean a tensor; all
//! others stay what they are, opaque data. The objects lie in one flat list and name each other by
//! index, so that cycles and deep nesting cost nothing and dropping them cannot overflow the stack.
//!
//! `serde-pickle` was not taken: it refuses streams with callables other than the builtin ones, which
//! is every checkpoint, and builds a recursive value.

mod danger;
mod machine;
mod memo;
mod stream;

pub use danger::{Suspect, accusation};
pub use machine::{Failure, PickleError, parse};

/// Index of an object in its [`Pickle`].
pub type Id = u32;

/// One object of the stream.
#[derive(Debug)]
pub enum Node {
    /// `None`.
    None,
    /// `True`, `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text.
    Text(Box<str>),
    /// A list.
    List(Vec<Id>),
    /// A tuple.
    Tuple(Box<[Id]>),
    /// A dictionary, in order of insertion; keys can repeat.
    Dict(Vec<(Id, Id)>),
    /// A set or frozen set.
    Set(Vec<Id>),
    /// A class or function by name.
    Global(Box<Global>),
    /// A class or function with arguments. It was not called.
    Call(Box<Call>),
    /// An object outside of the stream, by its key: storages.
    Persistent(Id),
    /// Something that has no use here: bytes, long texts and numbers, out-of-band buffers.
    Opaque,
}

/// Name of a class or function.
#[derive(Debug, PartialEq, Eq)]
pub struct Global {
    /// Dotted module.
    pub module: Box<str>,
    /// Name in the module; may be dotted.
    pub name: Box<str>,
}

/// What the stream asks to be called, and what it asks to do with the result.
#[derive(Debug)]
pub struct Call {
    /// The callable.
    pub callable: Id,
    /// Its arguments, usually a tuple.
    pub arguments: Id,
    /// State set on the result.
    pub state: Option<Id>,
    /// Items set on the result.
    pub items: Vec<(Id, Id)>,
    /// Elements appended to the result.
    pub elements: Vec<Id>,
}

/// All objects of one stream.
#[derive(Debug)]
pub struct Pickle {
    nodes: Vec<Node>,
    /// The object that the stream ends with.
    pub root: Id,
    /// Bytes of the stream, up to and with its end mark.
    pub bytes: u64,
    /// Callables that no checkpoint needs, at most [`super::limits::CALLABLES_TOLD_MAX`].
    pub suspects: Vec<Suspect>,
}

impl Pickle {
    /// The object of that index.
    pub fn node(&self, id: Id) -> &Node {
        self.nodes.get(id as usize).unwrap_or(&Node::Opaque)
    }

    /// All objects.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The state that was set on an object.
    pub fn state(&self, id: Id) -> Option<Id> {
        match self.node(id) {
            Node::Call(call) => call.state,
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one.
    pub fn int(&self, id: Id) -> Option<i64> {
        match self.node(id) {
            Node::Int(value) => Some(*value),
            Node::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// The integer as a size or offset, if it is one.
    pub fn size(&self, id: Id) -> Option<u64> {
        self.int(id).and_then(|value| u64::try_from(value).ok())
    }

    /// The elements of a tuple, list or call that made a list.
    pub fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(elements) => Some(elements),
            Node::List(elements) | Node::Set(elements) => Some(elements),
            Node::Call(call) if !call.elements.is_empty() => Some(&call.elements),
            _ => None,
        }
    }

    /// The sizes in a tuple; `torch.Size(...)` is looked through.
    pub fn sizes(&self, id: Id) -> Option<Vec<u64>> {
        let id = match self.call(id) {
            Some((global, call)) if &*global.name == "Size" => *self.sequence(call.arguments)?.first()?,
            _ => id,
        };
        self.sequence(id)?.iter().map(|&size| self.size(size)).collect()
    }

    /// The items of a dictionary or of an object that items were set on, such as `OrderedDict`. An
    /// `OrderedDict` of the oldest kind has its items as a list in its arguments.
    pub fn items(&self, id: Id) -> Option<Vec<(Id, Id)>> {
        match self.node(id) {
            Node::Dict(items) => Some(items.clone()),
            Node::Call(call) if !call.items.is_empty() => Some(call.items.clone()),
            Node::Call(call) if self.global(call.callable)?.name.ends_with("Dict") => {
                let Some(&list) = self.sequence(call.arguments)?.first() else { return Some(Vec::new()) };
                let pairs = self.sequence(list)?.iter().map(|&pair| match *self.sequence(pair)? {
                    [key, value] => Some((key, value)),
                    _ => None,
                });
                pairs.collect()
            }
            _ => None,
        }
    }

    /// The value of a text key.
    pub fn get(&self, id: Id, key: &str) -> Option<Id> {
        let items = match self.node(id) {
            Node::Dict(items) => items,
            Node::Call(call) => &call.items,
            _ => return None,
        };
        items.iter().rev().find(|(candidate, _)| self.text(*candidate) == Some(key)).map(|(_, value)| *value)
    }

    /// The name, if it is a class or function.
    pub fn global(&self, id: Id) -> Option<&Global> {
        match self.node(id) {
            Node::Global(global) => Some(global),
            _ => None,
        }
    }

    /// Name and call, if it is a call of something named.
    pub fn call(&self, id: Id) -> Option<(&Global, &Call)> {
        match self.node(id) {
            Node::Call(call) => Some((self.global(call.callable)?, call)),
            _ => None,
        }
    }
}
