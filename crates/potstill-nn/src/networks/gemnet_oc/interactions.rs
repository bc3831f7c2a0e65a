//! Messages along triplets, quadruplets and pairs (Gasteiger et al. 2022, sec. 4).

use std::f64::consts::FRAC_1_SQRT_2;

use burn::module::Module;
use burn::tensor::Tensor;
use potstill_core::model::GemNetOCConfig;

use super::bases::{QuadrupletValues, TripletValues};
use super::layers::{Scale, ScaleFit, activated, linear};
use crate::batch::gemnet::{EdgeTable, InputTable, QuadrupletTables};
use crate::init::Initializer;
use crate::layers::Dense;
use crate::ops::{angular_sum, dihedral_sum};
use crate::tensors::{RowIndex, gather_rows};

/// Sum over triplets, bilinear in the input's features and the angular basis.
#[derive(Module, Debug)]
pub struct Triplets {
    /// `input → input`.
    pub input: Dense,
    /// `radial_channels → input`.
    pub radial: Dense,
    /// `input → triplet_in`.
    pub down: Dense,
    /// `circular · triplet_in → triplet_out`.
    pub bilinear: Dense,
    /// `triplet_out → output`, for the output itself.
    pub up: Dense,
    /// `triplet_out → output`, for the reverse of an output edge; absent where outputs are atoms.
    pub up_reverse: Option<Dense>,
    #[module(skip)]
    scale_radial: Scale,
    #[module(skip)]
    scale_sum: Scale,
}

impl Triplets {
    pub(super) fn new(
        config: &GemNetOCConfig,
        (input, output): (usize, usize),
        symmetric: bool,
        name: &str,
        rng: &mut Initializer,
    ) -> Self {
        let (down, up) = (config.triplet_in_channels, config.triplet_out_channels);
        let scale = |what: &str| Scale::new(format!("{name}.{what}"), &config.scale_factors);
        Self {
            input: linear(input, input, rng),
            radial: linear(config.radial_channels, input, rng),
            down: linear(input, down, rng),
            bilinear: linear(config.circular_channels * down, up, rng),
            up: linear(up, output, rng),
            up_reverse: symmetric.then(|| linear(up, output, rng)),
            scale_radial: scale("scale_rbf"),
            scale_sum: scale("scale_cbf_sum"),
        }
    }

    /// Features of each output edge. `x` are features of edges, or of atoms that `sources` spreads over edges. `inputs` lists the inputs
    /// of each slot of `circular`; where several slots belong to one output, `coefficients` has them side by side.
    ///
    /// Shape: `[n_outputs, output]`; `reverse` maps each output edge to its reverse.
    pub(super) fn forward(
        &self,
        x: &Tensor<2>,
        sources: Option<&EdgeTable>,
        values: &TripletValues,
        inputs: &InputTable,
        reverse: &RowIndex,
        fit: Option<&ScaleFit>,
    ) -> Tensor<2> {
        let mut x = activated(&self.input, x.clone());
        if let Some(edges) = sources {
            x = gather_rows(x, &edges.source);
        }
        let x = activated(&self.down, self.scale_radial.gate(&x, &values.radial, &self.radial, fit));

        let z = self.bilinear.forward(sum_over_triplets(&x, values, inputs));
        let reference = fit.map(|_| inputs.taken_rows(gather_rows(x, &inputs.input)));
        let z = self.scale_sum.apply(z, reference.as_ref(), fit);
        match &self.up_reverse {
            Some(up_reverse) => both_ways(&self.up, up_reverse, z, reverse),
            None => activated(&self.up, z),
        }
    }
}

/// `Σ basis(θ) ⊗ x`, contracted with the coefficients of each output. Shape: `[n, circular_channels · c]`.
fn sum_over_triplets(x: &Tensor<2>, values: &TripletValues, inputs: &InputTable) -> Tensor<2> {
    let sum = angular_sum(x, &values.circular, &values.coefficients, &inputs.host);
    sum.unwrap_or_else(|| portable_triplets(x, values, inputs))
}

