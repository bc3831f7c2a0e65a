//! The pickle machine: a loop over instructions that fills a [`Table`]; it calls nothing.

use std::collections::HashMap;

use super::input::Input;
use super::opcodes as op;
use super::table::{Id, Node, Object, Span, Table};
use super::{Allowed, Failure};

pub(super) struct Machine<'a> {
    pub(super) input: Input<'a>,
    pub(super) table: Table,
    stack: Vec<Id>,
    /// Heights of the stack at the marks that are still open.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    allowed: Allowed,
}

/// Runs the pickle at `start`: its values, the outermost one, and the byte behind it.
pub(super) fn run(bytes: &[u8], start: usize, allowed: Allowed) -> Result<(Table, Id, usize), Failure> {
    let input = Input::new(bytes, start);
    let (stack, marks, memo) = (Vec::new(), Vec::new(), HashMap::new());
    let mut machine = Machine { input, table: Table::new(), stack, marks, memo, allowed };
    loop {
        match machine.input.u8()? {
            op::STOP => {
                let root = machine.pop()?;
                return Ok((machine.table, root, machine.input.position));
            }
            code => machine.step(code)?,
        }
    }
}

impl Machine<'_> {
    fn step(&mut self, code: u8) -> Result<(), Failure> {
        match code {
            op::PROTO => self.protocol(),
            op::FRAME => self.input.u64().map(|_| ()),
            op::MARK => {
                self.table.count_reference()?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::POP => match self.marks.last() {
                Some(&height) if height == self.stack.len() => self.take_marked().map(|_| ()),
                _ => self.pop().map(|_| ()),
            },
            op::POP_MARK => self.take_marked().map(|_| ()),
            op::DUP => {
                let top = self.top()?;
                self.push_id(top)
            }
            op::GET | op::BINGET | op::LONG_BINGET => self.recall(code),
            op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => self.remember(code),
            op::APPEND | op::APPENDS | op::ADDITEMS | op::SETITEM | op::SETITEMS => self.extend(code),
            op::GLOBAL | op::STACK_GLOBAL => self.global(code),
            op::REDUCE | op::NEWOBJ | op::NEWOBJ_EX | op::INST | op::OBJ => self.object(code),
            op::BUILD => self.build(),
            op::PERSID | op::BINPERSID => self.persistent(code),
            op::EMPTY_LIST | op::EMPTY_SET => self.push(Node::List(Vec::new())),
            op::EMPTY_TUPLE => self.push(Node::Tuple(Vec::new())),
            op::EMPTY_DICT => self.push(Node::Dict(Vec::new())),
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let items = self.pop_n(usize::from(code - op::TUPLE1) + 1)?;
                self.push(Node::Tuple(items))
            }
            op::TUPLE => self.container(Node::Tuple),
            op::LIST | op::FROZENSET => self.container(Node::List),
            op::DICT => {
                let items = self.take_marked()?;
                self.even(&items)?;
                self.push(Node::Dict(items))
            }
            _ => self.scalar(code),
        }
    }

    pub(super) fn bad<T>(&self, message: impl std::fmt::Display) -> Result<T, Failure> {
        Err(Failure::Bad(format!("byte {} of the pickle: {message}", self.input.position)))
    }

    pub(super) fn push(&mut self, node: Node) -> Result<(), Failure> {
        let id = self.table.add(node)?;
        self.push_id(id)
    }

    pub(super) fn push_id(&mut self, id: Id) -> Result<(), Failure> {
        self.table.count_reference()?;
        self.stack.push(id);
        Ok(())
    }

    /// Height below which values belong to an enclosing container.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id, Failure> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => self.bad("a value is missing"),
        }
    }

    fn pop(&mut self) -> Result<Id, Failure> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_n(&mut self, n: usize) -> Result<Vec<Id>, Failure> {
        match self.stack.len().checked_sub(n) {
            Some(at) if at >= self.floor() => Ok(self.stack.split_off(at)),
            _ => self.bad("a value is missing"),
        }
    }

    /// Everything above the last mark, which is closed.
    fn take_marked(&mut self) -> Result<Vec<Id>, Failure> {
        match self.marks.pop() {
            Some(height) if height <= self.stack.len() => Ok(self.stack.split_off(height)),
            _ => self.bad("a mark is missing"),
        }
    }

    fn container(&mut self, node: fn(Vec<Id>) -> Node) -> Result<(), Failure> {
        let items = self.take_marked()?;
        self.push(node(items))
    }

    fn even(&self, items: &[Id]) -> Result<(), Failure> {
        if items.len().is_multiple_of(2) { Ok(()) } else { self.bad("a key has no value") }
    }

    fn protocol(&mut self) -> Result<(), Failure> {
        match self.input.u8()? {
            0..=5 => Ok(()),
            version => self.bad(format!("protocol {version}; protocols 0 to 5 are known")),
        }
    }

    fn line_number(&mut self) -> Result<u32, Failure> {
        let line = self.input.line_text()?;
        line.trim().parse().or_else(|_| self.bad("a memo number is unreadable"))
    }

    fn recall(&mut self, code: u8) -> Result<(), Failure> {
        let key = match code {
            op::GET => self.line_number()?,
            op::BINGET => self.input.u8()?.into(),
            _ => self.input.u32()?,
        };
        match self.memo.get(&key) {
            Some(&id) => self.push_id(id),
            None => self.bad(format!("it recalls value {key}, which it has not stored")),
        }
    }

    fn remember(&mut self, code: u8) -> Result<(), Failure> {
        let key = match code {
            op::PUT => self.line_number()?,
            op::BINPUT => self.input.u8()?.into(),
            op::LONG_BINPUT => self.input.u32()?,
            _ => self.memo.len() as u32,
        };
        let top = self.top()?;
        if self.memo.insert(key, top).is_none() && self.memo.len() > super::MAX_VALUES {
            return self.bad("it stores too many values");
        }
        Ok(())
    }

    /// Puts items or pairs into the container below them.
    fn extend(&mut self, code: u8) -> Result<(), Failure> {
        let items = match code {
            op::APPEND => self.pop_n(1)?,
            op::SETITEM => self.pop_n(2)?,
            _ => self.take_marked()?,
        };
        let paired = matches!(code, op::SETITEM | op::SETITEMS);
        if paired {
            self.even(&items)?;
        }
        let container = self.top()?;
        let target = match self.table.get_mut(container) {
            Some(Node::List(list)) if !paired => list,
            Some(Node::Dict(dict)) if paired => dict,
            Some(Node::Object(object)) if paired => &mut object.pairs,
            Some(Node::Object(object)) => &mut object.items,
            _ => return self.bad("items are put into something that cannot hold them"),
        };
        target.extend(items);
        Ok(())
    }

    fn span_of(&self, id: Id) -> Result<Span, Failure> {
        match self.table.get(id) {
            Node::Str(span) => Ok(*span),
            _ => self.bad("the name of a class is not text"),
        }
    }

    fn global(&mut self, code: u8) -> Result<(), Failure> {
        let (module, name) = if code == op::GLOBAL {
            (self.input.line()?, self.input.line()?)
        } else {
            let pair = self.pop_n(2)?;
            match pair[..] {
                [module, name] => (self.span_of(module)?, self.span_of(name)?),
                _ => return self.bad("a value is missing"),
            }
        };
        self.named(module, name)?;
        self.push(Node::Global { module, name })
    }

    /// Refuses a class that the caller has not allowed.
    fn named(&self, module: Span, name: Span) -> Result<(), Failure> {
        let (module, name) = (self.input.text(module)?, self.input.text(name)?);
        if (self.allowed)(module, name) {
            return Ok(());
        }
        let full: String = format!("{module}.{name}").chars().take(120).flat_map(char::escape_debug).collect();
        let message = format!("names the class `{full}`, which this reader does not know; nothing was run");
        Err(Failure::Bad(format!("the pickle {message}")))
    }

    fn object(&mut self, code: u8) -> Result<(), Failure> {
        let (class, args) = match code {
            op::NEWOBJ_EX => {
                let three = self.pop_n(3)?;
                match three[..] {
                    // Keyword arguments are left out: no class that we look into has any.
                    [class, args, _] => (class, args),
                    _ => return self.bad("a value is missing"),
                }
            }
            op::INST => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.named(module, name)?;
                let items = self.take_marked()?;
                (self.table.add(Node::Global { module, name })?, self.table.add(Node::Tuple(items))?)
            }
            op::OBJ => {
                let mut items = self.take_marked()?;
                if items.is_empty() {
                    return self.bad("an object has no class");
                }
                let class = items.remove(0);
                (class, self.table.add(Node::Tuple(items))?)
            }
            _ => {
                let args = self.pop()?;
                (self.pop()?, args)
            }
        };
        if !matches!(self.table.get(class), Node::Global { .. }) {
            return self.bad("something that is not a class is called");
        }
        let object = Object { class, args, state: None, items: Vec::new(), pairs: Vec::new() };
        self.push(Node::Object(Box::new(object)))
    }

    fn build(&mut self) -> Result<(), Failure> {
        let state = self.pop()?;
        let target = self.top()?;
        match self.table.get_mut(target) {
            Some(Node::Object(object)) => object.state = Some(state),
            _ => return self.bad("a state is given to something that is not an object"),
        }
        Ok(())
    }

    fn persistent(&mut self, code: u8) -> Result<(), Failure> {
        let id = if code == op::PERSID {
            let span = self.input.line()?;
            self.input.text(span)?;
            self.table.add(Node::Str(span))?
        } else {
            self.pop()?
        };
        self.push(Node::Persistent(id))
    }
}
