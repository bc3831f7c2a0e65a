//! Repeated structures: with two energies, or in more than one split.

use super::{Check, Finding, Fingerprint, Leaks, Part, Place, Severity, Split};
use potstill_core::System;

/// Neighbours in the order of fingerprints that a structure is compared with: bounds the time where thousands are alike.
const WINDOW: usize = 64;
/// Difference of energies of one structure that rounding explains, in eV and as a part of the energy (f32).
const ENERGY: f64 = 2e-3;
const RELATIVE: f64 = 5e-7;

/// Every system by its fingerprint.
pub(super) struct Repeats {
    leaks: Leaks,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    fingerprint: Fingerprint,
    energy: Option<f64>,
    place: Place,
}

impl Repeats {
    /// Nothing seen so far.
    pub(super) fn new(leaks: Leaks) -> Self {
        Self { leaks, entries: Vec::new() }
    }
}

impl Check for Repeats {
    fn add(&mut self, place: Place, _: Split, system: &System) {
        // Isolated atoms have one structure, and all files have them.
        if system.n_atoms() > 1 || system.is_periodic() {
            self.entries.push(Entry { fingerprint: Fingerprint::new(system), energy: system.energy, place });
        }
    }

    fn finish(&mut self, parts: &[Part]) -> Vec<Finding> {
        let groups = groups(&mut self.entries);
        let mut findings: Vec<Finding> = two_energies(&groups, parts).into_iter().collect();
        findings.extend(repetitions(&groups, parts));
        for (learnt, judged) in
            [(Split::Training, Split::Validation), (Split::Training, Split::Test), (Split::Validation, Split::Test)]
        {
            findings.extend(self.leak(&groups, parts, learnt, judged));
        }
        findings
    }
}

/// Groups of at least two systems of one structure; the entries are sorted on the way.
fn groups(entries: &mut [Entry]) -> Vec<Vec<Entry>> {
    entries.sort_unstable_by(|a, b| a.fingerprint.order(&b.fingerprint).then(a.place.cmp(&b.place)));
    let mut group_of: Vec<usize> = (0..entries.len()).collect();
    for (i, entry) in entries.iter().enumerate() {
        for (j, other) in entries.iter().enumerate().skip(i + 1).take(WINDOW) {
            if other.fingerprint.is_beyond(&entry.fingerprint) {
                break;
            }
            if entry.fingerprint.is_same(&other.fingerprint) {
                group_of[j] = group_of[j].min(group_of[i]);
            }
        }
    }
    // A group is called by its first member; most systems are alone, and cost no more memory.
    let alike = || group_of.iter().enumerate().filter(|(j, group)| j != *group);
    let mut members: Vec<usize> = alike().flat_map(|(j, &group)| [j, group]).collect();
    members.sort_unstable_by_key(|&j| (group_of[j], entries[j].place));
    members.dedup();
    let groups = members.chunk_by(|&a, &b| group_of[a] == group_of[b]);
    groups.map(|group| group.iter().map(|&j| entries[j]).collect()).collect()
}

fn split_of(entry: &Entry, parts: &[Part]) -> Split {
    parts.get(entry.place.part as usize).map_or(Split::All, |part| part.split)
}

/// Structures whose energies differ, synthetic systems aside: those have another method's labels.
fn two_energies(groups: &[Vec<Entry>], parts: &[Part]) -> Option<Finding> {
    let (mut n_structures, mut n_systems) = (0, 0);
    let mut widest: Option<(f64, Place, Place)> = None;
    for group in groups {
        let labelled = group.iter().filter(|e| split_of(e, parts) != Split::Synthetic);
        let mut energies: Vec<(f64, Place)> = labelled.filter_map(|e| Some((e.energy?, e.place))).collect();
        energies.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (Some(&(low, one)), Some(&(high, other))) = (energies.first(), energies.last()) else { continue };
        let difference = high - low;
        if difference > ENERGY.max(RELATIVE * high.abs().max(low.abs())) {
            n_structures += 1;
            n_systems += energies.len();
            if widest.is_none_or(|(width, ..)| difference > width) {
                widest = Some((difference, one.min(other), one.max(other)));
            }
        }
    }
    let (difference, one, other) = widest?;
    let message = format!(
        "structures with two energies: {n_structures} ({n_systems} systems); the farthest apart are {} and {}, by \
         {difference:.4} eV: two methods, settings, charges or spin states are mixed; keep one",
        one.describe(parts),
        other.describe(parts)
    );
    Some(Finding { check: "energies", severity: Severity::Warning, place: String::new(), message })
}

