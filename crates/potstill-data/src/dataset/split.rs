//! Division of a dataset into training, validation and test parts.

use std::borrow::Borrow;
use std::collections::HashMap;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use super::error_at;
use potstill_core::error::{Error, Result};
use potstill_core::system::System;

/// Size of a part; in TOML and JSON an integer is a count, a number with a point a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of systems, or a fraction of them")]
pub enum Size {
    /// Number of systems.
    Count(usize),
    /// Fraction of all systems, 0 to 1.
    Fraction(f64),
}

/// Name and indices of one part, ascending.
pub type Part = (String, Vec<usize>);

/// Rounding allowed in a sum of fractions such as 0.7 + 0.2 + 0.1.
const FRACTION_TOLERANCE: f64 = 1e-9;

/// Divides `systems` into named parts, the same for the same seed.
///
/// With `group_by`, systems whose metadata have the same value under that key stay together. Groups (single systems
/// without `group_by`) are shuffled, and each goes whole to the part furthest below its size. Without groups every
/// count is met exactly; with groups as nearly as whole groups allow. A part of positive size is never empty. Systems
/// that no part asks for are in none, every other system is in exactly one.
///
/// # Errors
/// Sizes that are negative, not finite, or more than there is; two parts of one name; no parts; more parts than
/// groups; no systems; a system without the key (the message lists the keys that it has).
pub fn split(
    systems: &[impl Borrow<System>],
    parts: &[(String, Size)],
    group_by: Option<&str>,
    seed: u64,
) -> Result<Vec<Part>> {
    let mut groups = Groups::new(group_by);
    systems.iter().try_for_each(|system| groups.add(system.borrow()))?;
    groups.split(parts, seed)
}

/// Groups and number of systems that come one by one, as a [`split`] needs them.
#[derive(Debug, Clone)]
pub struct Groups {
    key: Option<String>,
    n_systems: usize,
    group_of: HashMap<String, usize>,
    /// Indices of the systems of each group, groups in order of first appearance; empty without a key.
    groups: Vec<Vec<usize>>,
}

impl Groups {
    /// Systems with the same value under `group_by` stay together.
    pub fn new(group_by: Option<&str>) -> Self {
        Self { key: group_by.map(str::to_owned), n_systems: 0, group_of: HashMap::new(), groups: Vec::new() }
    }

    /// Takes in the next system.
    ///
    /// # Errors
    /// A system without the key; the message lists the keys that it has.
    pub fn add(&mut self, system: &System) -> Result<()> {
        let index = self.n_systems;
        self.n_systems += 1;
        let Some(key) = &self.key else { return Ok(()) };
        let value = system.metadata.get(key).ok_or_else(|| no_key(index, system, key))?;
        let group = *self.group_of.entry(value.to_string()).or_insert(self.groups.len());
        if group == self.groups.len() {
            self.groups.push(Vec::new());
        }
        self.groups[group].push(index);
        Ok(())
    }

    /// Divides the systems that were added, see [`split`].
    ///
    /// # Errors
    /// Those of [`split`].
    pub fn split(self, parts: &[(String, Size)], seed: u64) -> Result<Vec<Part>> {
        check_parts(parts)?;
        let n_systems = self.n_systems;
        if n_systems == 0 {
            return Err(Error::setting("split", "no systems to divide"));
        }
        let mut targets = targets(parts, n_systems)?;
        let mut groups = match self.key {
            Some(_) => self.groups,
            None => (0..n_systems).map(|i| vec![i]).collect(),
        };
        let n_wanted = targets.iter().filter(|&&t| t > 0.0).count();
        if groups.len() < n_wanted {
            let what = self.key.map_or_else(|| "systems".into(), |key| format!("groups of one `{key}`"));
            let message = format!("{n_wanted} parts, but only {} {what}; ask for fewer parts", groups.len());
            return Err(Error::setting("split", message));
        }
        groups.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        // What nobody asks for goes to one more part, which is then forgotten.
        let rest = n_systems as f64 - targets.iter().sum::<f64>();
        targets.push(if rest > FRACTION_TOLERANCE * n_systems as f64 { rest } else { 0.0 });
        let mut assigned = assign(groups, targets, parts.len());
        assigned.truncate(parts.len());
        Ok(parts.iter().map(|(name, _)| name.clone()).zip(assigned).collect())
    }
}

