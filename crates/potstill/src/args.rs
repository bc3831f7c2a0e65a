//! What the user can say.

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use potstill_core::Precision;
use potstill_data::io::Overwrite;

use crate::limits::{number, positive, precision, seed, whole};
use crate::talk::Level;

/// Distil big, slow neural network potentials into small, fast ones.
///
/// Energies are in eV, lengths in Å, forces in eV/Å. Results go to standard output, everything else to standard error.
/// Exit status: 0 done, 1 a threshold that was asked for was missed, 2 failed, 70 an error of potstill itself, 130 interrupted.
/// A line of standard error that cannot be written is dropped; a result that cannot be written is a failure, unless nobody
/// reads on (`potstill … | head`).
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Threads to use; default: one per core.
    ///
    /// Results depend on their number by rounding only.
    #[arg(long, global = true, value_name = "N", value_parser = whole(1..=1024_usize), display_order = 1000)]
    pub threads: Option<usize>,
    /// Say nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 1001)]
    pub quiet: bool,
    /// Say more about what is done.
    #[arg(short, long, global = true, display_order = 1002)]
    pub verbose: bool,
}

impl Cli {
    /// The program with all its commands, options and help.
    pub fn program() -> clap::Command {
        with_negative_numbers(Self::command())
    }

    /// Reads the command line.
    pub fn read() -> Result<Self, clap::Error> {
        let mut matches = Self::program().try_get_matches()?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut Self::program()))
    }

    /// How much the user wants to hear.
    pub fn level(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Quiet,
            (_, true) => Level::Verbose,
            _ => Level::Normal,
        }
    }
}

/// Lets `-1` be a value, so that the answer to `--std -1` says what it may be and not that there is no option `-1`.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let allow = |arg: clap::Arg| match arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    };
    command.mut_args(allow).mut_subcommands(with_negative_numbers)
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train and distil a student on shipped data, compare, report.
    ///
    /// The student is trained alone and distilled, in about 3 minutes.
    ///
    /// Example: potstill demo --out demo
    Demo(DemoArgs),
    /// Train a network on labelled systems.
    ///
    /// Example: potstill train configs/acac-painn.toml --out runs/acac
    Train(TrainArgs),
    /// Train a student with the help of a teacher.
    ///
    /// The configuration has a `[distill]` section. The teacher is asked once, before the first step; its answers are kept in a
    /// cache and reused.
    ///
    /// Example: potstill distill student.toml --out runs/student --set seed=1
    Distill(TrainArgs),
    /// Keep what a teacher says of a dataset in a cache.
    ///
    /// Energies and forces are always kept, features when they are asked for.
    ///
    /// Example: potstill label --model teacher.safetensors --data train.extxyz --out cache --node --vector
    Label(LabelArgs),
    /// Fit the scale factors of a GemNet-OC.
    ///
    /// Training does that by itself. Prints the section of a configuration.
    ///
    /// Example: potstill fit-scales configs/oc20-gemnet-oc.toml --out scales.toml
    FitScales(FitScalesArgs),
    /// Measure a model against labels.
    ///
    /// Example: potstill evaluate --model model.safetensors --data test.extxyz --max-force-mae 0.05
    Evaluate(EvaluateArgs),
    /// Write what a model says of systems to a file.
    ///
    /// Energies are under `energy`, forces under `forces`, atomic energies under `atomic_energies`. Stress is written where a
    /// system has a cell and the model a gradient. Metadata and columns of the input stay, except its other labels.
    ///
    /// Example: potstill predict --model model.safetensors --input md.xyz --output predicted.extxyz
    Predict(PredictArgs),
    /// Time a model.
    ///
    /// Prints systems, atoms and steps of dynamics per second, with the fast engine and with the network in turn.
    ///
    /// Example: potstill bench --model model.safetensors --atoms 1000,10000,100000 --threads 1
    Bench(BenchArgs),
    /// Train students in many ways and compare them in one table.
    ///
    /// A file lists the ways and seeds. Runs that are done are skipped, others go on: the same command finishes a study that was
    /// interrupted.
    ///
    /// Example: potstill study data/xcoll-demo/study.toml --out study --jobs 2
    Study(StudyArgs),
    /// Compare the features of two networks, layer by layer.
    ///
    /// The measure is centred kernel alignment.
    ///
    /// Example: potstill similarity --a teacher.safetensors --b distilled.safetensors --b alone.safetensors --data
    /// test.extxyz --plot similarity.svg
    Similarity(SimilarityArgs),
    /// Turn a checkpoint of the Open Catalyst Project into a model.
    ///
    /// Reads what `torch.save` wrote (`.pt`); nothing in it is ever run.
    ///
    /// Example: potstill import --checkpoint best_checkpoint.pt --output painn.safetensors
    Import(ImportArgs),
    /// Write weights under the Open Catalyst Project's names.
    ///
    /// Example: potstill export --model painn.safetensors --output painn-ocp.safetensors
    Export(ExportArgs),
    /// Describe a model file.
    ///
    /// Example: potstill info model.safetensors
    Info(InfoArgs),
    /// Look at data, convert it, split it.
    #[command(subcommand)]
    Data(DataCommand),
    /// Print a script that completes arguments in a shell.
    ///
    /// Example: potstill completions bash > ~/.local/share/bash-completion/completions/potstill
    Completions(CompletionsArgs),
    /// Write manual pages.
    ///
    /// Example: potstill man --out ~/.local/share/man/man1
    Man(ManArgs),
}

