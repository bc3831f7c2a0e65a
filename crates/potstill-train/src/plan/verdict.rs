//! What short trainings say.

use serde::{Deserialize, Serialize};

use super::{Errors, Pilot};
use crate::rounds::TeacherErrors;

/// Ratio of errors on validation and training systems from which on more data would help.
const OVERFITTED: f64 = 1.3;
/// Ratio of errors after a training and one twice as long from which on more steps would help.
const IMPROVES: f64 = 1.1;

/// What limits a student.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// It knows its training systems much better than others: more structures would help.
    Data,
    /// It still improves when it is trained twice as long.
    Steps,
    /// Neither: a larger student would help.
    Size,
}

/// What a plan says, about forces where there are some, else about energies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether it is about forces (eV/Å), and not energies (eV).
    pub is_about_forces: bool,
    /// Error `λ` of the teacher on real labels.
    pub teacher: f64,
    /// Error of the student alone after the longer training.
    pub alone: f64,
    /// Error of the distilled student after as long a training.
    pub distilled: f64,
    /// Error of the distilled student against its teacher, `x`.
    pub against_teacher: f64,
    /// Whether the teacher is better than the student alone.
    pub teacher_is_better: bool,
    /// What limits the student alone, the strongest first.
    pub limits: Vec<Limit>,
    /// Part of the gap that was closed, in percent; none without a gap.
    pub closed: Option<f64>,
    /// Part of the gap that was wanted, in percent.
    pub wanted: f64,
    /// Error against the teacher that closes the wanted part of the gap; none where that is out of reach.
    pub needed: Option<f64>,
}

impl Verdict {
    /// Verdict on short trainings.
    pub fn of(teacher: &TeacherErrors, alone: &[Pilot; 2], distilled: &Pilot, wanted: f64) -> Self {
        let is_about_forces = teacher.forces_mae.is_some() && distilled.validation.forces.is_some();
        let pick = |errors: &Errors| if is_about_forces { errors.forces } else { errors.energy }.unwrap_or(f64::NAN);
        let lambda = if is_about_forces { teacher.forces_mae } else { teacher.energy_mae }.unwrap_or(f64::NAN);
        let [short, long] = alone.each_ref().map(|pilot| pick(&pilot.validation));
        let ratios =
            [(Limit::Data, long / pick(&alone[1].training), OVERFITTED), (Limit::Steps, short / long, IMPROVES)];
        let mut limits: Vec<(Limit, f64)> = ratios
            .into_iter()
            .filter(|(_, ratio, least)| ratio > least)
            .map(|(limit, ratio, _)| (limit, ratio))
            .collect();
        limits.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut limits: Vec<Limit> = limits.into_iter().map(|(limit, _)| limit).collect();
        if limits.is_empty() {
            limits.push(Limit::Size);
        }
        let teacher_is_better = lambda < long;
        let after = pick(&distilled.validation);
        Self {
            is_about_forces,
            teacher: lambda,
            alone: long,
            distilled: after,
            against_teacher: pick(&distilled.against_teacher),
            teacher_is_better,
            limits,
            closed: crate::evaluation::gap_closed(long, after, lambda),
            wanted,
            needed: needed(long, lambda, wanted),
        }
    }

