//! `potstill plan`: what a distillation can reach, before it is run.

use std::path::PathBuf;

use anyhow::{Result, bail};
use potstill_train::plan::{Errors, Job, Plan};

use super::distill::teacher;
use super::{print, print_json};
use crate::Outcome;
use crate::device;
use crate::interrupt::interrupt_flag;
use crate::limits::{number, positive};
use crate::load::load_data;
use crate::study::{Checks, Terminal};
use crate::{audit, config_file};

/// Arguments of `potstill plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// TOML configuration of a distillation.
    pub config: PathBuf,
    /// Seconds of the shortest of three trainings.
    ///
    /// The other two take twice as long. The longer, the better the plan.
    #[arg(long, default_value_t = 30.0, value_name = "S", value_parser = positive(1e6))]
    pub seconds: f64,
    /// Part of the gap between student and teacher that you want closed, in percent.
    #[arg(long, default_value_t = 60.0, value_name = "PERCENT", value_parser = number(0.0..=100.0))]
    pub gap: f64,
    /// Change a setting, as --set model.hidden_channels=64.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print everything as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Measures the teacher, trains the student three times for a short while, and says what limits it.
pub fn run(args: &Args) -> Result<Outcome> {
    let config = config_file::read(&args.config, &args.set)?;
    let file = args.config.display();
    let Some(distill) = &config.distill else { bail!("{file}: has no [distill] section; there is nothing to plan") };
    if distill.rounds.is_some() {
        bail!("{file}: has [distill.rounds], which look for structures while they train; plan without that section");
    }
    let teacher = teacher(&config)?;
    say!("teacher: {}; {}", teacher.name, teacher.description);
    let data = load_data(&config.data)?;
    audit::before_training(&config.data, &data)?;
    let folder = tempfile::Builder::new().prefix("potstill-plan-").tempdir()?;
    let interrupt = interrupt_flag()?;
    let host = Terminal { checks: Checks::All, device: device::cpu() };
    let job = Job {
        config: &config,
        teacher: teacher.potential.as_ref(),
        data: &data,
        host: &host,
        folder: folder.path(),
        interrupt: &interrupt,
        seconds: args.seconds,
        wanted: args.gap,
    };
    let Some(plan) = job.run()? else { return Ok(Outcome::Interrupted) };
    match args.json {
        true => print_json(&plan)?,
        false => print(&text(&plan))?,
    }
    Ok(Outcome::Done)
}

/// The errors as a table, and the verdict below it.
fn text(plan: &Plan) -> String {
    let milli = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{:.1}", 1e3 * value));
    let line =
        |name: &str, errors: Errors| format!("{name:<32} {:>12} {:>12}", milli(errors.energy), milli(errors.forces));
    let teacher = Errors { energy: plan.teacher.energy_mae, forces: plan.teacher.forces_mae };
    let of = |what: &str, seconds: f64| format!("{what}, {seconds:.0} s");
    let mut lines = vec![
        format!("{:<32} {:>12} {:>12}", "on validation systems", "energy, meV", "force, meV/Å"),
        line("teacher", teacher),
        line(&of("student alone", plan.alone[0].seconds), plan.alone[0].validation),
        line(&of("student alone", plan.alone[1].seconds), plan.alone[1].validation),
        line("  the same, on training systems", plan.alone[1].training),
        line(&of("student distilled", plan.distilled.seconds), plan.distilled.validation),
        line("  the same, against its teacher", plan.distilled.against_teacher),
    ];
    lines.extend(plan.verdict.sentences());
    lines.join("\n")
}
