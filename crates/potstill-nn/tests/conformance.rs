//! Every network keeps the laws of physics, with random weights in f64.

use burn::tensor::{DType, Device};
use potstill_core::graph::Neighbors;
use potstill_core::model::{
    Architecture, ElementEnergies, EnergyScale, EnvelopeKind, Forces, GemNetOCConfig, Header, Normalizer, PaiNNConfig,
    RadialKind, SchNetConfig, SphericalKind,
};
use potstill_nn::Network;
use potstill_nn::gemnet_oc::GemNetOC;
use potstill_nn::init::Initializer;
use potstill_nn::{Batch, Model, parameters};
use potstill_testkit::conformance::{Exception, Law, check};

const CUTOFF: f64 = 4.0;

const SHORT_SIGHT: Exception =
    Exception { law: Law::SmoothCutoff, reason: "the bias of PaiNN's edge filter survives the envelope" };
const NOT_GRADIENTS: [Exception; 2] = [
    Exception { law: Law::GradientForces, reason: "direct forces are predicted, not derived" },
    Exception { law: Law::GradientVirial, reason: "direct forces have no virial" },
];
const BY_INDEX: [Exception; 2] = [
    Exception { law: Law::Permutation, reason: "symmetrisation asks the atom with the higher index" },
    Exception { law: Law::Supercell, reason: "an atom's images get other indices" },
];

/// A small model whose weights are all random, biases too: fresh ones are zero and would hide what they do.
fn model(architecture: Architecture) -> Model {
    let device = Device::flex();
    let network = Network::init(&architecture, 7, &device, DType::F64);
    let mut values: Vec<f64> = parameters::to_vector(&network);
    for (i, value) in values.iter_mut().enumerate() {
        *value += 0.1 * (1.7 * i as f64).sin();
    }
    let network = parameters::with_vector(network, &values, &device);
    let header = Header::new(
        architecture,
        ["H", "C", "N", "O"].map(str::to_owned).to_vec(),
        EnergyScale {
            reference_energies: ElementEnergies::new([(1, -0.3), (6, 1.1), (7, 0.2), (8, -2.0)]),
            normalizer: Normalizer { energy_mean: 0.0, energy_std: 1.7, force_std: 1.7 },
        },
    );
    Model::new(header, network, &device, DType::F64, String::new()).unwrap()
}

fn schnet(neighbors: Neighbors) -> Model {
    model(Architecture::SchNet(SchNetConfig {
        hidden_channels: 12,
        n_filters: 10,
        n_interactions: 3,
        n_gaussians: 8,
        cutoff: CUTOFF,
        neighbors,
    }))
}

fn painn(neighbors: Neighbors, forces: Forces) -> PaiNNConfig {
    PaiNNConfig {
        hidden_channels: 12,
        n_layers: 3,
        n_radial: 8,
        cutoff: CUTOFF,
        neighbors,
        forces,
        ..PaiNNConfig::default()
    }
}

#[test]
fn schnet_conforms() {
    check("SchNet", &schnet(Neighbors::All), &[], 11);
    check("SchNet, nearest", &schnet(Neighbors::Nearest(6)), &[], 12);
}

#[test]
fn painn_conforms() {
    for (i, radial_basis) in
        [RadialKind::Gaussian, RadialKind::SphericalBessel, RadialKind::Bernstein].into_iter().enumerate()
    {
        let config = PaiNNConfig { radial_basis, ..painn(Neighbors::All, Forces::Gradient) };
        check(&format!("PaiNN {radial_basis:?}"), &model(Architecture::PaiNN(config)), &[], 13 + i as u64);
    }
    let config = PaiNNConfig { envelope: EnvelopeKind::Exponential, ..painn(Neighbors::All, Forces::Gradient) };
    check("PaiNN, exponential envelope", &model(Architecture::PaiNN(config)), &[], 17);
    let nearest = painn(Neighbors::Nearest(6), Forces::Gradient);
    check("PaiNN, nearest", &model(Architecture::PaiNN(nearest)), &BY_INDEX, 24);
}