/// Systems that repeat another one of their split.
fn repetitions(groups: &[Vec<Entry>], parts: &[Part]) -> Option<Finding> {
    let mut n_repeats = 0;
    let mut example = None;
    for group in groups {
        for split in [Split::All, Split::Training, Split::Synthetic, Split::Validation, Split::Test] {
            let mut members = group.iter().filter(|e| split_of(e, parts) == split);
            if let (Some(first), Some(second)) = (members.next(), members.next()) {
                n_repeats += 1 + members.count();
                example.get_or_insert((first.place, second.place));
            }
        }
    }
    let (first, second) = example?;
    let message = format!(
        "systems that repeat the structure of another one of their split: {n_repeats}, such as {} that of {}",
        second.describe(parts),
        first.describe(parts)
    );
    Some(Finding { check: "repetitions", severity: Severity::Note, place: String::new(), message })
}

impl Repeats {
    /// Systems of `judged` that are also in `learnt`.
    fn leak(&self, groups: &[Vec<Entry>], parts: &[Part], learnt: Split, judged: Split) -> Option<Finding> {
        let (mut n_leaks, mut n_identical) = (0, 0);
        let mut examples = Vec::new();
        for group in groups {
            let known: Vec<&Entry> = group.iter().filter(|e| is_in(split_of(e, parts), learnt)).collect();
            let Some(first) = known.first() else { continue };
            for entry in group.iter().filter(|e| split_of(e, parts) == judged) {
                let twin = known.iter().find(|k| k.fingerprint.is_identical(&entry.fingerprint));
                n_leaks += 1;
                n_identical += usize::from(twin.is_some());
                examples.push((entry.place, twin.unwrap_or(first).place));
            }
        }
        examples.sort_unstable();
        let &(one, other) = examples.first()?;
        let total = self.entries.iter().filter(|e| split_of(e, parts) == judged).count();
        let turned = match n_leaks - n_identical {
            0 => String::new(),
            n => format!(", {n} of them turned, shifted or with atoms in another order"),
        };
        let (severity, advice) = self.judge(learnt, judged);
        let message = format!(
            "{n_leaks} of {total} {} systems are {} systems, too{turned}; {} is {}{advice}",
            judged.name(),
            learnt.name(),
            one.describe(parts),
            other.describe(parts)
        );
        Some(Finding { check: "leaks", severity, place: String::new(), message })
    }

    fn judge(&self, learnt: Split, judged: Split) -> (Severity, &'static str) {
        match (self.leaks, learnt, judged) {
            (Leaks::Allow, ..) => (Severity::Note, ""),
            (Leaks::Refuse, Split::Training, Split::Test) => (
                Severity::Refusal,
                ": an error on them says nothing; take them out, or set data.checks.leaks = \"warn\" in the configuration of the student",
            ),
            (_, Split::Training, _) => (Severity::Warning, ": an error on them says nothing; take them out"),
            _ => (Severity::Warning, ": weights are chosen on what they are judged by; take them out"),
        }
    }
}

