//! Choice of structures that are far from all that is known, and from each other.

use rayon::prelude::*;

use super::descriptor::distance;

/// Indices of up to `n` candidates, each the farthest from all that is known and from those before it (farthest-point sampling,
/// T. F. Gonzalez, Theor. Comput. Sci. 38, 293 (1985)).
pub fn farthest(candidates: &[Vec<f32>], known: &[Vec<f32>], n: usize) -> Vec<usize> {
    let to_known = |candidate: &Vec<f32>| known.iter().map(|k| distance(candidate, k)).fold(f32::INFINITY, f32::min);
    let mut nearest: Vec<f32> = candidates.par_iter().map(to_known).collect();
    let mut chosen = Vec::new();
    while chosen.len() < n {
        // Of equally far ones the first; what lies on a chosen one adds nothing.
        let far = nearest.iter().enumerate().fold(None, |best: Option<(usize, f32)>, (i, &d)| match best {
            Some((_, most)) if most >= d => best,
            _ => Some((i, d)),
        });
        let Some((index, _)) = far.filter(|(_, d)| *d > 0.0) else { break };
        chosen.push(index);
        nearest.par_iter_mut().zip(candidates).for_each(|(d, other)| *d = d.min(distance(other, &candidates[index])));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_farthest_come_first_and_nothing_twice() {
        let at = |x: f32| vec![x, 0.0];
        let candidates: Vec<Vec<f32>> = [1.0, 10.0, 5.0, 10.0, 0.0].map(at).into();
        assert_eq!(farthest(&candidates, &[at(0.0)], 3), [1, 2, 0]);
        // The twin of a chosen one, and one that is known, are never chosen.
        assert_eq!(farthest(&candidates, &[at(0.0)], 9).len(), 3);
        assert_eq!(farthest(&candidates, &[], 1), [0]);
        assert!(farthest(&[], &[at(0.0)], 2).is_empty());
    }
}