fn check_parts(parts: &[(String, Size)]) -> Result<()> {
    if parts.is_empty() {
        return Err(Error::setting("split", "no parts; give for example train = 0.8, val = 0.1, test = 0.1"));
    }
    for (i, (name, size)) in parts.iter().enumerate() {
        let key = || format!("split.{name}");
        if parts[..i].iter().any(|(other, _)| other == name) {
            return Err(Error::setting(key(), "given twice; every part needs its own name"));
        }
        if let Size::Fraction(f) = size
            && !(0.0..=1.0).contains(f)
        {
            return Err(Error::setting(
                key(),
                format!("{f} is no fraction; give 0 to 1, or a whole number of systems"),
            ));
        }
    }
    Ok(())
}

/// Size of each part in systems, not rounded.
fn targets(parts: &[(String, Size)], n_systems: usize) -> Result<Vec<f64>> {
    let fractions: f64 = parts.iter().map(|(_, size)| if let Size::Fraction(f) = size { *f } else { 0.0 }).sum();
    if fractions > 1.0 + FRACTION_TOLERANCE {
        return Err(Error::setting("split", format!("fractions sum to {fractions}; they must not exceed 1")));
    }
    let targets: Vec<f64> = parts
        .iter()
        .map(|(_, size)| match size {
            Size::Count(n) => *n as f64,
            Size::Fraction(f) => f * n_systems as f64,
        })
        .collect();
    let wanted: f64 = targets.iter().sum();
    if wanted > n_systems as f64 * (1.0 + FRACTION_TOLERANCE) {
        return Err(Error::setting("split", format!("{wanted} systems asked for, but there are {n_systems}")));
    }
    Ok(targets)
}

fn no_key(index: usize, system: &System, key: &str) -> Error {
    let keys: Vec<String> = system.metadata.keys().map(|k| format!("`{k}`")).collect();
    let message = if keys.is_empty() {
        format!("no `{key}` to group by, and no other metadata; split without grouping")
    } else {
        format!("no `{key}` to group by; it has {}", keys.join(", "))
    };
    error_at(index, system, message)
}

