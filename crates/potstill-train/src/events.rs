//! Event files of TensorBoard: numbers of a run, by step.
//!
//! A file is a sequence of records: length (u64), its checksum, the record, its checksum (u32 each, little-endian; CRC-32C,
//! turned and shifted as TensorFlow's `record_writer` does). A record is an `Event` message of `event.proto`: `wall_time` (1,
//! double), `step` (2, int64), `file_version` (3, string) in the first one, `summary` (5) in the others. A `Summary` holds
//! values (1) with `tag` (1, string) and `simple_value` (2, float).

use std::io::{self, Write};

/// The first record of a file.
///
/// # Errors
/// Errors of `out`.
pub fn write_head(out: &mut (impl Write + ?Sized), wall_time: f64) -> io::Result<()> {
    let mut event = number(wall_time);
    bytes_field(&mut event, 3, b"brain.Event:2");
    record(out, &event)
}

/// The numbers of one step; `wall_time` in seconds since 1970.
///
/// # Errors
/// Errors of `out`.
pub fn write_scalars(
    out: &mut (impl Write + ?Sized),
    wall_time: f64,
    step: u64,
    scalars: &[(String, f64)],
) -> io::Result<()> {
    let mut summary = Vec::new();
    for (tag, value) in scalars {
        let mut entry = Vec::new();
        bytes_field(&mut entry, 1, tag.as_bytes());
        entry.push(2 << 3 | 5);
        entry.extend_from_slice(&(*value as f32).to_le_bytes());
        bytes_field(&mut summary, 1, &entry);
    }
    let mut event = number(wall_time);
    event.push(2 << 3);
    varint(&mut event, step);
    bytes_field(&mut event, 5, &summary);
    record(out, &event)
}

/// An event with its time.
fn number(wall_time: f64) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend_from_slice(&wall_time.to_le_bytes());
    event
}

fn bytes_field(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(field << 3 | 2);
    varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn record(out: &mut (impl Write + ?Sized), data: &[u8]) -> io::Result<()> {
    let length = (data.len() as u64).to_le_bytes();
    let mut all = Vec::with_capacity(data.len() + 16);
    all.extend_from_slice(&length);
    all.extend_from_slice(&masked(&length).to_le_bytes());
    all.extend_from_slice(data);
    all.extend_from_slice(&masked(data).to_le_bytes());
    out.write_all(&all)
}

fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_what_the_format_says() {
        let mut file = Vec::new();
        write_head(&mut file, 1.5).unwrap();
        write_scalars(&mut file, 2.5, 300, &[("train/loss".to_owned(), 0.25)]).unwrap();
        let mut rest = &file[..];
        let mut records = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let data = &rest[12..12 + length];
            let end = &rest[12 + length..16 + length];
            assert_eq!(end, masked(data).to_le_bytes());
            records.push(data.to_vec());
            rest = &rest[16 + length..];
        }
        // As TensorFlow 2 writes them, byte by byte.
        let head = [&[0x09][..], &1.5_f64.to_le_bytes(), &[0x1a, 13], b"brain.Event:2"].concat();
        let value = [&[0x0a, 10][..], b"train/loss", &[0x15], &0.25_f32.to_le_bytes()].concat();
        let summary = [&[0x0a, value.len() as u8][..], &value].concat();
        let step =
            [&[0x09][..], &2.5_f64.to_le_bytes(), &[0x10, 0xac, 0x02, 0x2a, summary.len() as u8], &summary].concat();
        assert_eq!(records, [head, step]);
        // The check value of CRC-32C, before and after the mask.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked(b"123456789"), 0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }
}
