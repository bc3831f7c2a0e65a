//! Findings about units, in words, from measured sizes.

use super::distances::neighbors;
use super::stretch::{Bonds, Stretch, USUAL};
use super::work::{Pairs, Work};
use super::{Severity, median, quantile};
use potstill_core::System;
use potstill_core::elements::symbol_or_number;
use potstill_core::units::{ENERGY, FORCE, LENGTH, Unit, nearest};

/// Distances without which nothing is said.
const LEAST_DISTANCES: usize = 50;
/// Usual nearest distances, as parts of the sum of covalent radii.
const USUAL_DISTANCES: std::ops::Range<f64> = 0.5..1.6;
/// Usual stiffness of bonds of hydrogen, as a part of [`USUAL`].
const USUAL_STIFFNESS: std::ops::Range<f64> = 0.25..5.0;
/// Usual change of the energy over the work of forces.
const USUAL_WORK: std::ops::Range<f64> = 0.65..1.5;
/// Stiffness along displacements in eV/Å² of anything that holds together.
const POSSIBLE_STIFFNESS: std::ops::Range<f64> = 0.1..150.0;
const ADVICE: &str = "convert the file to eV and Å, or set data.checks.units = false if it is right as it is";

/// Findings about the units of some systems.
pub(super) fn judge(systems: &[&System]) -> Vec<(Severity, String)> {
    let (mut ratios, mut bonds) = (Vec::new(), Bonds::default());
    for system in systems {
        let neighbors = neighbors(system);
        ratios.extend(neighbors.iter().map(|n| n.ratio));
        bonds.add(system, &neighbors);
    }
    // What follows presumes distances in Å.
    if let Some(found) = lengths(ratios.clone()) {
        return vec![found];
    }
    let pairs = Pairs::of(systems);
    let (stretch, work) = (bonds.stretch(), pairs.work());
    if let Some(found) = sign(stretch, work).into_iter().chain(sizes(stretch, work)).reduce(joined) {
        return vec![(Severity::Refusal, format!("{found}; {ADVICE}"))];
    }
    let is_bonded = median(&mut ratios).is_some_and(|ratio| (0.8..1.3).contains(&ratio));
    match pairs.stiffness() {
        Some((stiffness, n)) if stretch.is_none() && is_bonded && !POSSIBLE_STIFFNESS.contains(&stiffness.abs()) => {
            let message = format!(
                "forces change by {stiffness:.3} eV/Å for each Å between {n} pairs of similar frames; a few are usual: are \
                 they in eV/Å? If not, convert the file"
            );
            vec![(Severity::Warning, message)]
        }
        _ => Vec::new(),
    }
}

fn joined(one: String, other: String) -> String {
    format!("{one}; {other}")
}

fn lengths(mut ratios: Vec<f64>) -> Option<(Severity, String)> {
    let n = ratios.len();
    let middle = median(&mut ratios).filter(|_| n >= LEAST_DISTANCES)?;
    let (low, high) = (quantile(&mut ratios, 0.05)?, quantile(&mut ratios, 0.95)?);
    let is_far = middle >= USUAL_DISTANCES.end && low > 1.4;
    let is_near = middle < USUAL_DISTANCES.start && high < 0.7;
    if !is_far && !is_near {
        return None;
    }
    let what = format!("nearest neighbours are {middle:.2} times as far apart as bonds are (median of {n} atoms)");
    match nearest(&LENGTH, middle, 1.25) {
        Some((unit, _)) => {
            let also = if unit == "nm" { " or fractional coordinates" } else { "" };
            Some((Severity::Refusal, format!("positions look like {unit}{also}: {what}; {ADVICE}")))
        }
        None if is_near => Some((Severity::Refusal, format!("positions are not in Å: {what}; {ADVICE}"))),
        // A gas is no mistake.
        None => Some((Severity::Warning, format!("{what}: are positions in Å? If not, convert the file"))),
    }
}

