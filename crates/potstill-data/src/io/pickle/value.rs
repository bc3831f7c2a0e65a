//! A look at one value of a pickle.

use super::table::{Id, Node, Object, Span, Table};

/// A value of a [`Pickle`](super::Pickle) that can be looked into; as cheap to copy as a reference.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    bytes: &'a [u8],
    table: &'a Table,
    id: Id,
}

/// Kind of a [`Value`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind<'a> {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A longer integer: two's complement, little-endian.
    BigInt(&'a [u8]),
    /// A real number.
    Float(f64),
    /// Text.
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list or a set; see [`Value::items`].
    List,
    /// A tuple; see [`Value::items`].
    Tuple,
    /// A dictionary; see [`Value::pairs`].
    Dict,
    /// A class or function.
    Global {
        /// Python's module, with dots.
        module: &'a str,
        /// Name in the module.
        name: &'a str,
    },
    /// Recorded call of a class; see [`Value::called`], [`Value::items`] and [`Value::pairs`].
    Object,
    /// Reference to an object outside the pickle; see [`Value::persistent`].
    Persistent,
}

impl<'a> Value<'a> {
    pub(super) fn new(bytes: &'a [u8], table: &'a Table, id: Id) -> Self {
        Self { bytes, table, id }
    }

    fn with(self, id: Id) -> Self {
        Self { id, ..self }
    }

    fn node(self) -> &'a Node {
        self.table.get(self.id)
    }

    fn span(self, span: Span) -> &'a [u8] {
        self.bytes.get(span.start..span.end).unwrap_or_default()
    }

    fn text(self, span: Span) -> &'a str {
        std::str::from_utf8(self.span(span)).unwrap_or_default()
    }

    /// Kind of the value.
    pub fn kind(self) -> Kind<'a> {
        match self.node() {
            Node::None => Kind::None,
            Node::Bool(v) => Kind::Bool(*v),
            Node::Int(v) => Kind::Int(*v),
            Node::BigInt(span) => Kind::BigInt(self.span(*span)),
            Node::Float(v) => Kind::Float(*v),
            Node::Str(span) => Kind::Str(self.text(*span)),
            Node::Bytes(span) => Kind::Bytes(self.span(*span)),
            Node::List(_) => Kind::List,
            Node::Tuple(_) => Kind::Tuple,
            Node::Dict(_) => Kind::Dict,
            Node::Global { module, name } => Kind::Global { module: self.text(*module), name: self.text(*name) },
            Node::Object(_) => Kind::Object,
            Node::Persistent(_) => Kind::Persistent,
        }
    }

    fn object(self) -> Option<&'a Object> {
        if let Node::Object(object) = self.node() { Some(object) } else { None }
    }

    fn item_ids(self) -> &'a [Id] {
        match self.node() {
            Node::List(ids) | Node::Tuple(ids) => ids,
            Node::Object(object) => &object.items,
            _ => &[],
        }
    }

    /// Number of [`Value::items`].
    pub fn n_items(self) -> usize {
        self.item_ids().len()
    }

    /// Entries of a list, set or tuple, or those appended to an object; none for anything else.
    pub fn items(self) -> impl Iterator<Item = Value<'a>> {
        self.item_ids().iter().map(move |&id| self.with(id))
    }

    /// Entry `i` of [`Value::items`].
    pub fn item(self, i: usize) -> Option<Value<'a>> {
        self.item_ids().get(i).map(|&id| self.with(id))
    }

    /// Keys and values of a dictionary or of an object with items (`OrderedDict`), in order; none for anything else.
    pub fn pairs(self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        let ids: &[Id] = match self.node() {
            Node::Dict(ids) => ids,
            Node::Object(object) => &object.pairs,
            _ => &[],
        };
        ids.chunks_exact(2).map(move |pair| (self.with(pair[0]), self.with(pair[1])))
    }

    /// The value of a key that is text; as in Python, the last one counts.
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        self.pairs().filter(|(k, _)| k.as_str() == Some(key)).last().map(|(_, v)| v)
    }

    /// Follows keys through dictionaries inside each other.
    pub fn at(self, path: &[&str]) -> Option<Value<'a>> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The text, if it is text.
    pub fn as_str(self) -> Option<&'a str> {
        if let Kind::Str(text) = self.kind() { Some(text) } else { None }
    }

    /// The bytes, if it is bytes.
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        if let Kind::Bytes(bytes) = self.kind() { Some(bytes) } else { None }
    }

    /// The number, if it is an integer of at most 64 bits.
    pub fn as_i64(self) -> Option<i64> {
        if let Kind::Int(v) = self.kind() { Some(v) } else { None }
    }

    /// The number as an index or size: an integer that is not negative.
    pub fn as_usize(self) -> Option<usize> {
        self.as_i64().and_then(|v| v.try_into().ok())
    }

    /// The number, if it is an integer or real.
    pub fn as_f64(self) -> Option<f64> {
        match self.kind() {
            Kind::Int(v) => Some(v as f64),
            Kind::Float(v) => Some(v),
            _ => None,
        }
    }

    /// Whether it is `None`.
    pub fn is_none(self) -> bool {
        self.kind() == Kind::None
    }

    /// Whether it is the class or function `module.name`.
    pub fn is_global(self, module: &str, name: &str) -> bool {
        self.kind() == Kind::Global { module, name }
    }

    /// Class or function of an object's recorded call, and the tuple of its arguments.
    pub fn called(self) -> Option<(Value<'a>, Value<'a>)> {
        self.object().map(|o| (self.with(o.class), self.with(o.args)))
    }

    /// Module and name of the class of an object.
    pub fn class(self) -> Option<(&'a str, &'a str)> {
        match self.called()?.0.kind() {
            Kind::Global { module, name } => Some((module, name)),
            _ => None,
        }
    }

    /// State from which an object's attributes would have been set, mostly a dictionary.
    pub fn state(self) -> Option<Value<'a>> {
        self.object()?.state.map(|id| self.with(id))
    }

    /// Name that the pickle gives to an object outside it.
    pub fn persistent(self) -> Option<Value<'a>> {
        if let Node::Persistent(id) = self.node() { Some(self.with(*id)) } else { None }
    }

    /// A few words for messages, as `a list` or `the text "x"`.
    pub fn describe(self) -> String {
        let short = |text: &str| text.chars().take(60).flat_map(char::escape_debug).collect::<String>();
        match self.kind() {
            Kind::None => "None".into(),
            Kind::Bool(v) => if v { "True" } else { "False" }.into(),
            Kind::Int(v) => v.to_string(),
            Kind::BigInt(bytes) => format!("an integer of {} bits", 8 * bytes.len()),
            Kind::Float(v) => v.to_string(),
            Kind::Str(text) => format!("the text \"{}\"", short(text)),
            Kind::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Kind::List => format!("a list of {}", self.n_items()),
            Kind::Tuple => format!("a tuple of {}", self.n_items()),
            Kind::Dict => "a dictionary".into(),
            Kind::Global { module, name } => format!("the class {}", short(&format!("{module}.{name}"))),
            Kind::Object => {
                self.class().map_or("an object".into(), |(m, n)| format!("an object of {}", short(&format!("{m}.{n}"))))
            }
            Kind::Persistent => "a reference to something outside the pickle".into(),
        }
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}
