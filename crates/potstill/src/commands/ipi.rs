//! `potstill ipi`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use potstill_core::Precision;
use potstill_data::io::{LabelKeys, read};
use potstill_ipi::{Address, AtomicUnits, Driver, End, Options, connect};

use super::print_json;
use crate::Outcome;
use crate::args::EngineArgs;
use crate::interrupt::interrupt_flag;
use crate::limits::{number, precision};
use crate::potential;
use crate::progress::Progress;

/// Whose atomic units a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Units {
    /// CODATA 2018.
    Codata,
    /// Those of ASE (CODATA 2014).
    Ase,
    /// Those of i-PI, which are rounded.
    IPi,
}

impl From<Units> for AtomicUnits {
    fn from(units: Units) -> Self {
        match units {
            Units::Codata => Self::CODATA_2018,
            Units::Ase => Self::ASE,
            Units::IPi => Self::I_PI,
        }
    }
}

/// Arguments of `potstill ipi`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("server").required(true).args(["unix", "address"])))]
pub struct Args {
    /// Model file.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// File whose first system says elements and periodic axes.
    ///
    /// Its atoms are in the order of the server's. Where no axis is periodic, the cell that the server sends is ignored.
    #[arg(long, value_name = "FILE")]
    pub template: PathBuf,
    /// Name of the server's UNIX socket.
    ///
    /// NAME stands for /tmp/ipi_NAME, as i-PI and ASE have it; a name with a / is a path.
    #[arg(long, value_name = "NAME")]
    pub unix: Option<String>,
    /// Machine and port of the server.
    ///
    /// For example localhost:31415.
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// Precision of the network.
    #[arg(long, default_value = "f32", value_parser = precision(), value_name = "TYPE")]
    pub dtype: Precision,
    /// Send the energy of each atom in eV with the forces.
    ///
    /// As JSON, which i-PI prints with <trajectory extra_type='atomic_energies'> extras </trajectory>.
    #[arg(long)]
    pub atomic_energies: bool,
    /// Accept a model with direct forces.
    ///
    /// Dynamics will not conserve energy, and the virial is zero: no constant pressure.
    #[arg(long)]
    pub allow_direct: bool,
    /// Seconds to wait for a server that is not there yet.
    #[arg(long, default_value_t = 10.0, value_name = "S", value_parser = number(0.0..=86_400.0))]
    pub patience: f64,
    /// Atomic units of the server.
    ///
    /// They differ in the eighth figure: with those of the server, energies that it prints are the model's to the last.
    #[arg(long, value_enum, default_value_t = Units::Codata, value_name = "WHOSE", hide_short_help = true)]
    pub units: Units,
    /// Print what was done as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Computes energies and forces for a server until that says it is done.
pub fn run(args: &Args) -> Result<Outcome> {
    let address = match (&args.unix, &args.address) {
        (Some(name), _) => Address::unix(name).context("--unix")?,
        (None, Some(text)) => Address::tcp(text).context("--address")?,
        (None, None) => bail!("give --unix NAME or --address HOST:PORT"),
    };
    let interrupt = interrupt_flag()?;
    let chosen = potential::open(&args.model, &EngineArgs::default(), args.dtype)?;
    let Some(template) = read(&args.template, &LabelKeys::default())?.next().transpose()? else {
        bail!("{}: holds no system; give a file with the atoms of the server", args.template.display())
    };
    let options =
        Options { atomic_energies: args.atomic_energies, allow_direct: args.allow_direct, units: args.units.into() };
    let driver = Driver::new(chosen.potential.as_ref(), &template, options)
        .map_err(|error| error.located(&|index| Some((args.template.as_path(), index))))?;
    say!("{}", chosen.describe());
    let patience = Duration::from_secs_f64(args.patience);
    let Some(connection) = connect(&address, patience, &interrupt)? else { return Ok(Outcome::Interrupted) };
    say!("{address}: connected");
    let started = Instant::now();
    let progress = Progress::counter("answered");
    let ended = driver.run(connection, &interrupt, &mut |done| progress.set(done.n_systems));
    progress.finish();
    let ended = ended?;
    let (done, seconds) = (ended.statistics, started.elapsed().as_secs_f64());
    say!(
        "{address}: {} after {} systems in {} messages, {seconds:.1} s, {:.1} s of them in the model",
        reason(ended.end),
        done.n_systems,
        done.n_requests,
        done.evaluating.as_secs_f64()
    );
    if args.json {
        print_json(&serde_json::json!({
            "end": reason(ended.end), "n_systems": done.n_systems, "n_requests": done.n_requests, "seconds": seconds,
            "seconds_in_model": done.evaluating.as_secs_f64(), "engine": chosen.name(),
        }))?;
    }
    Ok(if ended.end == End::Interrupted { Outcome::Interrupted } else { Outcome::Done })
}

fn reason(end: End) -> &'static str {
    match end {
        End::Exit => "done",
        End::Closed => "closed by the server",
        End::Interrupted => "interrupted",
    }
}
