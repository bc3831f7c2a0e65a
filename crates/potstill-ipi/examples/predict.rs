//! What the engine says of systems in f64, as `potstill predict --dtype f64` writes it, for comparisons with what went over a
//! socket: `cargo run --release -p potstill-ipi --example predict -- --model MODEL --input FILE --output FILE`.

use std::error::Error;
use std::path::Path;

use potstill_core::Potential;
use potstill_core::system::Column;
use potstill_data::io::{LabelKeys, read, write};
use potstill_engine::{Engine, FilterChoice};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value =
        |key: &str| args.iter().skip_while(|arg| *arg != key).nth(1).ok_or(format!("give {key}")).map(Path::new);
    let engine = Engine::<f64>::load(value("--model")?, FilterChoice::Exact)?;
    let mut writer = write(value("--output")?)?;
    for system in read(value("--input")?, &LabelKeys::default())? {
        let mut system = system?;
        let prediction = engine.evaluate(&[&system])?;
        system.energy = Some(prediction.energy[0]);
        system.forces = Some(prediction.forces);
        system.stress = match (prediction.virial, system.volume()) {
            (Some(virial), Some(volume)) if system.is_periodic() => Some(virial[0].map(|row| row.map(|v| -v / volume))),
            _ => None,
        };
        system.columns.insert("atomic_energies".to_owned(), Column::real(prediction.atomic_energies));
        writer.write(&system)?;
    }
    writer.finish()?;
    Ok(())
}