/// Gives each group to the part furthest below its target; the first `n_named` parts must not stay empty.
fn assign(groups: Vec<Vec<usize>>, targets: Vec<f64>, n_named: usize) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = vec![Vec::new(); targets.len()];
    let n_groups = groups.len();
    for (done, group) in groups.into_iter().enumerate() {
        let is_empty = |i: usize| i < n_named && parts[i].is_empty() && targets[i] > 0.0;
        let n_empty = (0..targets.len()).filter(|&i| is_empty(i)).count();
        let only_empty = n_groups - done <= n_empty;
        let below = |i: usize| targets[i] - parts[i].len() as f64;
        let chosen = (0..targets.len())
            .filter(|&i| targets[i] > 0.0 && (!only_empty || is_empty(i)))
            .reduce(|best, i| if below(i) > below(best) { i } else { best });
        if let Some(chosen) = chosen {
            parts[chosen].extend(group);
        }
    }
    parts.iter_mut().for_each(|part| part.sort_unstable());
    parts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use potstill_core::system::Value;

    fn systems(groups: &[i64]) -> Vec<System> {
        let make = |&g: &i64| System { metadata: [("traj".to_string(), Value::Int(g))].into(), ..System::default() };
        groups.iter().map(make).collect()
    }

    fn named(sizes: &[Size]) -> Vec<(String, Size)> {
        ["train", "val", "test"].iter().map(ToString::to_string).zip(sizes.iter().copied()).collect()
    }

    fn lengths(parts: &[Part]) -> Vec<usize> {
        parts.iter().map(|(_, indices)| indices.len()).collect()
    }

    fn complaint(systems: &[System], parts: &[(String, Size)], key: Option<&str>) -> String {
        split(systems, parts, key, 0).unwrap_err().to_string()
    }

    use Size::{Count, Fraction};

    #[test]
    fn fractions_and_counts_are_met() {
        let data = systems(&[0; 100]);
        let parts = split(&data, &named(&[Fraction(0.8), Fraction(0.1), Fraction(0.1)]), None, 7).unwrap();
        assert_eq!(lengths(&parts), [80, 10, 10]);
        assert_eq!(parts[1].0, "val");
        let parts = split(&data, &named(&[Count(50), Fraction(0.25), Count(0)]), None, 7).unwrap();
        assert_eq!(lengths(&parts), [50, 25, 0]);
    }

    #[test]
    fn small_parts_are_not_empty() {
        let thirds = systems(&[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
        let sizes = named(&[Fraction(0.8), Fraction(0.1), Fraction(0.1)]);
        assert_eq!(lengths(&split(&thirds, &sizes, Some("traj"), 1).unwrap()), [4, 4, 4]);
        assert_eq!(lengths(&split(&thirds[..5], &sizes, None, 1).unwrap()), [3, 1, 1]);
    }

    #[test]
    fn seeds_differ() {
        let data = systems(&[0; 50]);
        let sizes = named(&[Fraction(0.5)]);
        assert_ne!(split(&data, &sizes, None, 1).unwrap(), split(&data, &sizes, None, 2).unwrap());
    }

    #[test]
    fn a_seed_means_the_same_split_in_every_version() {
        let parts = split(&systems(&[0; 12]), &named(&[Count(4), Count(2)]), None, 42).unwrap();
        assert_eq!((&parts[0].1[..], &parts[1].1[..]), (&[0, 3, 6, 11][..], &[8, 10][..]));
    }

    #[test]
    fn wrong_sizes_are_named() {
        let data = systems(&[0, 0, 1]);
        let cases: [(&[Size], &str); 5] = [
            (&[], "split: no parts; give for example train = 0.8, val = 0.1, test = 0.1"),
            (&[Fraction(-0.1)], "split.train: -0.1 is no fraction; give 0 to 1, or a whole number of systems"),
            (&[Fraction(0.5), Fraction(0.75)], "split: fractions sum to 1.25; they must not exceed 1"),
            (&[Count(3), Count(2)], "split: 5 systems asked for, but there are 3"),
            (&[Fraction(f64::NAN)], "split.train: NaN is no fraction; give 0 to 1, or a whole number of systems"),
        ];
        for (sizes, message) in cases {
            assert_eq!(complaint(&data, &named(sizes), None), message);
        }
        let twice = [("a".to_string(), Count(1)), ("a".to_string(), Count(1))];
        assert_eq!(complaint(&data, &twice, None), "split.a: given twice; every part needs its own name");
        assert_eq!(
            complaint(&data, &named(&[Count(1), Count(1), Count(1)]), Some("traj")),
            "split: 3 parts, but only 2 groups of one `traj`; ask for fewer parts"
        );
        assert_eq!(complaint(&[], &named(&[Fraction(1.0)]), None), "split: no systems to divide");
    }

    #[test]
    fn an_absent_key_lists_those_present() {
        let mut data = systems(&[0, 1]);
        let sizes = named(&[Fraction(1.0)]);
        assert_eq!(complaint(&data, &sizes, Some("run")), "system 0: no `run` to group by; it has `traj`");
        data[1].metadata.clear();
        assert_eq!(
            complaint(&data, &sizes, Some("traj")),
            "system 1: no `traj` to group by, and no other metadata; split without grouping"
        );
    }

    #[test]
    fn sizes_read_from_toml() {
        #[derive(Deserialize)]
        struct Config {
            train: Size,
            val: Size,
        }
        let config: Config = toml::from_str("train = 0.9\nval = 10").unwrap();
        assert_eq!((config.train, config.val), (Fraction(0.9), Count(10)));
    }

    proptest! {
        #[test]
        fn fractions_partition_and_keep_groups(
            groups in prop::collection::vec(0i64..12, 1..80),
            train in 0.0f64..1.0,
            grouped: bool,
            seed: u64,
        ) {
            let data = systems(&groups);
            let sizes = named(&[Fraction(train), Fraction(1.0 - train)]);
            let key = grouped.then_some("traj");
            let n_groups = if grouped { groups.iter().collect::<BTreeSet<_>>().len() } else { groups.len() };
            prop_assume!(n_groups >= 2);
            let parts = split(&data, &sizes, key, seed).unwrap();
            prop_assert_eq!(&parts, &split(&data, &sizes, key, seed).unwrap());
            let mut all: Vec<usize> = parts.iter().flat_map(|(_, indices)| indices.clone()).collect();
            prop_assert!(parts.iter().all(|(_, indices)| indices.is_sorted()));
            all.sort_unstable();
            prop_assert_eq!(all, (0..groups.len()).collect::<Vec<_>>());
            if grouped {
                let of = |k: usize| parts[k].1.iter().map(|&i| groups[i]).collect::<BTreeSet<_>>();
                prop_assert!(of(0).is_disjoint(&of(1)));
            } else {
                let wanted = train * groups.len() as f64;
                prop_assert!((parts[0].1.len() as f64 - wanted).abs() <= 1.0);
            }
        }

        #[test]
        fn counts_are_exact(n in 1usize..60, a in 0usize..20, b in 0usize..20, seed: u64) {
            prop_assume!(a + b <= n);
            let parts = split(&systems(&vec![0; n]), &named(&[Count(a), Count(b)]), None, seed).unwrap();
            prop_assert_eq!(lengths(&parts), [a, b]);
            let distinct: BTreeSet<usize> = parts.iter().flat_map(|(_, indices)| indices.clone()).collect();
            prop_assert_eq!(distinct.len(), a + b);
        }
    }
}