/// `completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// `man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for the pages.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Names of labels in the files.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyArgs {
    /// Key of energies, if unusual.
    ///
    /// The usual names are tried in turn, and the one that is taken is said on standard error.
    #[arg(long, value_name = "KEY")]
    pub energy_key: Option<String>,
    /// Key of forces, if unusual.
    #[arg(long, value_name = "KEY")]
    pub forces_key: Option<String>,
    /// Key of stress or virial, if unusual.
    #[arg(long, value_name = "KEY", hide_short_help = true)]
    pub stress_key: Option<String>,
}

/// What may happen to files that exist already.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ExistingArgs {
    /// Replace files of any kind that exist.
    ///
    /// Inputs and read-only files stay. Default: only files of the same kind are replaced.
    #[arg(long, hide_short_help = true)]
    pub overwrite: bool,
    /// Replace no file that exists.
    #[arg(long, conflicts_with = "overwrite", hide_short_help = true)]
    pub no_clobber: bool,
}

impl ExistingArgs {
    /// As the library has it.
    pub fn policy(self) -> Overwrite {
        match (self.overwrite, self.no_clobber) {
            (true, _) => Overwrite::Always,
            (false, true) => Overwrite::Never,
            (false, false) => Overwrite::SameKind,
        }
    }
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder for models and report; replaced when it exists.
    #[arg(long, default_value = "demo", value_name = "DIR")]
    pub out: PathBuf,
    /// Folder of the data; default: data/xcoll-demo.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Configuration; default: demo.toml beside the data.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Change a setting, as --set training.epochs=2.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of weights and order.
    #[arg(long, default_value_t = 0, value_parser = seed)]
    pub seed: u64,
    /// Judge on the validation split, for choosing settings.
    #[arg(long)]
    pub judge_on_validation: bool,
    /// Print summary.json instead of the table.
    #[arg(long)]
    pub json: bool,
}

/// `train` and `distill`
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// TOML configuration; paths in it are relative to it.
    pub config: PathBuf,
    /// Folder of the run.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Go on from the last checkpoint, if there is one.
    ///
    /// Starts where there is none yet: a job script can always give it.
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,
    /// Start again in a folder that is not empty.
    ///
    /// The old run goes when the new one has made its first step; its cache of teacher targets stays.
    #[arg(long)]
    pub overwrite: bool,
    /// Change a setting, as --set training.epochs=10.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of weights and order; default: that of the configuration.
    #[arg(long, value_parser = seed)]
    pub seed: Option<u64>,
    /// Where to compute.
    #[arg(long, default_value = "cpu", value_parser = ["cpu"])]
    pub device: String,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `fit-scales`
#[derive(Debug, Args)]
pub struct FitScalesArgs {
    /// TOML configuration of the network and its training systems.
    pub config: PathBuf,
    /// TOML file for the factors; default: standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Change a setting, as --set seed=1.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of the weights; default: that of the configuration.
    #[arg(long, value_parser = seed)]
    pub seed: Option<u64>,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Print the factors as JSON.
    #[arg(long)]
    pub json: bool,
}

/// How `data generate` makes structures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GenerateMethod {
    /// Random displacements of free atoms.
    Rattle,
    /// Random displacements, some steps downhill, then a choice by Boltzmann factor.
    RattleRelax,
    /// Snapshots of Langevin dynamics.
    Md,
    /// Snapshots of collisions of each seed with others; for molecules.
    Collide,
}

