//! Compressed text, in and out: gzip, xz and zstd.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use potstill_core::files::atomic::{AtomicFile, write_error};
use potstill_core::{Error, Result};

/// Bytes read from disk, or decompressed, at a time.
const BUFFER: usize = 1 << 18;
/// An xz file that wants more memory than this to decompress is refused (`xz -9` needs 65 MiB).
const XZ_MEMORY_LIMIT: u64 = 1 << 30;

/// Opens a plain, gzip (one or more members), xz (one or more streams) or zstd file for reading.
///
/// The kind is told by the first bytes, not by the name.
///
/// # Errors
/// [`Error::Io`] naming `path`.
pub fn open_reader(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(BUFFER, File::open(path).map_err(|e| Error::io(path, "cannot open", e))?);
    let fail = |e| Error::io(path, "cannot read", e);
    Ok(match Compression::of_bytes(file.fill_buf().map_err(fail)?) {
        Compression::None => Box::new(file),
        Compression::Gzip => buffered(flate2::bufread::MultiGzDecoder::new(file)),
        Compression::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_LIMIT, flags);
            buffered(liblzma::bufread::XzDecoder::new_stream(file, stream.map_err(|e| fail(e.into()))?))
        }
        Compression::Zstd => buffered(zstd::stream::read::Decoder::with_buffer(file).map_err(fail)?),
    })
}

fn buffered(decoder: impl Read + Send + 'static) -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(BUFFER, decoder))
}

/// Compression of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// `.gz`
    Gzip,
    /// `.xz`
    Xz,
    /// `.zst`
    Zstd,
}

impl Compression {
    /// Compression told by the first bytes of a file.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        match bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// Compression told by the last extension of a file name.
    pub fn of_name(path: &Path) -> Self {
        match path.extension().and_then(|e| e.to_str()) {
            Some("gz") => Self::Gzip,
            Some("xz") => Self::Xz,
            Some("zst") => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// Writes an [`AtomicFile`], compressed as its name says.
pub struct CompressedFile(Encoder);

enum Encoder {
    None(AtomicFile),
    Gzip(flate2::write::GzEncoder<AtomicFile>),
    Xz(liblzma::write::XzEncoder<AtomicFile>),
    Zstd(zstd::stream::write::Encoder<'static, AtomicFile>),
}

impl CompressedFile {
    /// Opens a temporary file beside `path`.
    ///
    /// # Errors
    /// [`Error::Io`] naming `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let file = AtomicFile::create(path)?;
        Ok(Self(match Compression::of_name(path) {
            Compression::None => Encoder::None(file),
            Compression::Gzip => Encoder::Gzip(flate2::write::GzEncoder::new(file, flate2::Compression::default())),
            Compression::Xz => Encoder::Xz(liblzma::write::XzEncoder::new(file, 6)),
            Compression::Zstd => Encoder::Zstd(zstd_encoder(file).map_err(|e| write_error(path, e))?),
        }))
    }

    /// Completes the compressed stream and gives the file its name.
    ///
    /// # Errors
    /// [`Error::Io`] naming the path; nothing is left behind.
    pub fn commit(self) -> Result<()> {
        let path = self.path().to_path_buf();
        let file = match self.0 {
            Encoder::None(file) => Ok(file),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Xz(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        };
        file.map_err(|e| write_error(&path, e))?.commit()
    }

    /// Name that the file will have.
    pub fn path(&self) -> &Path {
        match &self.0 {
            Encoder::None(file) => file.path(),
            Encoder::Gzip(encoder) => encoder.get_ref().path(),
            Encoder::Xz(encoder) => encoder.get_ref().path(),
            Encoder::Zstd(encoder) => encoder.get_ref().path(),
        }
    }
}

/// Encoder that adds a checksum of the text, as the other formats have by themselves.
fn zstd_encoder(file: AtomicFile) -> std::io::Result<zstd::stream::write::Encoder<'static, AtomicFile>> {
    let mut encoder = zstd::stream::write::Encoder::new(file, 0)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

impl Write for CompressedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.0 {
            Encoder::None(file) => file.write(bytes),
            Encoder::Gzip(encoder) => encoder.write(bytes),
            Encoder::Xz(encoder) => encoder.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.0 {
            Encoder::None(file) => file.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
            Encoder::Xz(encoder) => encoder.flush(),
            Encoder::Zstd(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_round_trips_and_concatenates() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.txt", "a.txt.gz", "a.txt.xz", "a.txt.zst"] {
            let path = folder.path().join(name);
            let mut file = CompressedFile::create(&path).unwrap();
            file.write_all(b"some text\n").unwrap();
            file.commit().unwrap();
            let once = std::fs::read(&path).unwrap();
            assert_eq!(Compression::of_bytes(&once), Compression::of_name(&path));
            std::fs::write(&path, [once.clone(), once].concat()).unwrap();
            let mut text = String::new();
            open_reader(&path).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "some text\nsome text\n", "{name}");
        }
    }

    #[test]
    fn missing_file_is_named() {
        let error = open_reader(Path::new("no-such.xyz")).err().unwrap().to_string();
        assert!(error.starts_with("no-such.xyz: cannot open: No such file"), "{error}");
    }
}
