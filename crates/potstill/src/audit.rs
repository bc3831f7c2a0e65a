//! Checks of a dataset before anything is made of it, and what they say to the user.

use anyhow::{Result, bail};
use potstill_data::dataset::audit::{Audit, Leaks, Options, Report, Severity, Split};
use potstill_data::dataset::{ReferenceEnergies, Systems};
use potstill_train::config::DataConfig;
use potstill_train::run::Data;

/// Checks the data of a training: notes and warnings go to standard error.
///
/// # Errors
/// Data that must not be trained on, and files that cannot be read.
pub fn before_training(config: &DataConfig, data: &Data) -> Result<()> {
    let report = audit(config, data, None)?;
    report.of(Severity::Note).for_each(|finding| say!("note: {finding}"));
    judge(&report)
}

/// Checks the data of a student of a study, and that its test systems are none of them.
///
/// # Errors
/// As [`before_training`].
pub fn before_study(config: &DataConfig, data: &Data, tests: &[&Systems]) -> Result<()> {
    judge(&audit(config, data, Some(tests))?)
}

fn audit(config: &DataConfig, data: &Data, tests: Option<&[&Systems]>) -> Result<Report> {
    let checks = config.checks.unwrap_or_default();
    let usual = if tests.is_some() { Leaks::Refuse } else { Leaks::Warn };
    let mut audit = Audit::new(Options {
        units: checks.units.unwrap_or(true),
        leaks: checks.leaks.unwrap_or(usual),
        training: true,
        isolated_are_references: config.reference_energies == ReferenceEnergies::IsolatedAtoms,
    });
    audit.add_all(Split::Training, &data.train)?;
    audit.add_all(Split::Synthetic, &data.synthetic)?;
    audit.add_all(Split::Validation, &data.validation)?;
    for test in tests.unwrap_or_default() {
        audit.add_all(Split::Test, test)?;
    }
    Ok(audit.finish())
}

/// Says the warnings, and fails with what must be refused.
fn judge(report: &Report) -> Result<()> {
    report.of(Severity::Warning).for_each(|finding| say!("warning: {finding}"));
    let refusals: Vec<String> = report.of(Severity::Refusal).map(ToString::to_string).collect();
    match refusals.is_empty() {
        true => Ok(()),
        false => bail!("{}", refusals.join("; besides, ")),
    }
}

/// The findings as `data info` shows them.
pub fn describe(report: &Report) -> String {
    let lines: Vec<String> =
        report.findings.iter().map(|finding| format!("{:<8} {finding}", finding.severity)).collect();
    if lines.is_empty() { "checks   nothing found".to_owned() } else { format!("checks\n{}", lines.join("\n")) }
}