/// `data generate`
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Model file of the teacher.
    #[arg(long, value_name = "FILE")]
    pub teacher: PathBuf,
    /// Files of systems to start from.
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub seeds: Vec<PathBuf>,
    /// File for the structures.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// rattle, rattle-relax, md or collide.
    ///
    /// rattle: random displacements of free atoms. rattle-relax: after those some steps downhill, then a choice by Boltzmann
    /// factor. md: snapshots of Langevin dynamics. collide: snapshots of collisions of each seed with others, for molecules.
    #[arg(long, value_enum, value_name = "HOW", hide_possible_values = true)]
    pub method: GenerateMethod,
    /// Structures of each seed.
    ///
    /// Counted before any is thrown away.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = whole(1..=1_000_000_usize))]
    pub per_seed: usize,
    /// Use the first that many seeds only.
    #[arg(long, value_name = "N", value_parser = whole(1..=usize::MAX), hide_short_help = true)]
    pub max_seeds: Option<usize>,
    /// Size of displacements in Å.
    ///
    /// Standard deviation of each component, for rattle and rattle-relax.
    #[arg(long, default_value_t = 0.05, value_name = "A", value_parser = positive(10.0))]
    pub std: f64,
    /// Steps downhill of rattle-relax.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = whole(0..=1_000_000_usize), hide_short_help = true)]
    pub relax_steps: usize,
    /// Temperature in K.
    ///
    /// That of md, of molecules that collide and of the Boltzmann factor.
    #[arg(long, default_value_t = 300.0, value_name = "K", value_parser = positive(1e7))]
    pub temperature: f64,
    /// Time step of md and collide in fs.
    #[arg(long, default_value_t = 0.5, value_name = "FS", value_parser = positive(100.0), hide_short_help = true)]
    pub timestep: f64,
    /// Time in which the bath of md forgets velocities, in fs.
    #[arg(long, default_value_t = 100.0, value_name = "FS", value_parser = positive(1e9), hide_short_help = true)]
    pub friction_time: f64,
    /// Steps of md before the first snapshot.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = whole(0..=1_000_000_000_usize), hide_short_help = true)]
    pub equilibration: usize,
    /// Steps of md and collide between snapshots.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = whole(1..=1_000_000_000_usize), hide_short_help = true)]
    pub interval: usize,
    /// Snapshots of each collision; a seed has as many collisions as --per-seed takes.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = whole(1..=1_000_000_usize), hide_short_help = true)]
    pub snapshots: usize,
    /// Smallest kinetic energy of the approach of a collision in eV.
    #[arg(long, default_value_t = 0.3, value_name = "EV", value_parser = number(0.0..=1e4), hide_short_help = true)]
    pub min_collision_energy: f64,
    /// Largest kinetic energy of the approach of a collision in eV.
    #[arg(long, default_value_t = 8.0, value_name = "EV", value_parser = positive(1e4), hide_short_help = true)]
    pub max_collision_energy: f64,
    /// Largest distance at which centres of mass would pass each other, in Å.
    #[arg(long, default_value_t = 1.5, value_name = "A", value_parser = number(0.0..=100.0), hide_short_help = true)]
    pub impact_parameter: f64,
    /// Distance of the closest atoms of two molecules before they collide, in Å.
    #[arg(long, default_value_t = 3.2, value_name = "A", value_parser = positive(100.0), hide_short_help = true)]
    pub gap: f64,
    /// Smallest distance of two atoms in Å.
    ///
    /// Structures with nearer atoms are thrown away.
    #[arg(long, default_value_t = 0.5, value_name = "A", value_parser = number(0.0..=100.0))]
    pub min_distance: f64,
    /// Largest force in eV/Å.
    ///
    /// Structures with a larger component are thrown away.
    #[arg(long, default_value_t = 50.0, value_name = "F", value_parser = positive(1e9))]
    pub max_force: f64,
    /// Most energy above the seed's, in eV per atom.
    ///
    /// Structures that lie higher are thrown away.
    #[arg(hide_short_help = true, long, default_value_t = 5.0, value_name = "EV", value_parser = positive(1e9))]
    pub max_energy_rise: f64,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 0, value_parser = seed)]
    pub seed: u64,
    /// Precision of the teacher.
    #[arg(long, default_value = "f32", value_parser = precision(), value_name = "TYPE", hide_short_help = true)]
    pub dtype: Precision,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Names of labels.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Print counts as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `study`