fn portable_triplets(x: &Tensor<2>, values: &TripletValues, inputs: &InputTable) -> Tensor<2> {
    let ([n, circular, s], channels) = (values.coefficients.dims(), x.dims()[1]);
    let sums = inputs.outer_sum(&values.circular, x.clone());
    let z = values.coefficients.clone().matmul(sums.reshape([n, s, channels]));
    z.reshape([n, circular * channels])
}

/// `(σ(U x) + σ(U' x)[reverse]) / √2`
fn both_ways(up: &Dense, up_reverse: &Dense, x: Tensor<2>, reverse: &RowIndex) -> Tensor<2> {
    let own = activated(up, x.clone());
    let other = gather_rows(activated(up_reverse, x), reverse);
    (own + other).mul_scalar(FRAC_1_SQRT_2)
}

/// Sum over quadruplets.
#[derive(Module, Debug)]
pub struct Quadruplets {
    /// `edge → edge`.
    pub input: Dense,
    /// `radial_channels → edge`.
    pub radial: Dense,
    /// `circular_channels → quadruplet_in`.
    pub circular: Dense,
    /// `edge → quadruplet_in`.
    pub down: Dense,
    /// `spherical · quadruplet_in → quadruplet_out`.
    pub bilinear: Dense,
    /// `quadruplet_out → edge`.
    pub up: Dense,
    /// `quadruplet_out → edge`, for the reverse edge.
    pub up_reverse: Dense,
    #[module(skip)]
    scale_radial: Scale,
    #[module(skip)]
    scale_circular: Scale,
    #[module(skip)]
    scale_sum: Scale,
}

impl Quadruplets {
    pub(super) fn new(config: &GemNetOCConfig, name: &str, rng: &mut Initializer) -> Self {
        let (edge, down, up) = (config.edge_channels, config.quadruplet_in_channels, config.quadruplet_out_channels);
        let scale = |what: &str| Scale::new(format!("{name}.{what}"), &config.scale_factors);
        Self {
            input: linear(edge, edge, rng),
            radial: linear(config.radial_channels, edge, rng),
            circular: linear(config.circular_channels, down, rng),
            down: linear(edge, down, rng),
            bilinear: linear(config.spherical_channels * down, up, rng),
            up: linear(up, edge, rng),
            up_reverse: linear(up, edge, rng),
            scale_radial: scale("scale_rbf"),
            scale_circular: scale("scale_cbf"),
            scale_sum: scale("scale_sbf_sum"),
        }
    }

    /// Shape: `[n_edges, edge]` to the same.
    pub(super) fn forward(
        &self,
        edge: &Tensor<2>,
        values: &QuadrupletValues,
        tables: &QuadrupletTables,
        reverse: &RowIndex,
        fit: Option<&ScaleFit>,
    ) -> Tensor<2> {
        let x = activated(&self.input, edge.clone());
        let x = activated(&self.down, self.scale_radial.gate(&x, &values.radial, &self.radial, fit));

        let x = gather_rows(x, &tables.incoming.inputs.input);
        let x = self.scale_circular.gate_slots(&x, &values.circular, &self.circular, &tables.incoming.inputs, fit);

        let z = sum_over_quadruplets(x.clone(), values, tables);
        let reference = fit.map(|_| tables.quadruplet_rows(x));
        let z = self.scale_sum.apply(self.bilinear.forward(z), reference.as_ref(), fit);
        both_ways(&self.up, &self.up_reverse, z, reverse)
    }
}

