//! The bytes of a pickle, taken one after the other.

use super::Failure;
use super::table::Span;

pub(super) struct Input<'a> {
    bytes: &'a [u8],
    pub(super) position: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8], start: usize) -> Self {
        Self { bytes, position: start.min(bytes.len()) }
    }

    pub(super) fn of(&self, span: Span) -> &'a [u8] {
        self.bytes.get(span.start..span.end).unwrap_or_default()
    }

    /// The next `length` bytes.
    pub(super) fn span(&mut self, length: u64) -> Result<Span, Failure> {
        let start = self.position;
        let length = usize::try_from(length).map_err(|_| Failure::CutShort)?;
        let end = start.checked_add(length).filter(|&end| end <= self.bytes.len()).ok_or(Failure::CutShort)?;
        self.position = end;
        Ok(Span { start, end })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        let span = self.span(N as u64)?;
        self.of(span).try_into().map_err(|_| Failure::CutShort)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Failure> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Failure> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Failure> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, Failure> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Failure> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Big-endian, as pickles store it.
    pub(super) fn f64(&mut self) -> Result<f64, Failure> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    /// The rest of the line, without its end.
    pub(super) fn line(&mut self) -> Result<Span, Failure> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest).ok_or(Failure::CutShort)?;
        let span = self.span(length as u64)?;
        self.position += 1;
        Ok(span)
    }

    /// The rest of the line as text.
    pub(super) fn line_text(&mut self) -> Result<&'a str, Failure> {
        let span = self.line()?;
        self.text(span)
    }

    pub(super) fn text(&self, span: Span) -> Result<&'a str, Failure> {
        std::str::from_utf8(self.of(span))
            .map_err(|_| Failure::Bad(format!("the pickle has text that is not UTF-8 at byte {}", span.start)))
    }
}