#[derive(Debug, Args)]
pub struct StudyArgs {
    /// TOML file of the study.
    pub config: PathBuf,
    /// Folder for runs, tables and report.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Trainings at a time, which share the threads.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = whole(1..=256_usize))]
    pub jobs: usize,
    /// Print the table as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `similarity`
#[derive(Debug, Args)]
pub struct SimilarityArgs {
    /// Model file whose layers are the rows.
    ///
    /// For example a teacher.
    #[arg(long, value_name = "FILE")]
    pub a: PathBuf,
    /// Model file whose layers are the columns.
    ///
    /// Several give several tables: --b distilled.safetensors --b alone.safetensors.
    #[arg(long, value_name = "FILE", required = true)]
    pub b: Vec<PathBuf>,
    /// Files of systems; labels are not needed.
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub data: Vec<PathBuf>,
    /// Look at the first that many systems only.
    #[arg(long, value_name = "N", value_parser = whole(1..=usize::MAX))]
    pub max_systems: Option<usize>,
    /// Show the unbiased estimate.
    ///
    /// It differs where there are few atoms.
    #[arg(long)]
    pub unbiased: bool,
    /// Heat map to write (SVG).
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Names of labels.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Print both estimates as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Checkpoint (`.pt`).
    ///
    /// As the project's trainers wrote it with `torch.save`.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// Model file to write.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// YAML configuration; default: that of the checkpoint.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Scale factors; default: those of the checkpoint.
    #[arg(long, value_name = "FILE")]
    pub scale_factors: Option<PathBuf>,
    /// Take 1 for scale factors that are missing.
    #[arg(long)]
    pub allow_unit_scales: bool,
    /// Take the averaged weights of a training checkpoint.
    ///
    /// A best checkpoint holds them already.
    #[arg(long)]
    pub use_ema: bool,
    /// Elements that the model knows; default: all.
    ///
    /// Those that it was trained on, as symbols. Default: all that it has room for.
    #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "SYMBOL")]
    pub elements: Vec<String>,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Print the header of the model file as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Model file.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Safetensors file to write.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Safetensors file for the scale factors.
    ///
    /// The project keeps them apart. Default: they are not written.
    #[arg(long, value_name = "FILE")]
    pub scale_factors: Option<PathBuf>,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `label`
#[derive(Debug, Args)]
pub struct LabelArgs {
    /// Models of the teacher, or files of labels.
    ///
    /// Several models give their mean and how far they are apart, and the first shows features. Files of labels may come from
    /// another program.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub model: Vec<PathBuf>,
    /// Files of systems.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Folder of the cache.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Taps to keep; default: the last.
    ///
    /// Such as U4; `potstill info` lists them.
    #[arg(long, num_args = 1.., value_name = "TAP")]
    pub tap: Vec<String>,
    /// Keep scalar features.
    #[arg(long)]
    pub node: bool,
    /// Keep vector features.
    #[arg(long)]
    pub vector: bool,
    /// Keep edge features, summed at each atom.
    ///
    /// A network without edge features shows its scalar ones.
    #[arg(long)]
    pub edge_sum: bool,
    /// Keep edge features.
    #[arg(long)]
    pub edge: bool,
    /// f16 or f32, for features.
    #[arg(long, default_value = "f16", value_name = "TYPE", value_parser = ["f16", "f32"], hide_possible_values = true)]
    pub feature_precision: String,
    /// Force derivatives to keep.
    ///
    /// Along that many random directions; for the strategy hessian.
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = whole(0..=1000_usize))]
    pub probes: usize,
    /// Their displacement in Å.
    ///
    /// Standard deviation of each component.
    #[arg(long, default_value_t = 0.01, value_name = "A", value_parser = positive(1.0))]
    pub probe_step: f64,
    /// Names of labels.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `evaluate`
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Model file.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Files of labelled systems.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Exit with 1 above this energy MAE, in eV.
    #[arg(long, value_name = "E", value_parser = number(0.0..=1e9))]
    pub max_energy_mae: Option<f64>,
    /// Exit with 1 above this force MAE, in eV/Å.
    #[arg(long, value_name = "F", value_parser = number(0.0..=1e9))]
    pub max_force_mae: Option<f64>,
    /// Report each value of a metadata key, too.
    ///
    /// Such as config_type.
    #[arg(long, value_name = "KEY")]
    pub group_by: Option<String>,
    /// Precision of the network.
    #[arg(long, default_value = "f32", value_parser = precision(), value_name = "TYPE")]
    pub dtype: Precision,
    /// How the network is run.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Names of labels.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `predict`
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Model file.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// File of systems.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// File to write (extended XYZ or npz).
    ///
    /// Extended XYZ is compressed when the name ends in .gz, .xz or .zst.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Print counts as JSON.
    #[arg(long)]
    pub json: bool,
    /// Precision of the network.
    #[arg(long, default_value = "f32", value_parser = precision(), value_name = "TYPE")]
    pub dtype: Precision,
    /// How the network is run.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Names of labels.
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// `bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Model file.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Files of systems; default: generated boxes.
    ///
    /// The boxes hold the model's elements, with about 50 neighbours an atom.
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with = "atoms")]
    pub data: Vec<PathBuf>,
    /// Systems that are evaluated at a time.
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = whole(1..=1_000_000_usize))]
    pub batch: usize,
    /// Numbers of atoms of the boxes.
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 10_000], value_name = "N,…", value_parser = whole(1..=10_000_000_usize))]
    pub atoms: Vec<usize>,
    /// Engines that are timed in turn.
    #[arg(long, value_enum, value_name = "KIND,…", value_delimiter = ',', default_values_t = [EngineKind::Fast, EngineKind::Network])]
    pub engine: Vec<EngineKind>,
    /// Its filters.
    #[command(flatten)]
    pub filters: FilterArgs,
    /// Seconds for each engine and size.
    #[arg(long, default_value_t = 5.0, value_name = "S", value_parser = positive(86_400.0))]
    pub seconds: f64,
    /// Precision.
    #[arg(long, default_value = "f32", value_parser = precision(), value_name = "TYPE")]
    pub dtype: Precision,
    /// Names of labels.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Programs that run a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineKind {
    /// Kernels for SchNet and PaiNN.
    Fast,
    /// The tensor framework, for every network.
    Network,
}