/// `Σ_b Σ_d basis(φ, θ) ⊗ x`, contracted with the coefficients of each edge `c → a`.
///
/// The basis is a product of a function of the dihedral angle and one of the angle at `a`, so the sum over `d` is done for
/// each pair (`c → a`, `b → a`) first: as many products as quadruplets, but each with `n_spherical` functions instead of
/// their square. Shape: `[n_incoming_slots, c]` to `[n_edges, spherical_channels · c]`.
fn sum_over_quadruplets(x: Tensor<2>, values: &QuadrupletValues, tables: &QuadrupletTables) -> Tensor<2> {
    let (incoming, outgoing) = (&tables.incoming.inputs, &tables.outgoing.inputs);
    if values.spherical.outer {
        let (dihedral, polar) = (&values.spherical.dihedral, &values.spherical.polar[0]);
        let sum = dihedral_sum(&x, dihedral, polar, &values.coefficients, &outgoing.host, &incoming.host);
        if let Some(sum) = sum {
            return sum;
        }
    }
    portable_quadruplets(x, values, tables)
}

fn portable_quadruplets(x: Tensor<2>, values: &QuadrupletValues, tables: &QuadrupletTables) -> Tensor<2> {
    let channels = x.dims()[1];
    let (incoming, outgoing) = (&tables.incoming.inputs, &tables.outgoing.inputs);
    let [n_pairs, n_f, width] = values.spherical.dihedral.dims();
    let inner = gather_rows(x.reshape([incoming.n, width * channels]), &outgoing.input);
    let sums = values.spherical.dihedral.clone().matmul(inner.reshape([n_pairs, width, channels]));
    let sums = sums.reshape([outgoing.n, outgoing.width, n_f * channels]);

    let z = if values.spherical.outer {
        let n_k = values.spherical.polar[0].dims()[1];
        values.spherical.polar[0].clone().matmul(sums).reshape([outgoing.n, n_k * n_f, channels])
    } else {
        let parts = values
            .spherical
            .polar
            .iter()
            .enumerate()
            .map(|(f, polar)| polar.clone().matmul(sums.clone().narrow(2, f * channels, channels)));
        Tensor::cat(parts.collect(), 1)
    };
    let z = values.coefficients.clone().matmul(z);
    let spherical = z.dims()[1];
    z.reshape([outgoing.n, spherical * channels])
}

/// Sum over pairs of atoms.
#[derive(Module, Debug)]
pub struct Pairs {
    /// `atom → pair_in`.
    pub down: Dense,
    /// `radial_channels · pair_in → pair_out`.
    pub bilinear: Dense,
    /// `pair_out → atom`.
    pub up: Dense,
    #[module(skip)]
    scale_sum: Scale,
}

impl Pairs {
    pub(super) fn new(config: &GemNetOCConfig, name: &str, rng: &mut Initializer) -> Self {
        let (atom, down, up) = (config.atom_channels, config.pair_in_channels, config.pair_out_channels);
        Self {
            down: linear(atom, down, rng),
            bilinear: linear(config.radial_channels * down, up, rng),
            up: linear(up, atom, rng),
            scale_sum: Scale::new(format!("{name}.scale_rbf_sum"), &config.scale_factors),
        }
    }

    /// `radial` is by atom and slot of `inputs`. Shape: `[n_atoms, atom]` to the same.
    pub(super) fn forward(
        &self,
        atom: &Tensor<2>,
        radial: &Tensor<3>,
        edges: &EdgeTable,
        inputs: &InputTable,
        fit: Option<&ScaleFit>,
    ) -> Tensor<2> {
        let x = gather_rows(activated(&self.down, atom.clone()), &edges.source);
        let channels = x.dims()[1];
        let z = inputs.outer_sum(radial, x.clone());
        let n_radial = z.dims()[1];
        let z = self.bilinear.forward(z.reshape([inputs.n, n_radial * channels]));
        activated(&self.up, self.scale_sum.apply(z, Some(&x), fit))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};
    use potstill_core::System;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::batch::Batch;
    use crate::networks::gemnet_oc::angular::Spherical;
    use crate::tensors::to_host;
    use potstill_core::model::Architecture;

