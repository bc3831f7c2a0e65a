//! What the user can say.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use potstill_core::io::Overwrite;

/// Distil big, slow neural network potentials into small, fast ones.
///
/// Energies are in eV, lengths in Å, forces in eV/Å. Results go to standard output, everything else to standard error.
/// Exit status: 0 done, 1 a threshold that was asked for was missed, 2 failed, 130 interrupted.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Threads to use; default: one per core. Results depend on their number by rounding only.
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole mission on shipped data: train a student alone and distilled, compare, report. About 3 minutes.
    Demo(DemoArgs),
    /// Train a network on labelled systems.
    ///
    /// Example: potstill train configs/acac-painn.toml --out runs/acac
    Train(TrainArgs),
    /// Train a student with the help of a teacher; the configuration has a `[distill]` section.
    ///
    /// The teacher is asked once, before the first step; its answers are kept in a cache and reused.
    /// Example: potstill distill student.toml --out runs/student --set seed=1
    Distill(TrainArgs),
    /// Ask a teacher about a dataset once and keep energies, forces and features in a cache.
    ///
    /// Example: potstill label --model teacher.safetensors --data train.extxyz --out cache --node --vector
    Label(LabelArgs),
    /// Fit the scale factors of a GemNet-OC, as training does by itself, and print the section of a configuration.
    ///
    /// Example: potstill fit-scales configs/oc20-gemnet-oc.toml --out scales.toml
    FitScales(FitScalesArgs),
    /// Measure a model against labels.
    ///
    /// Example: potstill evaluate --model model.safetensors --data test.extxyz --max-force-mae 0.05
    Evaluate(EvaluateArgs),
    /// Write energies (`energy`), forces (`forces`) and atomic energies (`atomic_energies`) of systems to a file.
    ///
    /// Stress is written where a system has a cell and the model a gradient. Metadata and columns of the input stay, except
    /// its other labels.
    ///
    /// Example: potstill predict --model model.safetensors --input md.xyz --output predicted.extxyz
    Predict(PredictArgs),
    /// Time a model: systems, atoms and steps of dynamics per second, with the fast engine and with the network in turn.
    ///
    /// Example: potstill bench --model model.safetensors --atoms 1000,10000,100000 --threads 1
    Bench(BenchArgs),
    /// Train students in every way that a file lists, with every seed, and print one table.
    ///
    /// Runs that are done are skipped, others go on: the same command finishes a study that was interrupted.
    /// Example: potstill study configs/study-xcoll.toml --out study --jobs 2
    Study(StudyArgs),
    /// Compare the features of two networks, layer by layer (centred kernel alignment).
    ///
    /// Example: potstill similarity --a teacher.safetensors --b distilled.safetensors --b alone.safetensors --data
    /// test.extxyz --plot similarity.svg
    Similarity(SimilarityArgs),
    /// Turn a checkpoint of the Open Catalyst Project (`.pt`) into a model file; nothing in it is ever run.
    ///
    /// Example: potstill import --checkpoint best_checkpoint.pt --output painn.safetensors
    Import(ImportArgs),
    /// Write a model's weights under the names of the Open Catalyst Project, as safetensors.
    ///
    /// Example: potstill export --model painn.safetensors --output painn-ocp.safetensors
    Export(ExportArgs),
    /// Describe a model file.
    Info(InfoArgs),
    /// Look at data, convert it, split it.
    #[command(subcommand)]
    Data(DataCommand),
}

/// Names of labels in the files.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyArgs {
    /// Key of the energy; default: the first of the usual names that the file has.
    #[arg(long, value_name = "KEY")]
    pub energy_key: Option<String>,
    /// Name of the forces column; default: the first of the usual names that the file has.
    #[arg(long, value_name = "KEY")]
    pub forces_key: Option<String>,
    /// Key of stress or virial; default: the first of the usual names that the file has.
    #[arg(long, value_name = "KEY")]
    pub stress_key: Option<String>,
}

/// What may happen to files that exist already.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ExistingArgs {
    /// Replace files that exist, whatever they hold; inputs and read-only files stay. Default: only files of the same kind.
    #[arg(long)]
    pub overwrite: bool,
    /// Replace no file that exists.
    #[arg(long, conflicts_with = "overwrite")]
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