/// Where filters of edges come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FilterKind {
    /// A table of the filter network.
    Table,
    /// The filter network.
    Exact,
}

/// How the fast engine computes filters.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct FilterArgs {
    /// Filters of the fast engine.
    ///
    /// Default: from a table for f32, exact for f64.
    #[arg(long, value_enum, value_name = "KIND")]
    pub filters: Option<FilterKind>,
    /// Largest error of the filters' tables; default: 1e-6.
    ///
    /// Of values and derivatives, as a part of the largest value.
    #[arg(long, value_name = "ERROR", hide_short_help = true)]
    pub table_accuracy: Option<f64>,
}

/// How a network is run.
#[derive(Debug, Clone, Default, Args)]
pub struct EngineArgs {
    /// What runs the network.
    ///
    /// Default: fast for SchNet and PaiNN, else network.
    #[arg(long, value_enum, value_name = "KIND")]
    pub engine: Option<EngineKind>,
    /// Its filters.
    #[command(flatten)]
    pub filters: FilterArgs,
}

/// `info`
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// Model file.
    pub model: PathBuf,
    /// Print the header as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `data …`
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Count systems and describe their labels.
    ///
    /// Example: potstill data info train.extxyz
    Info {
        /// Files of systems.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Names of labels.
        #[command(flatten)]
        keys: KeyArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Turn one format into another.
    ///
    /// Both are known by their endings: .xyz and .extxyz (also with .gz, .xz, .zst), .npz.
    ///
    /// Example: potstill data convert train.npz train.extxyz.xz
    Convert {
        /// File to read.
        input: PathBuf,
        /// File to write.
        output: PathBuf,
        /// Files that exist already.
        #[command(flatten)]
        existing: ExistingArgs,
        /// Print counts as JSON.
        #[arg(long)]
        json: bool,
        /// Names of labels.
        #[command(flatten)]
        keys: KeyArgs,
    },
    /// Make structures from seeds and label them with a teacher.
    ///
    /// They are displaced at random, relaxed after that, or come from dynamics. Each says in its metadata what it came from.
    ///
    /// Example: potstill data generate --teacher teacher.safetensors
    /// --seeds train.extxyz --method md --temperature 600 --per-seed 5 --output synthetic.extxyz
    Generate(GenerateArgs),
    /// Cut a dataset into parts.
    ///
    /// Example: potstill data split all.extxyz --parts train=0.8 val=0.1 test=0.1 --out parts
    Split {
        /// File to read.
        input: PathBuf,
        /// Names and sizes, as train=0.8 test=1000.
        ///
        /// A fraction or a number of systems.
        #[arg(long, required = true, num_args = 1.., value_name = "NAME=SIZE")]
        parts: Vec<String>,
        /// Folder for NAME.extxyz of each part.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Keep systems with the same value of a key together.
        ///
        /// Such as all frames of a trajectory.
        #[arg(long, value_name = "KEY")]
        group_by: Option<String>,
        /// Files that exist already.
        #[command(flatten)]
        existing: ExistingArgs,
        /// Print counts as JSON.
        #[arg(long)]
        json: bool,
        /// Ending of the files.
        #[arg(long, default_value = "extxyz")]
        format: String,
        /// Seed of the shuffle.
        #[arg(long, default_value_t = 0, value_parser = seed)]
        seed: u64,
        /// Names of labels.
        #[command(flatten)]
        keys: KeyArgs,
    },
}

#[cfg(test)]
mod tests;
