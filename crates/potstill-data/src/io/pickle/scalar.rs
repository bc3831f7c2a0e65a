//! Instructions that make numbers, text and bytes.

use super::Failure;
use super::machine::Machine;
use super::opcodes as op;
use super::table::{Node, Span, Table};

impl Machine<'_> {
    /// Every instruction that only makes a scalar; refuses those that nobody knows.
    pub(super) fn scalar(&mut self, code: u8) -> Result<(), Failure> {
        let node = match code {
            op::NONE => return self.push_id(Table::NONE),
            op::NEWTRUE => return self.push_id(Table::TRUE),
            op::NEWFALSE => return self.push_id(Table::FALSE),
            op::BININT => Node::Int(self.input.i32()?.into()),
            op::BININT1 => Node::Int(self.input.u8()?.into()),
            op::BININT2 => Node::Int(self.input.u16()?.into()),
            op::BINFLOAT => Node::Float(self.input.f64()?),
            op::LONG1 => self.long(true)?,
            op::LONG4 => self.long(false)?,
            op::INT | op::LONG | op::FLOAT => self.number(code)?,
            op::SHORT_BINUNICODE | op::BINUNICODE | op::BINUNICODE8 => {
                let span = self.counted(code)?;
                self.input.text(span)?;
                Node::Str(span)
            }
            op::SHORT_BINBYTES | op::BINBYTES | op::BINBYTES8 | op::BYTEARRAY8 => Node::Bytes(self.counted(code)?),
            op::SHORT_BINSTRING | op::BINSTRING => {
                let span = self.counted(code)?;
                if self.input.text(span).is_ok() { Node::Str(span) } else { Node::Bytes(span) }
            }
            op::STRING | op::UNICODE => self.line_of_text(code)?,
            _ => return self.bad(format!("instruction 0x{code:02x}, which this reader does not know")),
        };
        self.push(node)
    }

    /// Bytes behind their number.
    fn counted(&mut self, code: u8) -> Result<Span, Failure> {
        let length = match code {
            op::SHORT_BINUNICODE | op::SHORT_BINBYTES | op::SHORT_BINSTRING => self.input.u8()?.into(),
            op::BINUNICODE8 | op::BINBYTES8 | op::BYTEARRAY8 => self.input.u64()?,
            _ => self.input.u32()?.into(),
        };
        self.input.span(length)
    }

    fn long(&mut self, short: bool) -> Result<Node, Failure> {
        let length = if short { self.input.u8()?.into() } else { self.input.u32()? };
        let span = self.input.span(length.into())?;
        let bytes = self.input.of(span);
        if bytes.len() > 8 {
            return Ok(Node::BigInt(span));
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = if negative { [0xff; 8] } else { [0; 8] };
        wide[..bytes.len()].copy_from_slice(bytes);
        Ok(Node::Int(i64::from_le_bytes(wide)))
    }

    /// A number written in decimals (protocol 0).
    fn number(&mut self, code: u8) -> Result<Node, Failure> {
        let line = self.input.line_text()?.trim();
        let parsed = match (code, line) {
            (op::INT, "00") => Some(Node::Bool(false)),
            (op::INT, "01") => Some(Node::Bool(true)),
            (op::FLOAT, text) => text.parse().ok().map(Node::Float),
            (_, text) => text.trim_end_matches('L').parse().ok().map(Node::Int),
        };
        match parsed {
            Some(node) => Ok(node),
            None => self.bad("a number is unreadable or does not fit into 64 bits"),
        }
    }

    /// Text written on a line of its own (protocol 0); escapes are refused.
    fn line_of_text(&mut self, code: u8) -> Result<Node, Failure> {
        let mut span = self.input.line()?;
        if code == op::STRING {
            let bytes = self.input.of(span);
            match (bytes.first(), bytes.last()) {
                (Some(a @ (b'\'' | b'"')), Some(b)) if a == b && bytes.len() >= 2 => {
                    span = Span { start: span.start + 1, end: span.end - 1 };
                }
                _ => return self.bad("text is not in quotes"),
            }
        }
        if self.input.text(span)?.contains('\\') {
            return self.bad("text with escapes of protocol 0; save it again with protocol 2 or later");
        }
        Ok(Node::Str(span))
    }
}
