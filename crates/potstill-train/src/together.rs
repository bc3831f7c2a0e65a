//! Evaluators of several processes, joined in the order of the batches that they have seen.

use potstill_core::metrics::Evaluator;
use potstill_core::ranks::Ranks;
use potstill_core::{Error, Result};

/// Numbers and evaluator of a batch.
pub type Part<const N: usize> = ([f64; N], Evaluator);

/// Sum of the parts of all processes, each of which has consecutive ones: the same bits for any number of processes.
///
/// # Errors
/// A message of another version.
pub fn joined<const N: usize>(ranks: &dyn Ranks, own: &[Part<N>]) -> Result<Part<N>> {
    let mut sum: Part<N> = ([0.0; N], Evaluator::new());
    let mut add = |(numbers, evaluator): &Part<N>| {
        sum.0.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
        sum.1.add(evaluator);
    };
    if ranks.is_alone() {
        own.iter().for_each(add);
        return Ok(sum);
    }
    let broken =
        || Error::Other("a message about an evaluation cannot be read; are all processes of one version?".to_owned());
    for message in ranks.gathered(own.iter().flat_map(record).collect()) {
        let mut rest = &message[..];
        while !rest.is_empty() {
            let (part, after) = read(rest).ok_or_else(broken)?;
            add(&part);
            rest = after;
        }
    }
    read(&ranks.shared(record(&sum))).map(|(part, _)| part).ok_or_else(broken)
}

/// Message about a part: bytes of the evaluator, numbers, evaluator.
fn record<const N: usize>((numbers, evaluator): &Part<N>) -> Vec<u8> {
    let evaluator = evaluator.to_bytes();
    let mut bytes = (evaluator.len() as u64).to_le_bytes().to_vec();
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend(evaluator);
    bytes
}

/// First part of a message, and the rest.
fn read<const N: usize>(message: &[u8]) -> Option<(Part<N>, &[u8])> {
    let (length, rest) = message.split_first_chunk::<8>()?;
    let (numbers, rest) = rest.split_at_checked(8 * N)?;
    let (evaluator, rest) = rest.split_at_checked(u64::from_le_bytes(*length) as usize)?;
    let mut all = [0.0; N];
    all.iter_mut().zip(numbers.as_chunks::<8>().0).for_each(|(number, bytes)| *number = f64::from_le_bytes(*bytes));
    Some(((all, Evaluator::from_bytes(evaluator)?), rest))
}

#[cfg(test)]
mod tests {
    use potstill_core::System;
    use potstill_testkit::ranks::together;

    use super::*;

    #[test]
    fn any_number_of_processes_finds_the_same() {
        let part = |k: usize| {
            let system =
                System { energy: Some(0.0), atomic_numbers: vec![1], positions: vec![[0.0; 3]], ..System::default() };
            let mut evaluator = Evaluator::new();
            evaluator.update(&system, 0.1 * 3_f64.powi(k as i32), &[[0.0; 3]]).unwrap();
            ([0.1 * k as f64], evaluator)
        };
        let of = |n_ranks: usize| {
            together(n_ranks, |ranks| {
                let ranks: &dyn Ranks = ranks;
                let own: Vec<Part<1>> = ranks.block(ranks.rank(), 7).map(part).collect();
                joined(ranks, &own).unwrap()
            })
        };
        let alone = of(1).remove(0);
        for n_ranks in [2, 3, 9] {
            assert!(of(n_ranks).iter().all(|part| part == &alone), "{n_ranks}");
        }
    }
}
