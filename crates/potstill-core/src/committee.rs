//! Committee: mean of several potentials.

use crate::system::System;
use crate::{Error, Potential, Prediction, Result};

/// Mean of the energies, forces and virials of several potentials.
pub struct Committee {
    members: Vec<Box<dyn Potential>>,
    cutoff: f64,
    elements: Vec<u8>,
}

impl Committee {
    /// Mean of some potentials, which knows the elements that all of them know.
    ///
    /// # Errors
    /// No potential at all.
    pub fn new(members: Vec<Box<dyn Potential>>) -> Result<Self> {
        let Some(first) = members.first() else {
            return Err(Error::Other("a committee needs at least one potential".into()));
        };
        let known = |z: &u8| members.iter().all(|member| member.elements().contains(z));
        let elements = first.elements().iter().copied().filter(known).collect();
        let cutoff = members.iter().map(|member| member.cutoff()).fold(0.0, f64::max);
        Ok(Self { members, cutoff, elements })
    }
}

impl Potential for Committee {
    fn cutoff(&self) -> f64 {
        self.cutoff
    }

    fn elements(&self) -> &[u8] {
        &self.elements
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        let (first, others) = self.members.split_first().expect("at least one member");
        let mut mean = first.evaluate(systems)?;
        for (k, member) in others.iter().enumerate() {
            let own = member.evaluate(systems)?;
            let share = 1.0 / (k + 2) as f64;
            let update = |mean: &mut [f64], own: &[f64]| {
                for (mean, own) in mean.iter_mut().zip(own) {
                    *mean += share * (own - *mean);
                }
            };
            update(&mut mean.energy, &own.energy);
            update(&mut mean.atomic_energies, &own.atomic_energies);
            update(mean.forces.as_flattened_mut(), own.forces.as_flattened());
            mean.virial = mean.virial.take().zip(own.virial).map(|(mut mean, own)| {
                update(mean.as_flattened_mut().as_flattened_mut(), own.as_flattened().as_flattened());
                mean
            });
        }
        Ok(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::Committee;
    use crate::system::System;
    use crate::{Potential, Prediction, Result};

    /// Answers the same number everywhere.
    struct Constant(f64, Vec<u8>, bool);

    impl Potential for Constant {
        fn cutoff(&self) -> f64 {
            self.0
        }

        fn elements(&self) -> &[u8] {
            &self.1
        }

        fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
            let n_atoms = systems.iter().map(|system| system.n_atoms()).sum();
            Ok(Prediction {
                energy: vec![self.0; systems.len()],
                atomic_energies: vec![self.0; n_atoms],
                forces: vec![[self.0, 2.0 * self.0, 0.0]; n_atoms],
                virial: self.2.then(|| vec![[[self.0; 3]; 3]; systems.len()]),
            })
        }
    }

    fn of(members: Vec<Constant>) -> Committee {
        Committee::new(members.into_iter().map(|member| Box::new(member) as Box<dyn Potential>).collect()).unwrap()
    }

    #[test]
    fn averages_what_all_of_them_give() {
        let system =
            System { atomic_numbers: vec![1, 8], positions: vec![[0.0; 3], [1.0, 0.0, 0.0]], ..System::default() };
        let mean =
            of(vec![Constant(1.0, vec![1, 8], true), Constant(2.0, vec![1, 8], true), Constant(6.0, vec![8], true)]);
        assert_eq!((mean.cutoff(), mean.elements()), (6.0, [8].as_slice()));
        let answer = mean.evaluate(&[&system]).unwrap();
        assert_eq!(answer.energy, [3.0]);
        assert_eq!(answer.atomic_energies, [3.0; 2]);
        assert_eq!(answer.forces, [[3.0, 6.0, 0.0]; 2]);
        assert_eq!(answer.virial, Some(vec![[[3.0; 3]; 3]]));
        let without = of(vec![Constant(1.0, vec![1], true), Constant(2.0, vec![1], false)]);
        assert_eq!(without.evaluate(&[&system]).unwrap().virial, None);
        assert!(Committee::new(Vec::new()).is_err());
    }
}
