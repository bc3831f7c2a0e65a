//! Checkpoints of other programs: pickles, and files of `torch.save`.

use std::path::Path;

use potstill_core::{Error, Result};
use potstill_data::io::pickle::{Pickle, Value, to_json};
use potstill_data::io::torch::{TorchFile, number};
use potstill_nn::import::{ImportOptions, import, read_scale_factors};
use potstill_testkit::fuzz::{Target, shape};

use super::corpus;
use super::systems::reader;

/// Instructions and names.
pub const PICKLE: &[&str] = &[
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "ctorch\nFloatStorage\n",
    "ctorch\nLongStorage\n",
    "ccollections\nOrderedDict\n",
    "Vstorage\n",
    "(d",
    "(l",
    "(t",
    "}",
    "]",
    ")",
    "R",
    "Q",
    "s",
    "u",
    "e",
    "b",
    "2",
    "0",
    ".",
    "I1\n",
    "I-1\n",
    "I9223372036854775807\n",
    "F1e308\n",
    "p0\n",
    "g0\n",
    "h\u{0}",
    "j\u{1}\u{0}\u{0}\u{0}",
    "X\u{1}\u{0}\u{0}\u{0}a",
    "B\u{7f}\u{7f}\u{7f}\u{7f}",
    "K\u{7f}",
    "N",
    "00\n",
];

/// All of them.
pub fn targets() -> Vec<Target> {
    let of = |name, file, shape, read| Target {
        name,
        file,
        corpus: corpus(name),
        dictionary: PICKLE,
        shape,
        read: reader(read),
    };
    vec![
        of("pickle", "input.pickle", shape::plain, pickle),
        of("torch", "input.pt", shape::zip, torch),
        of("import", "input.pt", shape::zip, checkpoint),
    ]
}

fn pickle(path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "cannot open", e))?;
    let pickle = Pickle::parse(bytes, 0, |_, _| true).map_err(|e| Error::file(path, String::from(e)))?;
    pickle.values().for_each(look_at);
    to_json(pickle.root()).map(|_| ()).map_err(|e| Error::file(path, e))
}

/// Asks a value everything that can be asked.
fn look_at(value: Value<'_>) {
    value.describe();
    number(value);
    value.get("config");
    let (_, _) = (value.items().take(10).count(), value.pairs().take(10).count());
    let (_, _, _) = (value.class(), value.state(), value.persistent());
}

fn torch(path: &Path) -> Result<()> {
    let file = TorchFile::open(path)?;
    file.values().for_each(look_at);
    for tensor in file.values().filter(|value| TorchFile::is_tensor(*value)) {
        file.read(&file.tensor(tensor)?)?.into_f64();
    }
    read_scale_factors(path).map(|_| ())
}

fn checkpoint(path: &Path) -> Result<()> {
    let options = ImportOptions { allow_unit_scales: true, ..ImportOptions::default() };
    import(path, &options, &path.with_file_name("imported.safetensors")).map(|_| ())
}
