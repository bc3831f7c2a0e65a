//! Who teaches: one or several networks, a file of labels, or a cache that was made elsewhere.

use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor};
use potstill_core::graph::Graph;
use potstill_core::model::{Architecture, Tap};
use potstill_core::{Error, Prediction, Result, System};
use potstill_data::dataset::{Systems, Visit, text_hash};
use potstill_nn::batch::{Batch, to_host};
use potstill_nn::features::Reduction;
use potstill_nn::{Model, Output};
use serde::{Deserialize, Serialize};

use super::cache::{self, Holds, Kind, Wanted};
use super::labels::{LabelOptions, Labels, Matched};
use super::probes::Probes;

/// What a configuration names as the teacher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a path, or a list of paths")]
pub enum TeacherFiles {
    /// A model file, a file of labels, or the folder of a cache.
    One(PathBuf),
    /// Model files, whose outputs are averaged; or files of labels, one after the other.
    Several(Vec<PathBuf>),
}

impl TeacherFiles {
    /// All of them.
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Several(paths) => paths,
        }
    }

    /// All of them, to be changed.
    pub fn paths_mut(&mut self) -> &mut [PathBuf] {
        match self {
            Self::One(path) => std::slice::from_mut(path),
            Self::Several(paths) => paths,
        }
    }
}

/// A teacher, ready to be asked about a dataset.
#[derive(Debug)]
pub enum Teacher {
    /// Networks; all say energies and forces, the first shows features.
    Networks(Vec<Model>),
    /// What another program said.
    Labels(Labels),
    /// What a network said elsewhere.
    Cache(PathBuf, Option<Box<Architecture>>),
}

/// What a file is, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Network,
    Labels,
    Cache,
}

impl FileKind {
    fn of(path: &Path) -> Self {
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors")) {
            return Self::Network;
        }
        let is_cache = ["index.json", "shard-00000.safetensors"].iter().any(|name| path.join(name).is_file());
        if is_cache { Self::Cache } else { Self::Labels }
    }
}

impl Teacher {
    /// Opens what `files` name: model files end in `.safetensors`, a cache is a folder with an `index.json`, everything else
    /// holds labels.
    ///
    /// # Errors
    /// Files that cannot be read, and a list of different kinds.
    pub fn open(files: &TeacherFiles, options: &LabelOptions, dtype: DType) -> Result<Self> {
        let paths = files.paths();
        let Some(first) = paths.first() else {
            return Err(Error::setting("distill.teacher", "names no file; give a model, a file of labels or a cache"));
        };
        let kind = FileKind::of(first);
        if let Some(other) = paths.iter().find(|path| FileKind::of(path) != kind) {
            let message = format!(
                "{} and {} are not of one kind; several teachers are all networks, or all files of labels",
                first.display(),
                other.display()
            );
            return Err(Error::setting("distill.teacher", message));
        }
        match kind {
            FileKind::Network => Self::networks(
                paths.iter().map(|path| Model::load(path, &Device::flex(), dtype)).collect::<Result<_>>()?,
            ),
            FileKind::Labels => Ok(Self::Labels(Labels::open(paths, options)?)),
            FileKind::Cache if paths.len() > 1 => {
                Err(Error::setting("distill.teacher", "names several caches; give one, or the networks themselves"))
            }
            FileKind::Cache => Ok(Self::Cache(first.clone(), cache::architecture(first)?)),
        }
    }

    /// Networks that teach together.
    ///
    /// # Errors
    /// None at all, and one without forces among others that have them.
    pub fn networks(models: Vec<Model>) -> Result<Self> {
        match models.is_empty() {
            true => Err(Error::setting("distill.teacher", "names no network")),
            false => Ok(Self::Networks(models)),
        }
    }

    /// The network that shows features, where there is one.
    pub fn architecture(&self) -> Option<&Architecture> {
        match self {
            Self::Networks(models) => models.first().map(|model| &model.header().model),
            Self::Labels(_) => None,
            Self::Cache(_, architecture) => architecture.as_deref(),
        }
    }

    /// Hash of all that its answers about a dataset depend on, besides the structures.
    ///
    /// # Errors
    /// A dataset that cannot be read.
    pub fn hash(&self, systems: &Systems) -> Result<String> {
        match self {
            Self::Networks(models) => Ok(match &models[..] {
                [model] => model.hash().to_owned(),
                _ => text_hash(&models.iter().map(Model::hash).collect::<Vec<_>>().join(" ")),
            }),
            Self::Labels(labels) => labels.hash_about(systems),
            Self::Cache(folder, _) => cache::teacher_hash(folder),
        }
    }

    /// Checks that networks know every element of a dataset.
    ///
    /// # Errors
    /// The first system that one of them cannot be asked about.
    pub fn check_dataset(&self, systems: &Systems) -> Result<()> {
        let Self::Networks(models) = self else { return Ok(()) };
        let of = |e: Error| Error::setting("distill.teacher", e.to_string());
        models.iter().try_for_each(|model| model.check_dataset(systems).map_err(of))
    }

