//! Answers of networks.

use burn::tensor::Tensor;
use potstill_core::graph::Graph;
use potstill_core::model::Tap;
use potstill_core::{Prediction, Result, System};
use potstill_nn::Batch;
use potstill_nn::features::Reduction;
use potstill_nn::tensors::to_host;
use potstill_nn::{Model, Output};

use crate::distill::answer::Answer;
use crate::distill::kind::Kind;
use crate::distill::questions::Wanted;

/// Answer of some networks about systems: the mean of their labels, and features of the first.
pub(super) fn ask(models: &[Model], members: &[&System], wanted: &[Wanted]) -> Result<Answer> {
    let taps: Vec<Tap> = wanted.iter().map(|w| w.tap).collect();
    let mut answer = Answer::default();
    let mut all = Vec::with_capacity(models.len());
    for (k, model) in models.iter().enumerate() {
        let (graph, output) = model.forward(members, if k == 0 { &taps } else { &[] })?;
        all.push(model.to_prediction(members, &output)?);
        if k == 0 {
            let edges = Batch::new(graph.main(), model.device(), model.dtype());
            answer.features = features(&output, &edges, wanted);
            answer.edge_counts = edge_counts(graph.main());
        }
    }
    let (energy, energy_spread) = mean(&all, |p| &p.energy);
    (answer.energy, answer.atomic_energies) = (energy, mean(&all, |p| &p.atomic_energies).0);
    let virials: Option<Vec<Vec<f64>>> =
        all.iter().map(|p| Some(p.virial.as_ref()?.as_flattened().as_flattened().to_vec())).collect();
    if let Some(virials) = virials {
        let sum = |k: usize| virials.iter().map(|own| own[k]).sum::<f64>() / virials.len() as f64;
        let means: Vec<f64> = (0..9 * members.len()).map(sum).collect();
        answer.virials = means.as_chunks::<3>().0.as_chunks::<3>().0.to_vec();
    }
    let (forces, spread) = mean(&all, |p| p.forces.as_flattened());
    answer.forces = forces.as_chunks::<3>().0.to_vec();
    if models.len() > 1 {
        answer.energy_spread = energy_spread;
        answer.forces_spread = spread.chunks_exact(3).map(|s| s.iter().map(|s| s * s).sum::<f64>().sqrt()).collect();
    }
    Ok(answer)
}

/// Mean and standard deviation of each number over the members themselves, not an estimate for others.
fn mean(all: &[Prediction], of: impl Fn(&Prediction) -> &[f64]) -> (Vec<f64>, Vec<f64>) {
    let Some(first) = all.first() else { return Default::default() };
    let count = all.len() as f64;
    let (mut mean, mut spread) = (of(first).to_vec(), vec![0.0; of(first).len()]);
    if all.len() > 1 {
        for (i, mean) in mean.iter_mut().enumerate() {
            *mean = all.iter().map(|p| of(p)[i]).sum::<f64>() / count;
            spread[i] = (all.iter().map(|p| (of(p)[i] - *mean).powi(2)).sum::<f64>() / count).sqrt();
        }
    }
    (mean, spread)
}

/// Mean force of some networks on the atoms of systems. Shape: `[n_atoms * 3]`.
pub(super) fn forces(models: &[Model], systems: &[&System]) -> Result<Vec<f64>> {
    let all = models.iter().map(|m| m.to_prediction(systems, &m.forward(systems, &[])?.1));
    Ok(mean(&all.collect::<Result<Vec<_>>>()?, |p| p.forces.as_flattened()).0)
}

/// Host copies of the features that are wanted and that the network has.
fn features(output: &Output, edges: &Batch, wanted: &[Wanted]) -> Vec<(String, usize, Vec<f64>)> {
    let mut features = Vec::new();
    for w in wanted {
        let Some(found) = output.features.iter().find(|f| f.tap == w.tap) else { continue };
        for kind in &w.kinds {
            let values: Option<Tensor<2>> = match kind {
                Kind::Node => Some(found.node.clone()),
                Kind::EdgeSum => Some(found.reduced_edges(edges, Reduction::Sum)),
                Kind::Vector => found.vectors(edges, Reduction::Sum),
                Kind::Edge => found.edges(edges),
            };
            if let Some(values) = values {
                features.push((kind.tensor(w.tap), values.dims()[1], to_host(&values)));
            }
        }
    }
    features
}

/// Number of edges of each system.
fn edge_counts(graph: &Graph) -> Vec<u32> {
    let mut counts = vec![0; graph.n_systems()];
    for &target in &graph.target {
        counts[graph.system_index[target as usize] as usize] += 1;
    }
    counts
}