/// Precision of a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Double precision, slower.
    F64,
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder for models, summary.json and report.html; replaced when it exists.
    #[arg(long, default_value = "demo", value_name = "DIR")]
    pub out: PathBuf,
    /// Folder of the shipped data; default: data/xcoll-demo of the repository.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Configuration of the students; default: demo.toml beside the data.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Change a setting of both students, for example --set training.epochs=2.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of weights and order.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Judge on the validation split instead of the test split, for choosing settings.
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
    /// Go on from the run's last checkpoint, or start where there is none yet: a job script can always give it.
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,
    /// Start again in a folder that is not empty. The old run goes when the new one has made its first step; its cache of
    /// teacher targets stays.
    #[arg(long)]
    pub overwrite: bool,
    /// Change a setting, for example --set training.epochs=10.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of weights and order; default: that of the configuration.
    #[arg(long)]
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
    /// Change a setting, for example --set seed=1.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of the weights; default: that of the configuration.
    #[arg(long)]
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
    /// How they are made.
    #[arg(long, value_enum)]
    pub method: GenerateMethod,
    /// Structures of each seed, before any is thrown away.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub per_seed: usize,
    /// Use the first that many seeds only.
    #[arg(long, value_name = "N")]
    pub max_seeds: Option<usize>,
    /// Standard deviation of displacements in Å.
    #[arg(long, default_value_t = 0.05, value_name = "A")]
    pub std: f64,
    /// Steps downhill of rattle-relax.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub relax_steps: usize,
    /// Temperature of md, of molecules that collide and of the Boltzmann factor in K.
    #[arg(long, default_value_t = 300.0, value_name = "K")]
    pub temperature: f64,
    /// Time step of md and collide in fs.
    #[arg(long, default_value_t = 0.5, value_name = "FS")]
    pub timestep: f64,
    /// Time in which the bath of md forgets velocities, in fs.
    #[arg(long, default_value_t = 100.0, value_name = "FS")]
    pub friction_time: f64,
    /// Steps of md before the first snapshot.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub equilibration: usize,
    /// Steps of md and collide between snapshots.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub interval: usize,
    /// Snapshots of each collision; a seed has as many collisions as --per-seed takes.
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub snapshots: usize,
    /// Smallest kinetic energy of the approach of a collision in eV.
    #[arg(long, default_value_t = 0.3, value_name = "EV")]
    pub min_collision_energy: f64,
    /// Largest kinetic energy of the approach of a collision in eV.
    #[arg(long, default_value_t = 8.0, value_name = "EV")]
    pub max_collision_energy: f64,
    /// Largest distance at which centres of mass would pass each other, in Å.
    #[arg(long, default_value_t = 1.5, value_name = "A")]
    pub impact_parameter: f64,
    /// Distance of the closest atoms of two molecules before they collide, in Å.
    #[arg(long, default_value_t = 3.2, value_name = "A")]
    pub gap: f64,
    /// Throw away structures with a pair nearer than this, in Å.
    #[arg(long, default_value_t = 0.5, value_name = "A")]
    pub min_distance: f64,
    /// Throw away structures with a force component beyond this, in eV/Å.
    #[arg(long, default_value_t = 50.0, value_name = "EV_PER_A")]
    pub max_force: f64,
    /// Throw away structures whose energy lies that much above their seed's, in eV per atom.
    #[arg(long, default_value_t = 5.0, value_name = "EV")]
    pub max_energy_rise: f64,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Precision of the teacher.
    #[arg(long, value_enum, default_value_t)]
    pub dtype: Precision,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
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
    /// Trainings at a time; threads are divided among them.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub jobs: usize,
    /// Print the table as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `similarity`
