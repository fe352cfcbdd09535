//! The stack machine. Each opcode makes or joins objects; none does anything else.

use super::danger::{Suspect, is_dangerous, is_dangerous_getattr};
use super::memo::Memo;
use super::stream::Stream;
use super::{Call, Global, Id, Node, Pickle};
use crate::tensor::found::tame;
use crate::tensor::limits::{
    CALLABLES_TOLD_MAX, NAME_BYTES_MAX, PICKLE_LINE_BYTES_MAX, PICKLE_NODES_MAX, PICKLE_OPCODES_MAX,
    PICKLE_STACK_MAX,
};

/// Why a stream could not be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The bytes end before the stream's end mark.
    #[error("the pickle ends early")]
    Ended,
    /// No pickler writes this.
    #[error("not a pickle: {0}")]
    Malformed(&'static str),
    /// It passes a limit.
    #[error("the pickle passes a limit: {0}")]
    Limit(&'static str),
}

/// A stream that could not be read to its end. What it named before that would still have been run.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: PickleError,
    /// Byte of the stream at which it arose.
    pub offset: u64,
    /// Dangerous callables that were named up to there.
    pub suspects: Vec<Suspect>,
}

/// Reads one stream from the front of `bytes`.
pub fn parse(bytes: &[u8]) -> Result<Pickle, Failure> {
    let mut machine = Machine::new(bytes);
    let result = machine.run();
    let (bytes, suspects) = (machine.stream.position(), machine.suspects);
    match result {
        Ok(root) => Ok(Pickle { nodes: machine.nodes, root, bytes, suspects }),
        Err(error) => Err(Failure { error, offset: bytes, suspects }),
    }
}

struct Machine<'a> {
    stream: Stream<'a>,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at which a mark was set.
    marks: Vec<usize>,
    memo: Memo,
    suspects: Vec<Suspect>,
}

type Step = Result<(), PickleError>;

