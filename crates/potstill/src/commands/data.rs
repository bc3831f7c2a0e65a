//! `potstill data …`

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use potstill_data::dataset::audit::{Audit, Options, Split};
use potstill_data::dataset::{Gathering, Groups, Size, Statistics, Summary};
use potstill_data::io::{Kind as FileKind, LabelKeys, Output, Overwrite, read, write};

use super::{print, print_json, tell_left_out};
use crate::Outcome;
use crate::args::{ExistingArgs, KeyArgs};
use crate::limits::seed;
use crate::progress::Progress;
use crate::{audit, load};

/// Commands of `potstill data`.
#[derive(Debug, clap::Subcommand)]
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
    Generate(super::generate::Args),
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

/// Looks at data, converts it, splits it.
pub fn run(command: &DataCommand) -> Result<Outcome> {
    match command {
        DataCommand::Info { files, keys, json } => {
            let (mut gathering, mut audit) = (Gathering::default(), Audit::new(Options::default()));
            load::each_placed(files, &LabelKeys::from(keys), &mut |file, index, system| {
                gathering.add(&system);
                audit.add(Split::All, Some(file), index, &system);
                Ok(())
            })?;
            let (statistics, report) = (gathering.finish(), audit.finish());
            match json {
                true => {
                    let mut value = serde_json::to_value(&statistics)?;
                    value["findings"] = serde_json::to_value(&report)?;
                    print_json(&value)?;
                }
                false => print(&format!("{}\n\n{}", describe(&statistics), audit::describe(&report)))?,
            }
        }
        DataCommand::Convert { input, output, existing, json, keys } => {
            let inputs = [input.clone()];
            let policy = Output { overwrite: existing.policy(), inputs: &inputs };
            policy.check(output, FileKind::of_systems(output)?)?;
            convert(input, output, &LabelKeys::from(keys), *json)?;
        }
        DataCommand::Generate(args) => return super::generate::run(args),
        DataCommand::Split { input, parts, out, group_by, existing, json, format, seed, keys } => {
            let sizes = parts.iter().map(|part| parse_part(part)).collect::<Result<Vec<_>>>()?;
            let split = Division { input, out, group_by: group_by.as_deref(), format, seed: *seed };
            split.check(&sizes, existing.policy())?;
            split.run(&LabelKeys::from(keys), &sizes, *json)?;
        }
    }
    Ok(Outcome::Done)
}

fn convert(input: &Path, output: &Path, keys: &LabelKeys, json: bool) -> Result<()> {
    let mut writer = write(output)?;
    let progress = Progress::counter("converting");
    let mut reader = read(input, keys)?;
    let (mut n, mut n_atoms) = (0, 0);
    for system in reader.by_ref() {
        let system = system?;
        writer.write(&system)?;
        n_atoms += system.n_atoms();
        n += 1;
        progress.set(n);
    }
    progress.finish();
    if n == 0 {
        return Err(anyhow!("{}: holds no systems", input.display()));
    }
    let left_out = writer.finish()?;
    load::tell_ignored(input, reader.left_out());
    tell_left_out(output, &left_out);
    if json {
        let left_out: Vec<&String> = reader.left_out().iter().chain(&left_out).collect();
        return print_json(&serde_json::json!({
            "output": output, "n_systems": n, "n_atoms": n_atoms, "left_out": left_out,
        }));
    }
    print(&format!("{}: {n} systems", output.display()))
}

/// Options of `data split`, apart from the parts.
struct Division<'a> {
    input: &'a Path,
    out: &'a Path,
    group_by: Option<&'a str>,
    format: &'a str,
    seed: u64,
}