    /// Gets ready for the questions about a dataset.
    ///
    /// # Errors
    /// Labels that do not belong to the dataset.
    pub fn about<'a>(&'a self, systems: &'a Systems) -> Result<Answering<'a>> {
        match self {
            Self::Networks(models) => Ok(Answering { systems, from: From::Networks(models) }),
            Self::Labels(labels) => Ok(Answering { systems, from: From::Labels(Box::new(labels.matched(systems)?)) }),
            Self::Cache(folder, _) => {
                let message = "is a cache of other questions; it cannot be asked again";
                Err(Error::file(folder, message))
            }
        }
    }
}

/// A teacher with the dataset that it is asked about.
pub struct Answering<'a> {
    systems: &'a Systems,
    from: From<'a>,
}

enum From<'a> {
    Networks(&'a [Model]),
    Labels(Box<Matched<'a>>),
}

/// What a teacher says of some systems, in eV, Å and the features' own units.
#[derive(Debug, Default)]
pub struct Answer {
    /// Energies of systems; empty where the teacher has none.
    pub energy: Vec<f64>,
    /// Energies of atoms; empty where the teacher has none.
    pub atomic_energies: Vec<f64>,
    /// Forces; empty where the teacher has none.
    pub forces: Vec<[f64; 3]>,
    /// Standard deviation of the energies of several teachers.
    pub energy_spread: Vec<f64>,
    /// Root mean square distance of the forces of several teachers from their mean, for each atom.
    pub forces_spread: Vec<f64>,
    /// Name, width and rows of each kind of features.
    pub features: Vec<(String, usize, Vec<f64>)>,
    /// Derivative of the forces along each probe, in eV/Å². Shape of each: `[n_atoms, 3]`.
    pub probes: Vec<Vec<f64>>,
    /// Edges of each system in the graph of the features; empty without features.
    pub edge_counts: Vec<u32>,
}

impl Answering<'_> {
    /// What every answer holds.
    pub fn holds(&self) -> Holds {
        match &self.from {
            From::Networks(models) => Holds { spread: models.len() > 1, ..Holds::default() },
            From::Labels(labels) => labels.holds(),
        }
    }

    /// What is unusual about the answers, one sentence each.
    pub fn notes(&self) -> Vec<String> {
        match &self.from {
            From::Networks(_) => Vec::new(),
            From::Labels(labels) => labels.notes().collect(),
        }
    }

    /// Runs of consecutive systems of about `max_atoms` atoms.
    pub fn batches(&self, part: Range<usize>, max_atoms: usize) -> Vec<Range<usize>> {
        self.systems.batches_of(part, max_atoms)
    }

    /// Asks about a run of systems.
    ///
    /// # Errors
    /// A graph that cannot be drawn, a file that can no longer be read.
    pub fn answer(&self, part: Range<usize>, wanted: &[Wanted], probes: Option<&Probes>) -> Result<Answer> {
        let members = self.systems.get_all(part.clone())?;
        let members: Vec<&System> = members.iter().map(AsRef::as_ref).collect();
        match &self.from {
            From::Labels(labels) => labels.answer(part, &members),
            From::Networks(models) => {
                let answer = ask(models, &members, wanted).map_err(|e| self.systems.locate(e.shifted(part.start)))?;
                let Some(probes) = probes else { return Ok(answer) };
                let products = (0..probes.n).map(|probe| product(models, &members, part.start, probes, probe));
                Ok(Answer { probes: products.collect::<Result<_>>()?, ..answer })
            }
        }
    }
}

fn ask(models: &[Model], members: &[&System], wanted: &[Wanted]) -> Result<Answer> {
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
    let (forces, spread) = mean(&all, |p| p.forces.as_flattened());
    answer.forces = forces.as_chunks::<3>().0.to_vec();
    if models.len() > 1 {
        answer.energy_spread = energy_spread;
        answer.forces_spread = spread.chunks_exact(3).map(|s| s.iter().map(|s| s * s).sum::<f64>().sqrt()).collect();
    }
    Ok(answer)
}

/// Mean and standard deviation (over the members themselves, not an estimate for others) of each number.
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

/// Derivative of the mean force along a probe, by the difference of two displaced copies.
fn product(models: &[Model], members: &[&System], first: usize, probes: &Probes, probe: usize) -> Result<Vec<f64>> {
    let [plus, minus] = [1.0, -1.0].map(|sign| -> Result<Vec<f64>> {
        let copies: Vec<System> =
            members.iter().enumerate().map(|(k, system)| probes.displaced(system, first + k, probe, sign)).collect();
        let copies: Vec<&System> = copies.iter().collect();
        let all = models.iter().map(|m| m.to_prediction(&copies, &m.forward(&copies, &[])?.1));
        let all = all.collect::<Result<Vec<_>>>().map_err(|e| e.shifted(first))?;
        Ok(mean(&all, |p| p.forces.as_flattened()).0)
    });
    let (plus, minus) = (plus?, minus?);
    Ok(plus.iter().zip(&minus).map(|(a, b)| (a - b) / (2.0 * probes.step)).collect())
}

/// Host copies of the features that are wanted and there.
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