    /// The verdict in sentences, one for each line.
    pub fn sentences(&self) -> Vec<String> {
        let unit = if self.is_about_forces { "meV/Å" } else { "meV" };
        let what = if self.is_about_forces { "force" } else { "energy" };
        let show = |value: f64| format!("{:.1} {unit}", 1e3 * value);
        let mut lines = vec![match self.teacher_is_better {
            true => format!(
                "the teacher's {what} error on held-out labels is {}, the student's, alone after a short training, {}",
                show(self.teacher),
                show(self.alone)
            ),
            false => format!(
                "warning: the teacher is no better than the student: its {what} error on held-out labels is {}, the student's, alone \
                 after a short training, {}; its labels would not help, its features might, a better teacher would",
                show(self.teacher),
                show(self.alone)
            ),
        }];
        for limit in &self.limits {
            lines.push(
                match limit {
                    Limit::Data => {
                        "the student knows its training systems much better than others: more structures would help; let the teacher \
                         label some (data.synthetic, or distill.rounds)"
                    }
                    Limit::Steps => "the student still improves when it is trained twice as long: train longer",
                    Limit::Size => {
                        "the student gains little by a longer training, and knows its training systems no better than others: a \
                         larger student would help"
                    }
                }
                .to_owned(),
            );
        }
        if let Some(closed) = self.closed {
            lines.push(format!(
                "distilled for as long, the student has {}: {closed:.0} % of the gap; it is {} from its teacher (√(x² + λ²) would be \
                 {})",
                show(self.distilled),
                show(self.against_teacher),
                show(self.against_teacher.hypot(self.teacher))
            ));
        }
        lines.push(match self.needed {
            Some(needed) => format!(
                "{:.0} % of the gap needs a student within about {} of its teacher{}",
                self.wanted,
                show(needed),
                if self.against_teacher <= needed { ", which it is already" } else { "" }
            ),
            None => format!("{:.0} % of the gap is out of reach: there is no gap to close", self.wanted),
        });
        lines
    }
}

/// Error against the teacher that closes a part of the gap: `x` of `√(x² + λ²)`.
fn needed(alone: f64, teacher: f64, wanted: f64) -> Option<f64> {
    let target = alone - wanted / 100.0 * (alone - teacher);
    let square = target * target - teacher * teacher;
    (alone > teacher && square > 0.0).then(|| square.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(forces: f64) -> Errors {
        Errors { energy: Some(1.0), forces: Some(forces) }
    }

    fn pilot(validation: f64, training: f64, against_teacher: f64) -> Pilot {
        Pilot {
            seconds: 1.0,
            steps: 10,
            validation: errors(validation),
            training: errors(training),
            against_teacher: errors(against_teacher),
        }
    }

    fn verdict(teacher: f64, alone: [Pilot; 2], distilled: Pilot) -> Verdict {
        let teacher = TeacherErrors { n_systems: 3, energy_mae: Some(1.0), forces_mae: Some(teacher) };
        Verdict::of(&teacher, &alone, &distilled, 60.0)
    }

    #[test]
    fn what_limits_is_told_apart() {
        let distilled = pilot(0.2, 0.2, 0.2);
        let limits = |short: f64, long: f64, training: f64| {
            verdict(0.1, [pilot(short, training, 0.1), pilot(long, training, 0.1)], distilled).limits
        };
        assert_eq!(limits(0.31, 0.30, 0.05), [Limit::Data]);
        assert_eq!(limits(0.60, 0.30, 0.29), [Limit::Steps]);
        assert_eq!(limits(0.45, 0.30, 0.10), [Limit::Data, Limit::Steps]);
        assert_eq!(limits(0.31, 0.30, 0.29), [Limit::Size]);
    }

    #[test]
    fn a_worse_teacher_is_a_warning_with_both_numbers() {
        let found = verdict(0.4, [pilot(0.31, 0.3, 0.1), pilot(0.30, 0.3, 0.1)], pilot(0.35, 0.3, 0.2));
        assert!(!found.teacher_is_better && found.closed.is_none() && found.needed.is_none());
        let lines = found.sentences();
        assert!(
            lines[0].starts_with("warning: ") && lines[0].contains("400.0 meV/Å") && lines[0].contains("300.0 meV/Å")
        );
        assert!(lines.last().unwrap().contains("out of reach"), "{lines:?}");
    }

    #[test]
    fn the_needed_error_closes_the_wanted_part() {
        let found = verdict(0.1, [pilot(0.31, 0.3, 0.1), pilot(0.30, 0.3, 0.1)], pilot(0.18, 0.3, 0.149));
        let x = found.needed.unwrap();
        assert!((x.hypot(0.1) - (0.3 - 0.6 * 0.2)).abs() < 1e-12, "{x}");
        assert!((found.closed.unwrap() - 60.0).abs() < 1e-9);
        assert!(found.sentences().last().unwrap().contains("which it is already"));
    }
}