fn sign(stretch: Option<Stretch>, work: Option<Work>) -> Option<String> {
    let by_stretch = stretch.filter(|s| s.stiffness < 0.0).map(|s| {
        let Stretch { n_bonds, correlation, element, .. } = s;
        format!(
            "they push {}–H bonds away from their lengths ({n_bonds} bonds, correlation {correlation:.2})",
            symbol_or_number(element)
        )
    });
    let by_work = work.filter(|w| w.ratio < 0.0).map(|w| {
        format!(
            "the energy rises where they pull ({} pairs of similar frames, {:.0} % agree)",
            w.n_pairs,
            100.0 * w.agreement
        )
    });
    let contradicted = stretch.zip(work).is_some_and(|(s, w)| (s.stiffness < 0.0) != (w.ratio < 0.0));
    let evidence: Vec<String> = by_stretch.into_iter().chain(by_work).collect();
    match (evidence.is_empty(), contradicted) {
        (true, _) => None,
        (false, false) => Some(format!("forces have the wrong sign (gradients?): {}", evidence.join(", and "))),
        (false, true) => Some(format!("forces and energies contradict each other: {}", evidence.join(", and "))),
    }
}

/// Forces against bonds of hydrogen, energies against forces.
fn sizes(stretch: Option<Stretch>, work: Option<Work>) -> Option<String> {
    let stiff = stretch.map(|s| s.stiffness.abs() / USUAL);
    let ratio = work.map(|w| w.ratio.abs());
    let odd_forces = stiff.is_some_and(|s| !USUAL_STIFFNESS.contains(&s));
    let odd_energies = ratio.is_some_and(|r| !USUAL_WORK.contains(&r));
    if !odd_forces && !odd_energies {
        return None;
    }
    let mut evidence = Vec::new();
    if let Some(s) = stretch.filter(|_| odd_forces) {
        let (k, bond) = (s.stiffness.abs(), symbol_or_number(s.element));
        evidence.push(format!(
            "{bond}–H bonds have a stiffness of {} eV/Å², where 20 to 50 are usual ({} bonds, correlation {:.2})",
            short(k),
            s.n_bonds,
            s.correlation
        ));
    }
    if let Some(w) = work.filter(|_| odd_energies) {
        evidence.push(format!(
            "energies change by {} times the work of the forces ({} pairs of similar frames)",
            short(w.ratio.abs()),
            w.n_pairs
        ));
    }
    let per_atom = work.filter(|w| odd_energies && !odd_forces && (0.8..1.25).contains(&w.ratio_per_atom.abs()));
    let guess = match (guess(stiff, ratio), per_atom) {
        (_, Some(w)) if w.is_per_atom => "energies look as if they were per atom".to_owned(),
        (Some(guess), Some(_)) => format!("{guess}, or per atom"),
        (Some(guess), None) => guess,
        (None, Some(_)) => "energies look as if they were per atom".to_owned(),
        (None, None) => "energies or forces are not in eV and Å".to_owned(),
    };
    Some(format!("{guess}: {}", evidence.join(", and ")))
}

/// Units that explain both sizes; the fewest wrong ones first.
fn guess(stiff: Option<f64>, ratio: Option<f64>) -> Option<String> {
    const RIGHT: Unit = ("", 1.0);
    let Some(ratio) = ratio else {
        let (force, _) = nearest(&FORCE, stiff?, 2.5)?;
        return Some(format!("forces look as if they were in {force}"));
    };
    let with_right = |units: &'static [Unit]| std::iter::once(RIGHT).chain(units.iter().copied());
    let mut best: Option<(usize, f64, Unit, Unit)> = None;
    for energy in with_right(&ENERGY) {
        for force in with_right(&FORCE) {
            let off = (ratio * force.1 / energy.1).ln().abs();
            let fits = off < 1.25_f64.ln() && stiff.is_none_or(|s| (s / force.1).ln().abs() < 3_f64.ln());
            let n_wrong = usize::from(energy.1 != 1.0) + usize::from(force.1 != 1.0);
            let is_better = best.is_none_or(|(n, least, ..)| (n_wrong, off) < (n, least));
            if fits && n_wrong > 0 && is_better {
                best = Some((n_wrong, off, energy, force));
            }
        }
    }
    let (_, _, energy, force) = best?;
    Some(match (energy.0, force.0) {
        (energy, "") => format!("energies look as if they were in {energy}"),
        ("", force) => format!("forces look as if they were in {force}"),
        (energy, force) => format!("energies look as if they were in {energy} and forces in {force}"),
    })
}

/// Three digits of a number of any size.
fn short(x: f64) -> String {
    let digits = (2 - x.abs().log10().floor() as i32).clamp(0, 6) as usize;
    format!("{x:.digits$}")
}
