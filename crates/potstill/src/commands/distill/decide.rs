//! Configuration of a distillation that is given a teacher and structures alone.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use potstill_core::model::{Architecture, Forces, PaiNNConfig};
use potstill_core::system::System;
use potstill_core::{Potential, Precision};
use potstill_data::io::LabelKeys;
use potstill_train::config::{Config, DataConfig, TrainingConfig};
use potstill_train::distill::{DistillConfig, RoundsConfig, TeacherSource};
use potstill_train::optimizer::{OptimizerConfig, Rule};
use potstill_train::rounds::CALLS_PER_LABEL;
use potstill_train::schedule::ScheduleConfig;

use super::QuickArgs;
use crate::commands::train::RunArgs;
use crate::load;
use crate::potential::open_any;

/// Part of the time that the teacher gets, and the trainings.
const TEACHER: f64 = 0.25;
const TRAININGS: f64 = 0.6;
/// Part of the time that the teacher gets for dynamics of its own at the end.
const AT_END: f64 = 0.05;
/// Answers for these: fewer say nothing, more are not needed.
const COMPARISON: [usize; 2] = [150, 3000];
/// Structures of a round: no fewer make sense, no more are needed.
const LABELS: [usize; 2] = [24, 800];
/// Structures of a round below which the teacher makes no dynamics of its own.
const FEW: f64 = 100.0;
/// Atoms of a batch, about.
const BATCH_ATOMS: usize = 160;

/// Measures the teacher, decides everything else and says so; a run that goes on keeps what was decided.
pub fn configuration(args: &QuickArgs, run: &RunArgs) -> Result<Config> {
    let decided = run.out.join("config.toml");
    if run.resume && decided.exists() {
        return read(&decided);
    }
    if args.teacher.is_none() && args.program.program.is_none() {
        bail!("--seeds: give the teacher, too: --teacher FILE, or --program COMMAND");
    }
    let teacher = open_any(args.teacher.as_deref(), &args.program, Precision::F32)?;
    let keys = LabelKeys::default();
    let seeds = load::open(&args.seeds, &keys, Some(true), None)?;
    let seeds = seeds.as_slice().context("seeds are not in memory")?;
    let Some(typical) = typical(seeds) else { bail!("--seeds: hold no structure of two atoms or more") };
    let seconds = seconds_of(teacher.potential.as_ref(), seeds, typical).map_err(|error| teacher.named(error))?;
    let is_model = args.teacher.is_some();
    let rounds = rounds(args, if is_model { seconds / rayon::current_num_threads() as f64 } else { seconds })?;
    let has_stress = teacher.potential.evaluate(&[typical])?.virial.is_some()
        && seeds.iter().all(|system| system.cell.is_some() && system.pbc == [true; 3]);
    let config = Config {
        seed: run.seed.unwrap_or(0),
        data: DataConfig::without_files(),
        model: Architecture::PaiNN(PaiNNConfig {
            hidden_channels: 64,
            n_layers: 2,
            n_radial: 20,
            cutoff: 5.0,
            forces: Forces::Gradient,
            ..PaiNNConfig::default()
        }),
        training: TrainingConfig {
            batch_size: (BATCH_ATOMS / typical.n_atoms().max(1)).clamp(2, 16),
            epochs: 1_000_000,
            learning_rate: 5e-3,
            optimizer: OptimizerConfig { kind: Rule::Muon, ..OptimizerConfig::default() },
            schedule: ScheduleConfig::Cosine { warmup_steps: 100, total_steps: None, final_factor: 0.01 },
            ema_decay: 0.995,
            validate_every: 5,
            stress_weight: if has_stress { 30.0 } else { 0.0 },
            ..TrainingConfig::default()
        },
        distill: Some(DistillConfig {
            teacher: source(args)?,
            rounds: Some(rounds),
            ..DistillConfig::new("", Vec::new())
        }),
    };
    say!("{}", teacher.description);
    tell(&config, seconds);
    Ok(config)
}