const UNDERFLOW: PickleError = PickleError::Malformed("an opcode takes more than there is");

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            stream: Stream::new(bytes),
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Memo::default(),
            suspects: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<Id, PickleError> {
        for _ in 0..PICKLE_OPCODES_MAX {
            match self.stream.u8()? {
                b'.' => return self.pop(),
                opcode => self.step(opcode)?,
            }
        }
        Err(PickleError::Limit("too many opcodes"))
    }

    fn step(&mut self, opcode: u8) -> Step {
        match opcode {
            0x80 => self.stream.u8().map(drop),
            0x95 => self.stream.u64().map(drop),
            b'(' => self.mark(),
            b'0' => self.pop_or_mark(),
            b'1' => self.pop_mark().map(drop),
            b'2' => self.top().and_then(|id| self.push(id)),
            b'N' => self.make(Node::None),
            0x88 => self.make(Node::Bool(true)),
            0x89 => self.make(Node::Bool(false)),
            b'I' | b'J' | b'K' | b'M' | b'L' | 0x8a | 0x8b => self.integer(opcode),
            b'F' | b'G' => self.float(opcode),
            b'S' | b'T' | b'U' | b'V' | 0x8c | b'X' | 0x8d => self.text(opcode),
            b'B' | b'C' | 0x8e | 0x96 => self.bytes(opcode),
            // A buffer beside the stream, and the note that it must not be written to.
            0x97 => self.make(Node::Opaque),
            0x98 => self.top().map(drop),
            b']' | b'l' | b'a' | b'e' | b')' | b't' | 0x85..=0x87 => self.sequence(opcode),
            b'}' | b'd' | b's' | b'u' | 0x8f | 0x90 | 0x91 => self.mapping(opcode),
            b'g' | b'h' | b'j' => self.recall(opcode),
            b'p' | b'q' | b'r' | 0x94 => self.remember(opcode),
            b'c' | 0x93 | 0x82..=0x84 => self.name(opcode),
            b'R' | b'b' | b'i' | b'o' | 0x81 | 0x92 => self.object(opcode),
            b'P' => {
                let key = self.stream.text_line()?;
                self.make(Node::Text(key.into()))?;
                self.persistent()
            }
            b'Q' => self.persistent(),
            _ => Err(PickleError::Malformed("unknown opcode")),
        }
    }

    // === stack ===

    fn make(&mut self, node: Node) -> Step {
        if self.nodes.len() >= PICKLE_NODES_MAX {
            return Err(PickleError::Limit("too many objects"));
        }
        let id = self.nodes.len() as Id;
        self.nodes.push(node);
        self.push(id)
    }

    fn push(&mut self, id: Id) -> Step {
        if self.stack.len() >= PICKLE_STACK_MAX {
            return Err(PickleError::Limit("the stack is too deep"));
        }
        self.stack.push(id);
        Ok(())
    }

    /// Nothing below the newest mark can be taken.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id, PickleError> {
        if self.stack.len() <= self.floor() {
            return Err(UNDERFLOW);
        }
        self.stack.pop().ok_or(UNDERFLOW)
    }

    fn top(&self) -> Result<Id, PickleError> {
        self.stack.last().copied().filter(|_| self.stack.len() > self.floor()).ok_or(UNDERFLOW)
    }

    fn mark(&mut self) -> Step {
        if self.marks.len() >= PICKLE_STACK_MAX {
            return Err(PickleError::Limit("too many marks"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        let height = self.marks.pop().ok_or(PickleError::Malformed("a mark is missing"))?;
        Ok(self.stack.split_off(height))
    }

    fn pop_or_mark(&mut self) -> Step {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    // === scalars ===

    fn integer(&mut self, opcode: u8) -> Step {
        let node = match opcode {
            b'J' => Node::Int(i64::from(i32::from_le_bytes(self.stream.array()?))),
            b'K' => Node::Int(i64::from(self.stream.u8()?)),
            b'M' => Node::Int(i64::from(self.stream.u16()?)),
            0x8a => {
                let len = u64::from(self.stream.u8()?);
                long(self.stream.take(len)?)
            }
            0x8b => {
                let len = u64::from(self.stream.u32()?);
                long(self.stream.take(len)?)
            }
            _ => match self.stream.text_line()?.trim_end_matches('L') {
                "00" => Node::Bool(false),
                "01" => Node::Bool(true),
                digits => digits.parse().map_or(Node::Opaque, Node::Int),
            },
        };
        self.make(node)
    }

    fn float(&mut self, opcode: u8) -> Step {
        let value = match opcode {
            b'G' => f64::from_be_bytes(self.stream.array()?),
            _ => self
                .stream
                .text_line()?
                .parse()
                .map_err(|_| PickleError::Malformed("a float is no number"))?,
        };
        self.make(Node::Float(value))
    }

    fn text(&mut self, opcode: u8) -> Step {
        let bytes = match opcode {
            b'S' => {
                let line = self.stream.line()?;
                line.get(1..line.len().saturating_sub(1)).unwrap_or(&[])
            }
            b'V' => self.stream.line()?,
            b'U' | 0x8c => {
                let len = u64::from(self.stream.u8()?);
                self.stream.take(len)?
            }
            b'T' | b'X' => {
                let len = u64::from(self.stream.u32()?);
                self.stream.take(len)?
            }
            _ => {
                let len = self.stream.u64()?;
                self.stream.take(len)?
            }
        };
        if bytes.len() > PICKLE_LINE_BYTES_MAX {
            return self.make(Node::Opaque);
        }
        self.make(Node::Text(String::from_utf8_lossy(bytes).into()))
    }

    fn bytes(&mut self, opcode: u8) -> Step {
        let len = match opcode {
            b'C' => u64::from(self.stream.u8()?),
            b'B' => u64::from(self.stream.u32()?),
            _ => self.stream.u64()?,
        };
        self.stream.take(len)?;
        self.make(Node::Opaque)
    }

    // === containers ===

    fn sequence(&mut self, opcode: u8) -> Step {
        let node = match opcode {
            b']' => Node::List(Vec::new()),
            b')' => Node::Tuple(Box::default()),
            b'l' => Node::List(self.pop_mark()?),
            b't' => Node::Tuple(self.pop_mark()?.into()),
            b'a' => {
                let element = self.pop()?;
                return self.extend(vec![element]);
            }
            b'e' => {
                let elements = self.pop_mark()?;
                return self.extend(elements);
            }
            _ => {
                let len = usize::from(opcode - 0x84);
                let begin = self.stack.len().checked_sub(len).filter(|&begin| begin >= self.floor());
                Node::Tuple(self.stack.split_off(begin.ok_or(UNDERFLOW)?).into())
            }
        };
        self.make(node)
    }

    fn extend(&mut self, elements: Vec<Id>) -> Step {
        let owner = self.top()?;
        match &mut self.nodes[owner as usize] {
            Node::List(list) | Node::Set(list) => list.extend(elements),
            Node::Call(call) => call.elements.extend(elements),
            _ => return Err(PickleError::Malformed("appends to what is no list")),
        }
        Ok(())
    }

    fn mapping(&mut self, opcode: u8) -> Step {
        let node = match opcode {
            b'}' => Node::Dict(Vec::new()),
            b'd' => Node::Dict(pairs(&self.pop_mark()?)?),
            0x8f => Node::Set(Vec::new()),
            0x91 => Node::Set(self.pop_mark()?),
            0x90 => {
                let elements = self.pop_mark()?;
                return self.extend(elements);
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                return self.set_items(vec![(key, value)]);
            }
            _ => {
                let items = pairs(&self.pop_mark()?)?;
                return self.set_items(items);
            }
        };
        self.make(node)
    }

    fn set_items(&mut self, items: Vec<(Id, Id)>) -> Step {
        let owner = self.top()?;
        match &mut self.nodes[owner as usize] {
            Node::Dict(dict) => dict.extend(items),
            Node::Call(call) => call.items.extend(items),
            _ => return Err(PickleError::Malformed("sets an item of what is no dictionary")),
        }
        Ok(())
    }

    // === memo ===

    fn recall(&mut self, opcode: u8) -> Step {
        let key = match opcode {
            b'h' => u32::from(self.stream.u8()?),
            b'j' => self.stream.u32()?,
            _ => self.memo_key()?,
        };
        let id = self.memo.get(key).ok_or(PickleError::Malformed("recalls what was not remembered"))?;
        self.push(id)
    }

    fn remember(&mut self, opcode: u8) -> Step {
        let key = match opcode {
            b'q' => u32::from(self.stream.u8()?),
            b'r' => self.stream.u32()?,
            0x94 => self.memo.len() as u32,
            _ => self.memo_key()?,
        };
        let id = self.top()?;
        if self.memo.len() >= PICKLE_NODES_MAX {
            return Err(PickleError::Limit("remembers too much"));
        }
        self.memo.insert(key, id);
        Ok(())
    }

    fn memo_key(&mut self) -> Result<u32, PickleError> {
        self.stream.text_line()?.parse().map_err(|_| PickleError::Malformed("a memo key is no number"))
    }

    // === names and calls ===

    fn name(&mut self, opcode: u8) -> Step {
        let begin = self.stream.position();
        let (module, name) = match opcode {
            b'c' => (self.stream.text_line()?.into(), self.stream.text_line()?.into()),
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                (self.owned_text(module)?, self.owned_text(name)?)
            }
            // Numbers of a registry that only the writing program knows: they stand for any callable.
            code => {
                self.stream.take(1 << (code - 0x82))?;
                (Box::from("copyreg"), Box::from("extension"))
            }
        };
        let global = Global { module, name };
        if is_dangerous(&global) {
            self.suspect(&global, begin);
        }
        self.make(Node::Global(Box::new(global)))
    }

    fn owned_text(&self, id: Id) -> Result<Box<str>, PickleError> {
        match &self.nodes[id as usize] {
            Node::Text(text) if text.len() <= NAME_BYTES_MAX => Ok(text.clone()),
            Node::Text(_) => Err(PickleError::Limit("the name of a callable is too long")),
            _ => Err(PickleError::Malformed("a name is no text")),
        }
    }

    fn suspect(&mut self, global: &Global, offset: u64) {
        let name = tame(&format!("{}.{}", global.module, global.name));
        let known = self.suspects.iter().any(|suspect| suspect.name == name);
        if !known && self.suspects.len() < CALLABLES_TOLD_MAX {
            self.suspects.push(Suspect { name, offset });
        }
    }

    fn object(&mut self, opcode: u8) -> Step {
        match opcode {
            b'b' => return self.set_state(),
            b'i' => {
                self.name(b'c')?;
                let callable = self.pop()?;
                let arguments = self.pop_mark()?;
                self.make(Node::Tuple(arguments.into()))?;
                self.push_before_top(callable)?;
            }
            b'o' => {
                let mut arguments = self.pop_mark()?;
                if arguments.is_empty() {
                    return Err(UNDERFLOW);
                }
                let callable = arguments.remove(0);
                self.push(callable)?;
                self.make(Node::Tuple(arguments.into()))?;
            }
            // NEWOBJ_EX has keyword arguments on top; they have no use here.
            0x92 => self.pop().map(drop)?,
            _ => {}
        }
        let arguments = self.pop()?;
        let callable = self.pop()?;
        self.check_call(callable, arguments);
        let call = Call { callable, arguments, state: None, items: Vec::new(), elements: Vec::new() };
        self.make(Node::Call(Box::new(call)))
    }

    fn push_before_top(&mut self, id: Id) -> Step {
        let top = self.pop()?;
        self.push(id)?;
        self.push(top)
    }

    fn check_call(&mut self, callable: Id, arguments: Id) {
        let Node::Global(global) = &self.nodes[callable as usize] else { return };
        let first = match &self.nodes[arguments as usize] {
            Node::Tuple(elements) => elements.first().map(|&id| &self.nodes[id as usize]),
            _ => None,
        };
        if is_dangerous_getattr(global, first) {
            let global = Global { module: global.module.clone(), name: global.name.clone() };
            self.suspect(&global, self.stream.position());
        }
    }

    fn set_state(&mut self) -> Step {
        let state = self.pop()?;
        let owner = self.top()?;
        if let Node::Call(call) = &mut self.nodes[owner as usize] {
            call.state = Some(state);
        }
        Ok(())
    }

    fn persistent(&mut self) -> Step {
        let key = self.pop()?;
        self.make(Node::Persistent(key))
    }
}

fn pairs(flat: &[Id]) -> Result<Vec<(Id, Id)>, PickleError> {
    let (pairs, rest) = flat.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(PickleError::Malformed("a key has no value"));
    }
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}

fn long(bytes: &[u8]) -> Node {
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    if bytes.len() > size_of::<i64>() {
        return Node::Opaque;
    }
    let mut wide = [if negative { 0xff } else { 0 }; size_of::<i64>()];
    wide[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(wide))
}