#[test]
fn painn_with_the_cutoff_of_the_reference_conforms() {
    let config = PaiNNConfig { smooth_cutoff: false, ..painn(Neighbors::All, Forces::Gradient) };
    check("PaiNN, reference cutoff", &model(Architecture::PaiNN(config)), &[SHORT_SIGHT], 13);
}

#[test]
fn painn_with_direct_forces_conforms() {
    let all = painn(Neighbors::All, Forces::Direct);
    check("PaiNN direct", &model(Architecture::PaiNN(all)), &NOT_GRADIENTS, 15);
    let nearest = painn(Neighbors::Nearest(6), Forces::Direct);
    let exceptions = [&NOT_GRADIENTS[..], &BY_INDEX].concat();
    check("PaiNN direct, nearest", &model(Architecture::PaiNN(nearest)), &exceptions, 16);
}

fn gemnet_oc() -> GemNetOCConfig {
    GemNetOCConfig {
        atom_channels: 10,
        edge_channels: 12,
        n_blocks: 2,
        n_radial: 8,
        n_spherical: 4,
        triplet_in_channels: 6,
        triplet_out_channels: 5,
        quadruplet_in_channels: 4,
        quadruplet_out_channels: 3,
        pair_in_channels: 4,
        pair_out_channels: 5,
        radial_channels: 3,
        circular_channels: 4,
        spherical_channels: 5,
        cutoff: CUTOFF,
        max_neighbors: 200,
        max_quadruplet_neighbors: 200,
        max_atom_edge_neighbors: 200,
        ..GemNetOCConfig::default()
    }
}

#[test]
fn gemnet_oc_conforms() {
    check("GemNet-OC", &model(Architecture::GemNetOC(gemnet_oc())), &NOT_GRADIENTS, 31);
    let config = GemNetOCConfig {
        radial_basis: RadialKind::SphericalBessel,
        spherical_basis: SphericalKind::SphericalHarmonics,
        coupled_forces: true,
        ..gemnet_oc()
    };
    check("GemNet-OC, other bases", &model(Architecture::GemNetOC(config)), &NOT_GRADIENTS, 32);
}

#[test]
fn gemnet_oc_with_few_interactions_conforms() {
    for (quadruplets, atom_to_edge, edge_to_atom, atom_to_atom) in [
        (false, false, false, false),
        (true, false, false, false),
        (false, true, false, false),
        (false, false, true, true),
    ] {
        let config = GemNetOCConfig { quadruplets, atom_to_edge, edge_to_atom, atom_to_atom, ..gemnet_oc() };
        let name = format!("GemNet-OC {quadruplets} {atom_to_edge} {edge_to_atom} {atom_to_atom}");
        check(&name, &model(Architecture::GemNetOC(config)), &NOT_GRADIENTS, 33);
    }
}

#[test]
fn gemnet_oc_with_nearest_neighbours_conforms() {
    let config = GemNetOCConfig { max_neighbors: 6, max_quadruplet_neighbors: 4, ..gemnet_oc() };
    let exceptions = [&NOT_GRADIENTS[..], &BY_INDEX].concat();
    check("GemNet-OC, nearest", &model(Architecture::GemNetOC(config)), &exceptions, 34);
}

#[test]
fn gemnet_oc_without_a_single_quadruplet() {
    let config = GemNetOCConfig { atom_channels: 8, edge_channels: 8, n_blocks: 2, cutoff: 5.0, ..Default::default() };
    let device = Device::flex();
    let network = GemNetOC::new(&config, &mut Initializer::new(1, &device, DType::F64));
    let rule = Architecture::GemNetOC(config).graph_rule();
    let mut system = potstill_testkit::systems::molecule(6, 3);
    let evaluate = |system: &potstill_core::System| {
        let batch = Batch::of(&rule.build(&[system]).unwrap(), &device, DType::F64);
        let output = network.forward(&batch, Forces::Direct, &[]);
        [potstill_nn::batch::to_host(&output.energy), potstill_nn::batch::to_host(&output.forces.unwrap())].concat()
    };
    let with = evaluate(&system);
    // Middle edges need an atom with tag 1 or 2.
    system.tags = Some(vec![0; 6]);
    let without = evaluate(&system);
    assert!(without.iter().all(|v| v.is_finite()));
    assert_ne!(with, without, "quadruplets had no effect");
}
