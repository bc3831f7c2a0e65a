//! Similarity of the features of two networks: linear centred kernel alignment between all their layers.
//!
//! S. Kornblith et al., *Similarity of Neural Network Representations Revisited*, ICML 2019, arXiv 1905.00414; the unbiased
//! estimate of the Hilbert–Schmidt independence criterion by L. Song et al., JMLR 13 (2012) 1393.
//!
//! Everything is a sum over atoms, so that one pass over the data gives both estimates exactly, in f64 and in memory that
//! does not grow with the data.

mod sums;

use potstill_core::model::Tap;
use potstill_core::{Error, Result, System};
use potstill_data::evaluation::ATOMS_PER_BATCH;
use potstill_nn::Model;
use potstill_nn::tensors::to_host;
use serde::{Deserialize, Serialize};

use self::sums::{Features, Sums};

/// Alignments between the layers of two networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Similarity {
    /// Layers of the first network.
    pub taps_a: Vec<String>,
    /// Layers of the second network.
    pub taps_b: Vec<String>,
    /// Number of atoms that were compared.
    pub n_atoms: usize,
    /// CKA of each layer of the first network (row) with each of the second; 1 for equal up to rotation and scale. Biased
    /// upwards when there are not many more atoms than channels.
    pub cka: Vec<Vec<f64>>,
    /// Unbiased estimate of the alignments, which may lie below 0.
    pub cka_unbiased: Vec<Vec<f64>>,
}

/// Compares the scalar features of all layers of two networks on the atoms of `systems`; `progress` hears how many systems
/// are done.
///
/// # Errors
/// Elements that a network does not know, systems of which no graph can be drawn, fewer than four atoms.
pub fn similarity(a: &Model, b: &Model, systems: &[System], progress: &dyn Fn(usize)) -> Result<Similarity> {
    let (taps_a, taps_b) = (a.header().model.taps(), b.header().model.taps());
    let all: Vec<&System> = systems.iter().collect();
    a.check_elements(&all)?;
    b.check_elements(&all)?;
    let mut sums = Sums::default();
    let mut start = 0;
    while start < systems.len() {
        let end = batch_end(systems, start);
        let members: Vec<&System> = all[start..end].to_vec();
        let ours = features(a, &members, &taps_a)?;
        let theirs = features(b, &members, &taps_b)?;
        sums.add(&ours, &theirs);
        start = end;
        progress(end);
    }
    if sums.n_atoms < 4 {
        let message = format!("{} atoms are too few to compare features on; give at least 4", sums.n_atoms);
        return Err(Error::Other(message));
    }
    let table = |unbiased: bool| {
        let value = |i: usize, j: usize| if unbiased { sums.unbiased(i, j) } else { sums.biased(i, j) };
        (0..taps_a.len()).map(|i| (0..taps_b.len()).map(|j| value(i, j)).collect()).collect()
    };
    let names = |taps: &[Tap]| taps.iter().map(ToString::to_string).collect();
    Ok(Similarity {
        taps_a: names(&taps_a),
        taps_b: names(&taps_b),
        n_atoms: sums.n_atoms,
        cka: table(false),
        cka_unbiased: table(true),
    })
}

/// End of the systems that fit into one pass, at least one.
fn batch_end(systems: &[System], start: usize) -> usize {
    let mut atoms = 0;
    let mut end = start;
    while end < systems.len() && (end == start || atoms + systems[end].n_atoms() <= ATOMS_PER_BATCH) {
        atoms += systems[end].n_atoms();
        end += 1;
    }
    end
}

/// Scalar features of some layers on the atoms of systems.
fn features(model: &Model, systems: &[&System], taps: &[Tap]) -> Result<Vec<Features>> {
    let (_, output) = model.forward(systems, taps)?;
    let find = |tap: &Tap| {
        let features = output.features.iter().find(|f| f.tap == *tap);
        let features =
            features.ok_or_else(|| Error::Other(format!("{} shows nothing at {tap}", model.header().model.name())))?;
        let [n_atoms, channels] = features.node.dims();
        Ok(Features { values: to_host(&features.node), n_atoms, channels })
    };
    taps.iter().map(find).collect()
}