impl Division<'_> {
    fn path(&self, part: &str) -> PathBuf {
        self.out.join(format!("{part}.{}", self.format))
    }

    /// Refuses parts that would destroy something, before anything is read.
    fn check(&self, sizes: &[(String, Size)], overwrite: Overwrite) -> Result<()> {
        let inputs = [self.input.to_path_buf()];
        let policy = Output { overwrite, inputs: &inputs };
        let paths: Vec<PathBuf> = sizes.iter().map(|(name, _)| self.path(name)).collect();
        let kinds = paths.iter().map(|path| Ok((path.as_path(), FileKind::of_systems(path)?)));
        Ok(policy.check_all(kinds.collect::<potstill_core::Result<Vec<_>>>()?)?)
    }

    /// Two passes over the file: which system goes where, then each to its place.
    fn run(&self, keys: &LabelKeys, sizes: &[(String, Size)], json: bool) -> Result<()> {
        let files = [self.input.to_path_buf()];
        let mut groups = Groups::new(self.group_by);
        load::each(&files, keys, &mut |system| groups.add(&system))?;
        let parts = groups.split(sizes, self.seed)?;
        let out = self.out;
        std::fs::create_dir_all(out).with_context(|| format!("{}: cannot create the folder", out.display()))?;
        let writers = parts.iter().map(|(name, _)| write(&self.path(name)));
        let mut writers = writers.collect::<potstill_core::Result<Vec<_>>>()?;
        let mut n_seen = 0;
        load::each(&files, keys, &mut |system| {
            for ((_, indices), writer) in parts.iter().zip(&mut writers) {
                // Indices of a part ascend.
                if indices.binary_search(&n_seen).is_ok() {
                    writer.write(&system)?;
                }
            }
            n_seen += 1;
            Ok(())
        })?;
        let mut written = Vec::new();
        for ((name, indices), writer) in parts.iter().zip(writers) {
            let (path, left_out) = (self.path(name), writer.finish()?);
            tell_left_out(&path, &left_out);
            if !json {
                print(&format!("{}: {} systems", path.display(), indices.len()))?;
            }
            written.push(serde_json::json!({
                "name": name, "output": path, "n_systems": indices.len(), "left_out": left_out,
            }));
        }
        if json { print_json(&serde_json::json!({ "parts": written })) } else { Ok(()) }
    }
}

fn parse_part(part: &str) -> Result<(String, Size)> {
    let wrong = || anyhow!("--parts {part}: expected NAME=FRACTION or NAME=NUMBER, such as train=0.8 or test=1000");
    let (name, size) = part.split_once('=').ok_or_else(wrong)?;
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "-_".contains(c)) {
        return Err(anyhow!("--parts {part}: a name may have letters, digits, - and _"));
    }
    let size = match (size.parse::<usize>(), size.parse::<f64>()) {
        (Ok(count), _) => Size::Count(count),
        (_, Ok(fraction)) => Size::Fraction(fraction),
        _ => return Err(wrong()),
    };
    Ok((name.to_owned(), size))
}

fn describe(s: &Statistics) -> String {
    let number = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| format!("{v:.4}"));
    let row = |name: &str, x: &Summary, unit: &str| {
        format!(
            "{name:<18}{:>10}{:>14}{:>14}{:>14}{:>14}  {unit}",
            x.count,
            number(x.mean),
            number(x.standard_deviation),
            number(x.min),
            number(x.max)
        )
    };
    let elements: Vec<String> = s.elements.iter().map(|(e, n)| format!("{e} {n}")).collect();
    let keys: Vec<String> = s.keys.iter().map(|(k, v)| format!("{k} ({} values)", v.n_distinct)).collect();
    let lines = [
        format!("systems  {}   atoms  {}   fixed atoms  {}", s.n_systems, s.n_atoms, s.n_fixed),
        format!("elements  {}", elements.join(", ")),
        format!("periodic  {} systems   stress  {} systems", s.n_periodic, s.n_stress),
        format!("keys  {}", if keys.is_empty() { "–".to_owned() } else { keys.join(", ") }),
        String::new(),
        format!("{:<18}{:>10}{:>14}{:>14}{:>14}{:>14}", "", "count", "mean", "std", "min", "max"),
        row("atoms per system", &s.atoms_per_system, ""),
        row("energy", &s.energy, "eV"),
        row("energy per atom", &s.energy_per_atom, "eV"),
        row("force components", &s.forces.components, "eV/Å"),
    ];
    lines.join("\n")
}