/// Reads what an earlier command decided; its paths are those of the working folder.
fn read(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot open", path.display()))?;
    toml::from_str(&text)
        .with_context(|| format!("{}: is not what was decided; start again in another folder", path.display()))
}

/// Structure of a middling size.
fn typical(seeds: &[System]) -> Option<&System> {
    let mut by_size: Vec<&System> = seeds.iter().filter(|system| system.n_atoms() > 1).collect();
    by_size.sort_by_key(|system| system.n_atoms());
    by_size.get(by_size.len() / 2).copied()
}

/// Structures that the teacher is timed with.
const TIMED: usize = 5;

/// Seconds of one answer, when the teacher is warm: the mean over structures from all over the seeds.
fn seconds_of(teacher: &dyn Potential, seeds: &[System], typical: &System) -> potstill_core::Result<f64> {
    teacher.evaluate(&[typical])?;
    let mut seconds = 0.0;
    for k in 0..TIMED {
        // A calculator may remember what it was asked last: other structures, each a little displaced.
        let mut moved = seeds[k * seeds.len() / TIMED].clone();
        for (i, position) in moved.positions.iter_mut().enumerate() {
            position[(i + k) % 3] += 0.02 * ((i + k) % 5) as f64;
        }
        let start = Instant::now();
        teacher.evaluate(&[&moved])?;
        seconds += start.elapsed().as_secs_f64();
    }
    Ok(seconds / TIMED as f64)
}

fn source(args: &QuickArgs) -> Result<TeacherSource> {
    if let Some(program) = args.program.settings()? {
        return Ok(TeacherSource::Program(program));
    }
    args.teacher.clone().map(TeacherSource::One).context("no teacher")
}

/// As many rounds and labels as the time allows.
fn rounds(args: &QuickArgs, seconds: f64) -> Result<RoundsConfig> {
    let n = args.rounds.unwrap_or(if args.minutes < 8.0 { 2 } else { 3 });
    let calls = TEACHER * 60.0 * args.minutes / seconds.max(1e-6);
    let with_dynamics = calls / (CALLS_PER_LABEL + (n - 1) as f64);
    let teacher_dynamics = with_dynamics >= FEW;
    let labels = if teacher_dynamics { with_dynamics } else { calls / (n as f64 + 1.0) };
    if labels < LABELS[0] as f64 {
        let least = LABELS[0] as f64 * (n as f64 + 1.0) * seconds / (60.0 * TEACHER);
        bail!(
            "--minutes {}: the teacher takes {seconds:.2} s for a structure, so it could label {labels:.0} in each of {n} rounds; \
             give at least {} minutes, fewer --rounds, or smaller structures",
            args.minutes,
            least.ceil()
        );
    }
    let spare = (AT_END * 60.0 * args.minutes / seconds.max(1e-6)) as usize;
    let spare = args.teacher_calls.map_or(spare, |calls| spare.min(calls / 10));
    Ok(RoundsConfig {
        comparison_calls: if spare < COMPARISON[0] { 0 } else { spare.min(COMPARISON[1]) },
        n,
        seeds: args.seeds.clone(),
        test: args.test.clone(),
        temperatures: args.temperatures.clone(),
        labels: (labels as usize).min(LABELS[1]),
        teacher_dynamics,
        training_minutes: Some(TRAININGS * args.minutes),
        ..RoundsConfig::default()
    })
}

fn tell(config: &Config, seconds: f64) {
    let Some(rounds) = config.distill.as_ref().and_then(|distill| distill.rounds.as_ref()) else { return };
    let parts = [
        format!("the teacher takes {seconds:.3} s for a structure"),
        format!("{} rounds of {} structures", rounds.n, rounds.labels),
        format!("{:.0} minutes of training", rounds.training_minutes.unwrap_or(0.0)),
        format!("student: {} of {:.0} weights", config.model.name(), config.model.n_parameters()),
    ];
    say!("{}", parts.join("; "));
}
