//! A driver with the engine: `cargo run --release -p potstill-ipi --example driver -- MODEL --template FILE (--unix NAME |
//! --address HOST:PORT) [--dtype f32|f64] [--units codata|ase|i-pi] [--atomic-energies] [--allow-direct] [--patience SECONDS]`.
//!
//! The arguments are those of `potstill ipi`. The template is the first system of its file. The number of threads is that of the
//! environment variable `RAYON_NUM_THREADS`.
#![allow(clippy::print_stderr, reason = "a program of its own")]

use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use potstill_core::Potential;
use potstill_data::io::{LabelKeys, read};
use potstill_engine::{Engine, FilterChoice};
use potstill_ipi::{Address, AtomicUnits, Driver, End, Options, connect};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |key: &str| args.iter().skip_while(|arg| *arg != key).nth(1).map(String::as_str);
    let has = |key: &str| args.iter().any(|arg| arg == key);
    let (model, template) = (args.first().ok_or("give a MODEL")?, value("--template").ok_or("give --template FILE")?);
    let address = match (value("--unix"), value("--address")) {
        (Some(name), None) => Address::unix(name)?,
        (None, Some(text)) => Address::tcp(text)?,
        _ => return Err("give either --unix NAME or --address HOST:PORT".into()),
    };
    let units = match value("--units") {
        None | Some("codata") => AtomicUnits::CODATA_2018,
        Some("ase") => AtomicUnits::ASE,
        Some("i-pi") => AtomicUnits::I_PI,
        Some(other) => return Err(format!("--units {other}: must be codata, ase or i-pi").into()),
    };
    let options = Options { atomic_energies: has("--atomic-energies"), allow_direct: has("--allow-direct"), units };
    let potential: Box<dyn Potential> = match value("--dtype") {
        Some("f64") => Box::new(Engine::<f64>::load(Path::new(model), FilterChoice::Exact)?),
        _ => Box::new(Engine::<f32>::load(Path::new(model), FilterChoice::default())?),
    };
    let template = read(Path::new(template), &LabelKeys::default())?.next().ok_or("the template holds no system")??;
    let driver = Driver::new(potential.as_ref(), &template, options)?;

    let patience = Duration::from_secs_f64(value("--patience").map_or(Ok(10.0), str::parse)?);
    let interrupt = AtomicBool::new(false);
    let Some(connection) = connect(&address, patience, &interrupt)? else { return Ok(()) };
    eprintln!("{address}: connected");
    let start = Instant::now();
    let ended = driver.run(connection, &interrupt, &mut |_| {})?;
    let (done, seconds) = (ended.statistics, start.elapsed().as_secs_f64());
    let how = match ended.end {
        End::Exit => "EXIT",
        End::Closed => "closed by the server",
        End::Interrupted => "interrupted",
    };
    eprintln!(
        "{how} after {} messages with {} systems in {seconds:.2} s, {:.2} s of them in the potential",
        done.n_requests,
        done.n_systems,
        done.evaluating.as_secs_f64()
    );
    Ok(())
}
