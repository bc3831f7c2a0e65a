//! One NumPy array (`.npy`), from bytes that may be anything.

/// An array of numbers in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its entries.
    pub numbers: Numbers,
}

/// Entries of an array.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Of a floating-point type.
    Real(Vec<f64>),
    /// Of an integer type.
    Integer(Vec<i64>),
}

impl Numbers {
    /// As reals.
    pub fn into_reals(self) -> Vec<f64> {
        match self {
            Self::Real(values) => values,
            Self::Integer(values) => values.into_iter().map(|v| v as f64).collect(),
        }
    }
}

/// Reads a `.npy` file that is wholly in memory; allocates no more than a small multiple of it.
///
/// # Errors
/// A message about what is wrong or not supported.
pub fn parse(bytes: &[u8]) -> Result<Array, String> {
    let (header, payload) = split(bytes).ok_or("is not a NumPy array, or is cut short")?;
    let header = std::str::from_utf8(header).map_err(|_| "has an unreadable header")?;
    let descr = field(header, "descr").and_then(quoted).ok_or("has no simple type")?;
    let fortran = field(header, "fortran_order").is_some_and(|v| v.starts_with("True"));
    let shape = field(header, "shape").and_then(tuple).ok_or("has no readable shape")?;
    let count = shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d)).ok_or("has an impossible shape")?;
    let mut numbers = decode(descr, payload, count, &shape)?;
    if fortran && shape.len() > 1 {
        let [rows, columns] = shape[..] else { return Err(format!("is in Fortran order with shape {shape:?}")) };
        match &mut numbers {
            Numbers::Real(values) => *values = transposed(values, rows, columns),
            Numbers::Integer(values) => *values = transposed(values, rows, columns),
        }
    }
    Ok(Array { shape, numbers })
}

/// The text of a `.npy` file that holds one text, or the first of several; `None` for numbers.
pub fn parse_text(bytes: &[u8]) -> Option<String> {
    let (header, payload) = split(bytes)?;
    let descr = field(std::str::from_utf8(header).ok()?, "descr").and_then(quoted)?;
    let (order, kind) = descr.split_at_checked(1)?;
    let (kind, length) = kind.split_at_checked(1)?;
    let length: usize = length.parse().ok()?;
    let text: String = match kind {
        "S" => payload.get(..length)?.iter().map(|&b| char::from(b)).collect(),
        "U" => {
            let entries = payload.get(..length.checked_mul(4)?)?.as_chunks::<4>().0;
            let code = |b: &[u8; 4]| if order == ">" { u32::from_be_bytes(*b) } else { u32::from_le_bytes(*b) };
            entries.iter().map(|b| char::from_u32(code(b)).unwrap_or('?')).collect()
        }
        _ => return None,
    };
    Some(text.trim_end_matches('\0').to_owned())
}

/// Header text and entries.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (version, rest) = rest.split_at_checked(2)?;
    let (len, rest) = if version[0] == 1 {
        let (len, rest) = rest.split_first_chunk::<2>()?;
        (usize::from(u16::from_le_bytes(*len)), rest)
    } else {
        let (len, rest) = rest.split_first_chunk::<4>()?;
        (usize::try_from(u32::from_le_bytes(*len)).ok()?, rest)
    };
    rest.split_at_checked(len)
}

/// What follows `'name':` in the dictionary.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{name}':"))?;
    Some(rest.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.split('\'').next()
}

fn tuple(text: &str) -> Option<Vec<usize>> {
    let inner = text.strip_prefix('(')?.split_once(')')?.0;
    inner.split(',').map(str::trim).filter(|d| !d.is_empty()).map(|d| d.parse().ok()).collect()
}

fn decode(descr: &str, payload: &[u8], count: usize, shape: &[usize]) -> Result<Numbers, String> {
    let unsupported = || format!("has type `{descr}`, expected integers or reals");
    let (order, kind) = descr.split_at_checked(1).ok_or_else(unsupported)?;
    let size: usize = kind.get(1..).and_then(|s| s.parse().ok()).ok_or_else(unsupported)?;
    let wanted = count.checked_mul(size).ok_or("has an impossible shape")?;
    let entries = payload.get(..wanted).ok_or_else(|| {
        format!("has shape {shape:?} of `{descr}`, which takes {wanted} bytes, but holds {}", payload.len())
    })?;
    let big = order == ">";
    macro_rules! entries {
        ($type:ty) => {
            entries.chunks_exact(size_of::<$type>()).map(|chunk| {
                let mut bytes = [0; size_of::<$type>()];
                bytes.copy_from_slice(chunk);
                if big { <$type>::from_be_bytes(bytes) } else { <$type>::from_le_bytes(bytes) }
            })
        };
    }
    Ok(match kind {
        "f8" => Numbers::Real(entries!(f64).collect()),
        "f4" => Numbers::Real(entries!(f32).map(f64::from).collect()),
        "i8" => Numbers::Integer(entries!(i64).collect()),
        "i4" => Numbers::Integer(entries!(i32).map(i64::from).collect()),
        "i2" => Numbers::Integer(entries!(i16).map(i64::from).collect()),
        "i1" => Numbers::Integer(entries!(i8).map(i64::from).collect()),
        "u4" => Numbers::Integer(entries!(u32).map(i64::from).collect()),
        "u2" => Numbers::Integer(entries!(u16).map(i64::from).collect()),
        "u1" => Numbers::Integer(entries!(u8).map(i64::from).collect()),
        "u8" => {
            let values: Result<_, _> = entries!(u64).map(i64::try_from).collect();
            Numbers::Integer(values.map_err(|_| "holds an integer above 2^63")?)
        }
        _ => return Err(unsupported()),
    })
}

/// Row by row what was stored column by column.
fn transposed<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    (0..rows).flat_map(|i| (0..columns).map(move |j| values[j * rows + i])).collect()
}
