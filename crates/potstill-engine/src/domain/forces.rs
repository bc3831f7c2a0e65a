//! Forces and virials of a domain, summed over its edges.

use potstill_core::system::Mat3;
use potstill_kernels::Number;

use super::DomainPrediction;
use crate::edges::{EdgeLists, TaskGradients};

impl DomainPrediction {
    /// Adds what the edges of own atoms contribute to forces and virials. `factor`: from derivatives of the network's energy to eV.
    pub(crate) fn add_edges<T: Number>(
        &mut self,
        edges: &EdgeLists<T>,
        gradients: &[TaskGradients<T>],
        factor: f64,
        wants_atomic_virials: bool,
    ) {
        let mut total: Mat3 = [[0.0; 3]; 3];
        edges.for_each_gradient(gradients, factor, |atom, other, displacement, gradient| {
            let virial: Mat3 = std::array::from_fn(|c| displacement.map(|d| -gradient[c] * d));
            for (force, gradient) in self.forces[atom].iter_mut().zip(gradient) {
                *force += gradient;
            }
            for (force, gradient) in self.forces[other].iter_mut().zip(gradient) {
                *force -= gradient;
            }
            add(&mut total, &virial, 1.0);
            if wants_atomic_virials {
                add(&mut self.atomic_virials[atom], &virial, 0.5);
                add(&mut self.atomic_virials[other], &virial, 0.5);
            }
        });
        self.virial = Some(total);
    }
}

fn add(sum: &mut Mat3, part: &Mat3, factor: f64) {
    for (sum, part) in sum.as_flattened_mut().iter_mut().zip(part.as_flattened()) {
        *sum += factor * part;
    }
}
