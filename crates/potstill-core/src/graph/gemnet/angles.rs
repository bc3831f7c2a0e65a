//! The angles at which edges meet, in f64.
//!
//! All are made of products of the unit vectors of two edges, so it does not matter which way they all point.

use rayon::prelude::*;

use super::{EdgeSet, GemNetGraph, Quadruplets, Triplets};
use crate::system::{Vec3, cross, dot};

/// Least number of angles that is worth a thread.
const ANGLES_PER_TASK: usize = 4096;
/// Least sine (times the two lengths) of a dihedral angle, as in the reference: where three atoms lie on a line the
/// angle is π/2.
const MIN_CROSS: f64 = 1e-9;

/// Angles of all triplets and quadruplets of a [`GemNetGraph`]; absent where these are. Cosines lie in [-1, 1].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GemNetAngles {
    /// Cosine between `b -> a` and `c -> a` of each entry of `e2e`.
    pub e2e: Vec<f64>,
    /// Cosine of the angle at each entry of `a2e`.
    pub a2e: Option<Vec<f64>>,
    /// Cosine of the angle at each entry of `e2a`.
    pub e2a: Option<Vec<f64>>,
    /// Angles of quadruplets.
    pub quadruplets: Option<QuadrupletAngles>,
}

/// Angles of quadruplets `d -> b -> a <- c`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuadrupletAngles {
    /// Cosine between `d -> b` and `b -> a` (as vectors end to end: 1 if straight) of each input triplet.
    pub abd: Vec<f64>,
    /// Cosine between `c -> a` and `b -> a` of each output triplet.
    pub cab: Vec<f64>,
    /// Angle in [0, π] between the planes `cab` and `abd`, of each quadruplet.
    pub dihedral: Vec<f64>,
}

impl GemNetGraph {
    /// The angles of all triplets and quadruplets.
    pub fn angles(&self) -> GemNetAngles {
        let main = units(&self.main.displacement);
        let a2ee2a = self.a2ee2a.as_ref().map(units_of_set);
        let qint = self.qint.as_ref().map(units_of_set);
        GemNetAngles {
            e2e: cosines(&self.e2e, &main, &main),
            a2e: self.a2e.as_ref().zip(a2ee2a.as_ref()).map(|(triplets, input)| cosines(triplets, input, &main)),
            e2a: self.e2a.as_ref().zip(a2ee2a.as_ref()).map(|(triplets, output)| cosines(triplets, &main, output)),
            quadruplets: self.quadruplets.as_ref().zip(qint).map(|(quadruplets, qint)| of(quadruplets, &main, &qint)),
        }
    }
}

fn of(quadruplets: &Quadruplets, main: &[Vec3], qint: &[Vec3]) -> QuadrupletAngles {
    let Quadruplets { input_triplets, output_triplets, .. } = quadruplets;
    // Normals of the two planes, each turned by the same right angle about b -> a.
    let normals = |main_edges: &[u32], qint_edges: &[u32]| -> Vec<Vec3> {
        let pairs = main_edges.par_iter().zip(qint_edges).with_min_len(ANGLES_PER_TASK);
        pairs.map(|(&m, &q)| cross(main[m as usize], qint[q as usize])).collect()
    };
    let u = normals(&output_triplets.output, &output_triplets.input);
    let w = normals(&input_triplets.input, &input_triplets.output);
    let pairs = quadruplets.output_triplet.par_iter().zip(&quadruplets.input_triplet);
    let dihedral = pairs.with_min_len(ANGLES_PER_TASK).map(|(&o, &i)| between(u[o as usize], w[i as usize])).collect();
    QuadrupletAngles { abd: cosines(input_triplets, main, qint), cab: cosines(output_triplets, qint, main), dihedral }
}

/// Cosine between the input and the output edge of each triplet.
fn cosines(triplets: &Triplets, input: &[Vec3], output: &[Vec3]) -> Vec<f64> {
    let pairs = triplets.input.par_iter().zip(&triplets.output).with_min_len(ANGLES_PER_TASK);
    pairs.map(|(&i, &o)| dot(input[i as usize], output[o as usize]).clamp(-1.0, 1.0)).collect()
}

/// Angle between two vectors in [0, π].
fn between(u: Vec3, w: Vec3) -> f64 {
    let normal = cross(u, w);
    dot(normal, normal).sqrt().max(MIN_CROSS).atan2(dot(u, w))
}

fn units_of_set(edges: &EdgeSet) -> Vec<Vec3> {
    units(&edges.displacement)
}

fn units(displacement: &[Vec3]) -> Vec<Vec3> {
    let unit = |&d: &Vec3| {
        let length = dot(d, d).sqrt();
        d.map(|x| x / length)
    };
    displacement.iter().map(unit).collect()
}