/// Synthetic systems are learnt from, too.
fn is_in(split: Split, learnt: Split) -> bool {
    split == learnt || (learnt == Split::Training && split == Split::Synthetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn water(by: f64, energy: f64) -> System {
        System {
            atomic_numbers: vec![8, 1, 1],
            positions: vec![[0.0; 3], [0.96, 0.0, 0.0], [-0.24, 0.93 + by, 0.0]],
            energy: Some(energy),
            ..System::default()
        }
    }

    /// Turned by a quarter, with its hydrogens swapped.
    fn turned(system: &System) -> System {
        let mut positions: Vec<[f64; 3]> = system.positions.iter().map(|&[x, y, z]| [3.0 - y, x, z + 1.0]).collect();
        positions.swap(1, 2);
        System { positions, ..system.clone() }
    }

    fn findings(leaks: Leaks, splits: &[(Split, Vec<System>)]) -> Vec<Finding> {
        let mut check = Repeats::new(leaks);
        let parts: Vec<Part> = splits.iter().map(|(split, _)| Part { split: *split, file: None }).collect();
        for (part, (split, systems)) in splits.iter().enumerate() {
            for (index, system) in systems.iter().enumerate() {
                check.add(Place { part: part as u32, index: index as u32 }, *split, system);
            }
        }
        check.finish(&parts)
    }

    fn only(findings: &[Finding], check: &str) -> Finding {
        let found: Vec<&Finding> = findings.iter().filter(|f| f.check == check).collect();
        assert_eq!(found.len(), 1, "{findings:?}");
        found[0].clone()
    }

    #[test]
    fn leaks_are_counted_and_judged() {
        let train = vec![water(0.0, -1.0), water(0.1, -1.1), water(0.2, -1.2)];
        let test = vec![water(0.3, -1.3), water(0.2, -1.2), turned(&water(0.1, -1.1))];
        let splits = [(Split::Training, train), (Split::Test, test)];
        let found = only(&findings(Leaks::Refuse, &splits), "leaks");
        assert_eq!(found.severity, Severity::Refusal);
        assert!(
            found.message.starts_with(
                "2 of 3 test systems are training systems, too, 1 of them turned, shifted or with atoms in another order; \
                 system 1 of test systems is system 2 of training systems: "
            ),
            "{}",
            found.message
        );
        assert_eq!(only(&findings(Leaks::Warn, &splits), "leaks").severity, Severity::Warning);
        assert_eq!(only(&findings(Leaks::Allow, &splits), "leaks").severity, Severity::Note);
    }

    #[test]
    fn synthetic_systems_are_learnt_from_and_validation_is_no_training() {
        let splits = [(Split::Synthetic, vec![water(0.0, -1.0)]), (Split::Validation, vec![water(0.0, -7.0)])];
        let found = findings(Leaks::Refuse, &splits);
        // Another method's energy is no contradiction.
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(only(&found, "leaks").severity, Severity::Warning);
        let splits = [(Split::Validation, vec![water(0.0, -1.0)]), (Split::Test, vec![water(0.0, -1.0)])];
        assert_eq!(only(&findings(Leaks::Refuse, &splits), "leaks").severity, Severity::Warning);
    }

    #[test]
    fn two_energies_of_one_structure() {
        let same = [water(0.0, -1.0), water(0.1, -1.1), turned(&water(0.0, -1.5)), water(0.0, -1.0)];
        let found = findings(Leaks::Warn, &[(Split::All, same.to_vec())]);
        let energies = only(&found, "energies");
        assert!(energies.message.starts_with("structures with two energies: 1 (3 systems);"), "{}", energies.message);
        assert!(energies.message.contains("0.5000 eV"), "{}", energies.message);
        let repeats = only(&found, "repetitions");
        assert!(repeats.message.contains("of their split: 2, such as"), "{}", repeats.message);
        // Rounding is no contradiction.
        let rounded = vec![water(0.0, -9000.0), water(0.0, -9000.001)];
        assert!(findings(Leaks::Warn, &[(Split::All, rounded)]).iter().all(|f| f.check != "energies"));
    }

    #[test]
    fn thousands_of_copies_are_one_group() {
        let many = vec![water(0.0, -1.0); 5000];
        let found = findings(Leaks::Warn, &[(Split::All, many)]);
        assert!(only(&found, "repetitions").message.contains("of their split: 4999, such as"));
    }
}