    /// Three systems of different sizes, so that tables have empty slots.
    fn batch() -> Batch {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let mut system = |n: usize| {
            let positions = (0..n).map(|i| [0, 1, 2].map(|_| rng.random_range(-0.4..0.4) + 0.9 * i as f64)).collect();
            System { atomic_numbers: vec![6; n], positions, ..System::default() }
        };
        let systems = [system(5), system(3), system(7)];
        let rule = Architecture::GemNetOC(GemNetOCConfig { cutoff: 4.0, ..Default::default() }).graph_rule();
        let graph = rule.build(&systems.iter().collect::<Vec<_>>()).expect("a graph");
        Batch::of(&graph, &Device::flex().autodiff(), DType::F64)
    }

    fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
        Tensor::from_data(TensorData::new(values, shape), (&Device::flex().autodiff(), DType::F64))
    }

    type Sum<'a> = &'a dyn Fn(&Tensor<2>, Tensor<3>) -> Tensor<2>;

    /// Asserts that two sums and their derivatives with respect to `x` and the coefficients agree.
    fn same(x_shape: [usize; 2], coefficient_shape: [usize; 3], sums: [Sum<'_>; 2]) {
        let results = sums.map(|sum| {
            let (x, coefficients) = (random(x_shape, 1).require_grad(), random(coefficient_shape, 2).require_grad());
            let output = sum(&x, coefficients.clone());
            let mut gradients = (output.clone() * random(output.dims(), 3)).sum().backward();
            let x = x.grad_remove(&mut gradients).expect("a gradient");
            let coefficients = coefficients.grad_remove(&mut gradients).expect("a gradient");
            [to_host(&output), to_host(&x), to_host(&coefficients)]
        });
        for (a, b) in results[0].iter().flatten().zip(results[1].iter().flatten()) {
            assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a} and {b}");
        }
        assert!(results[0][1].iter().any(|v| v.abs() > 1e-3), "the test sees nothing");
    }

    #[test]
    fn fused_sums_over_triplets_agree_with_plain_ones() {
        let batch = batch();
        let tables = batch.gemnet.as_ref().expect("tables");
        let (triplets, atoms) = (&tables.edge_to_edge.inputs, tables.edge_to_atom.as_ref().expect("edges and atoms"));
        let slots = [(triplets, triplets.n, 1), (&atoms.triplets.inputs, atoms.edges.n, atoms.edges.width)];
        for (inputs, n, rows) in slots {
            let circular = random([inputs.n, 3, inputs.width], 4) * inputs.taken.clone();
            let values =
                |coefficients| TripletValues { radial: random([1, 1], 5), coefficients, circular: circular.clone() };
            let fused = |x: &Tensor<2>, c: Tensor<3>| sum_over_triplets(x, &values(c), inputs);
            let plain = |x: &Tensor<2>, c: Tensor<3>| portable_triplets(x, &values(c), inputs);
            same([batch.n_edges, 5], [n, 2, 3 * rows], [&fused, &plain]);
        }
    }

    #[test]
    fn fused_sums_over_quadruplets_agree_with_plain_ones() {
        let batch = batch();
        let tables = batch.gemnet.as_ref().expect("tables");
        let tables = tables.quadruplets.as_ref().expect("quadruplets");
        let (incoming, outgoing) = (&tables.incoming.inputs, &tables.outgoing.inputs);
        let dihedral = random([outgoing.n * outgoing.width, 3, incoming.width], 4) * tables.taken.clone();
        let polar = random([outgoing.n, 3, outgoing.width], 5) * outgoing.taken.clone();
        let values = |coefficients| QuadrupletValues {
            radial: random([1, 1], 5),
            circular: random([1, 1], 5),
            coefficients,
            spherical: Spherical {
                dihedral: dihedral.clone(),
                polar: vec![polar.clone()],
                order: Vec::new(),
                outer: true,
            },
        };
        let fused = |x: &Tensor<2>, c: Tensor<3>| sum_over_quadruplets(x.clone(), &values(c), tables);
        let plain = |x: &Tensor<2>, c: Tensor<3>| portable_quadruplets(x.clone(), &values(c), tables);
        same([incoming.n * incoming.width, 4], [outgoing.n, 2, 9], [&fused, &plain]);
    }
}