#[derive(Debug, Args)]
pub struct SimilarityArgs {
    /// Model file whose layers are the rows, for example a teacher.
    #[arg(long, value_name = "FILE")]
    pub a: PathBuf,
    /// Model files whose layers are the columns; several give several tables.
    #[arg(long, value_name = "FILE", required = true)]
    pub b: Vec<PathBuf>,
    /// Files of systems; labels are not needed.
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub data: Vec<PathBuf>,
    /// Look at the first that many systems only.
    #[arg(long, value_name = "N")]
    pub max_systems: Option<usize>,
    /// Show the unbiased estimate, which differs where there are few atoms.
    #[arg(long)]
    pub unbiased: bool,
    /// Heat map to write (SVG).
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Print both estimates as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Checkpoint that the project's trainers wrote with `torch.save`.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// Model file to write.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// YAML configuration of the model; default: the one inside the checkpoint.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// File of scale factors; default: those inside the checkpoint.
    #[arg(long, value_name = "FILE")]
    pub scale_factors: Option<PathBuf>,
    /// Take 1 for scale factors that are missing.
    #[arg(long)]
    pub allow_unit_scales: bool,
    /// Take the averaged weights of a training checkpoint; a best checkpoint holds them already.
    #[arg(long)]
    pub use_ema: bool,
    /// Elements that the model was trained on, as symbols; default: all that it has room for.
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
    /// Safetensors file for the scale factors, which the project keeps apart; default: they are not written.
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
    /// Model file of the teacher; several give their mean and how far they are apart, and the first shows features. Or files
    /// of labels from another program.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub model: Vec<PathBuf>,
    /// Files of systems.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Folder of the cache.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Taps whose features are kept, such as U4; default: the last one.
    #[arg(long, num_args = 1.., value_name = "TAP")]
    pub tap: Vec<String>,
    /// Keep scalar features.
    #[arg(long)]
    pub node: bool,
    /// Keep vector features.
    #[arg(long)]
    pub vector: bool,
    /// Keep edge features, summed over the edges into each atom; a network without them shows its scalar ones.
    #[arg(long)]
    pub edge_sum: bool,
    /// Keep edge features.
    #[arg(long)]
    pub edge: bool,
    /// Precision of the features.
    #[arg(long, default_value = "f16", value_parser = ["f16", "f32"])]
    pub feature_precision: String,
    /// Keep derivatives of the forces along that many random directions, for the strategy hessian.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub probes: usize,
    /// Standard deviation of the displacements for those derivatives in Å.
    #[arg(long, default_value_t = 0.01, value_name = "A")]
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
    /// Exit with 1 when the energy MAE is above this, in eV.
    #[arg(long, value_name = "EV")]
    pub max_energy_mae: Option<f64>,
    /// Exit with 1 when the force MAE is above this, in eV/Å.
    #[arg(long, value_name = "EV_PER_A")]
    pub max_force_mae: Option<f64>,
    /// Also report each value of this metadata key, such as config_type.
    #[arg(long, value_name = "KEY")]
    pub group_by: Option<String>,
    /// Precision of the network.
    #[arg(long, value_enum, default_value_t)]
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
    /// File to write: extended XYZ, compressed when it ends in .gz, .xz or .zst, or .npz.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Print counts as JSON.
    #[arg(long)]
    pub json: bool,
    /// Precision of the network.
    #[arg(long, value_enum, default_value_t)]
    pub dtype: Precision,
    /// How the network is run.
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// `bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Model file.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Files of systems. Default: boxes of the model's elements with about 50 neighbours an atom.
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with = "atoms")]
    pub data: Vec<PathBuf>,
    /// Systems of the files that are evaluated at a time.
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub batch: usize,
    /// Numbers of atoms of the boxes.
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 10_000], value_name = "N,…")]
    pub atoms: Vec<usize>,
    /// Engines that are timed in turn.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [EngineKind::Fast, EngineKind::Network])]
    pub engine: Vec<EngineKind>,
    /// Its filters.
    #[command(flatten)]
    pub filters: FilterArgs,
    /// Seconds for each engine and size.
    #[arg(long, default_value_t = 5.0, value_name = "S")]
    pub seconds: f64,
    /// Precision.
    #[arg(long, value_enum, default_value_t)]
    pub dtype: Precision,
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
    /// Where the fast engine's filters come from; default: a table for f32, exact for f64.
    #[arg(long, value_enum)]
    pub filters: Option<FilterKind>,
    /// Largest error of the tables' values and derivatives, as a part of the largest value; default: 1e-6.
    #[arg(long, value_name = "ERROR")]
    pub table_accuracy: Option<f64>,
}

/// How a network is run.
#[derive(Debug, Clone, Default, Args)]
pub struct EngineArgs {
    /// What runs it; default: fast for SchNet and PaiNN, else network.
    #[arg(long, value_enum)]
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
    /// Count, and describe labels.
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
    /// Turn one format into another; both are known by their endings (.xyz, .extxyz, with .gz, .xz, .zst; .npz).
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
    /// Make structures from seeds and label them with a teacher: displaced at random, relaxed after that, or by dynamics.
    ///
    /// Each structure says in its metadata what it came from. Example: potstill data generate --teacher teacher.safetensors
    /// --seeds train.extxyz --method md --temperature 600 --per-seed 5 --output synthetic.extxyz
    Generate(GenerateArgs),
    /// Cut a dataset into parts, for example --parts train=0.8 val=0.1 test=0.1 --group-by traj.
    Split {
        /// File to read.
        input: PathBuf,
        /// Names and sizes: a fraction (0.8) or a number of systems (1000).
        #[arg(long, required = true, num_args = 1.., value_name = "NAME=SIZE")]
        parts: Vec<String>,
        /// Folder for NAME.extxyz of each part.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Keep systems together whose value of this key is equal, such as all frames of a trajectory.
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
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Names of labels.
        #[command(flatten)]
        keys: KeyArgs,
    },
}
