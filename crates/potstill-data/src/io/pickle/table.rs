//! The flat table in which the values of a pickle live.

use super::Failure;

/// Most entries that a pickle may have; a training checkpoint of a thousand parameters has about 200,000.
pub const MAX_VALUES: usize = 1 << 19;
/// Most values that may be put on the stack, from where alone they get into lists and dictionaries.
const MAX_REFERENCES: usize = 1 << 20;
/// An object counts as so many values, since it takes as much memory.
const OBJECT_COST: usize = 3;

/// Number of a value in its [`Table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u32);

/// `bytes[start..end]` of the pickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A value; those inside it are elsewhere in the table.
#[derive(Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// Two's complement, little-endian, longer than 8 bytes.
    BigInt(Span),
    Float(f64),
    /// Checked to be UTF-8.
    Str(Span),
    Bytes(Span),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    /// Keys and values by turns.
    Dict(Vec<Id>),
    Global {
        module: Span,
        name: Span,
    },
    Object(Box<Object>),
    Persistent(Id),
}

/// Call of a class or function that was recorded instead of made, with the state of its result.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) class: Id,
    pub(super) args: Id,
    pub(super) state: Option<Id>,
    /// Items appended to the object.
    pub(super) items: Vec<Id>,
    /// Keys and values, by turns, set in the object.
    pub(super) pairs: Vec<Id>,
}

/// All values of a pickle.
#[derive(Debug)]
pub(super) struct Table {
    nodes: Vec<Node>,
    /// Counted towards [`MAX_VALUES`].
    cost: usize,
    references: usize,
}

impl Table {
    pub(super) const NONE: Id = Id(0);
    pub(super) const FALSE: Id = Id(1);
    pub(super) const TRUE: Id = Id(2);

    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::None, Node::Bool(false), Node::Bool(true)], cost: 3, references: 0 }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        (0..self.nodes.len() as u32).map(Id)
    }

    pub(super) fn get(&self, id: Id) -> &Node {
        // Ids come from `add` alone and nothing is ever removed; an id of another table finds nothing.
        self.nodes.get(id.0 as usize).unwrap_or(&Node::None)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Node> {
        self.nodes.get_mut(id.0 as usize)
    }

    pub(super) fn add(&mut self, node: Node) -> Result<Id, Failure> {
        self.cost += if matches!(node, Node::Object(_)) { OBJECT_COST } else { 1 };
        if self.cost > MAX_VALUES {
            return Err(Failure::Bad(format!("the pickle has more than {MAX_VALUES} values; it is not a model's")));
        }
        let id = Id(self.nodes.len() as u32);
        self.nodes.push(node);
        Ok(id)
    }

    /// To be called before a reference is stored on the stack, so that memory stays bounded.
    pub(super) fn count_reference(&mut self) -> Result<(), Failure> {
        self.references += 1;
        if self.references > MAX_REFERENCES {
            let message = format!("the pickle has more than {MAX_REFERENCES} references between values");
            return Err(Failure::Bad(message));
        }
        Ok(())
    }
}
