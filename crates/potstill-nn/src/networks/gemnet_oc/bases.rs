//! Radial and angular bases, and their projections that all blocks share.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use potstill_core::model::{GemNetOCConfig, RadialKind};
use potstill_kernels::radial::{Envelope, Gaussians};

use super::angular::{Spherical, circular, spherical};
use super::layers::{Scale, ScaleFit, linear};
use crate::batch::Batch;
use crate::batch::gemnet::{AngleTable, GemNetTables, InputTable};
use crate::init::Initializer;
use crate::layers::{Dense, RadialBasis};
use crate::tensors::gather_rows;

/// Radial basis, with a scale factor where the settings ask for one.
#[derive(Module, Debug)]
pub struct ScaledRadial {
    /// Radial basis.
    pub basis: RadialBasis,
    #[module(skip)]
    scale: Option<Scale>,
}

impl ScaledRadial {
    fn new(config: &GemNetOCConfig, kind: RadialKind, cutoff: f64, name: &str, rng: &mut Initializer) -> Self {
        let gaussians = Gaussians::exact(0.0, 1.0, config.n_radial);
        let envelope = Envelope::of(config.envelope, config.envelope_exponent);
        let scale = config.scale_basis.then(|| Scale::new(format!("{name}.scale_rbf"), &config.scale_factors));
        Self { basis: RadialBasis::new(kind, gaussians, envelope, cutoff, rng), scale }
    }

    fn forward(&self, distance: &Tensor<2>, fit: Option<&ScaleFit>) -> Tensor<2> {
        let values = self.basis.forward(distance.clone());
        match &self.scale {
            Some(scale) => scale.apply(values, None, fit),
            None => values,
        }
    }
}

/// Weights that turn a radial basis into the coefficients of an angular one.
#[derive(Module, Debug)]
pub struct BasisEmbedding {
    /// Shape: `[n_radial, n_angular, channels]`, as stored in published checkpoints; but see [`Self::forward`].
    pub weight: Param<Tensor<3>>,
}

impl BasisEmbedding {
    fn new(n_radial: usize, n_angular: usize, channels: usize, rng: &mut Initializer) -> Self {
        Self { weight: rng.he_orthogonal_3d([n_radial, n_angular, channels]) }
    }

    /// Coefficients of each edge. Shape: `[n_edges, n_radial]` to `[n_edges, channels, n_angular]`.
    ///
    /// The reference multiplies with the flattened weight and then reads the result as `[channels, n_angular]`, whatever
    /// the order of the weight's own axes; published weights mean this.
    fn forward(&self, radial: Tensor<2>) -> Tensor<3> {
        let [n_radial, n_angular, channels] = self.weight.val().dims();
        let n = radial.dims()[0];
        let flat = self.weight.val().reshape([n_radial, n_angular * channels]);
        if n == 0 {
            return Tensor::zeros([0, channels, n_angular], (&radial.device(), radial.dtype()));
        }
        radial.matmul(flat).reshape([n, channels, n_angular])
    }
}

/// Bases of one kind of triplets.
#[derive(Module, Debug)]
pub struct TripletBases {
    /// `n_radial → radial_channels` for the input edge.
    pub radial: Dense,
    /// Basis of the output edge and the angle.
    pub circular: BasisEmbedding,
    #[module(skip)]
    scale: Option<Scale>,
}

impl TripletBases {
    fn new(config: &GemNetOCConfig, name: &str, rng: &mut Initializer) -> Self {
        let scale = config.scale_basis.then(|| Scale::new(format!("{name}.scale_cbf"), &config.scale_factors));
        Self {
            radial: linear(config.n_radial, config.radial_channels, rng),
            circular: BasisEmbedding::new(config.n_radial, config.n_spherical, config.circular_channels, rng),
            scale,
        }
    }
}

/// Bases of quadruplets.
#[derive(Module, Debug)]
pub struct QuadrupletBases {
    /// Basis of the inner edge.
    pub inner: ScaledRadial,
    /// `n_radial → radial_channels` for the edge `d → b`.
    pub radial: Dense,
    /// Basis of the inner edge and the angle at `b`.
    pub circular: BasisEmbedding,
    /// Basis of the edge `c → a`, the angle at `a` and the dihedral angle.
    pub spherical: BasisEmbedding,
    #[module(skip)]
    circular_scale: Option<Scale>,
    #[module(skip)]
    spherical_scale: Option<Scale>,
}

/// All bases with their shared projections.
#[derive(Module, Debug)]
pub struct Bases {
    /// Basis of main edges.
    pub main: ScaledRadial,
    /// Basis of main edges beside an angle.
    pub angular: ScaledRadial,
    /// Basis of atom–edge edges.
    pub atom_edge: Option<ScaledRadial>,
    /// Basis of atom–edge edges beside an angle.
    pub edge_to_atom_angular: Option<ScaledRadial>,
    /// Basis of atom–atom edges.
    pub atom_to_atom_radial: Option<ScaledRadial>,
    /// Triplets of main edges.
    pub edge_to_edge: TripletBases,
    /// Bases of messages from atoms to edges.
    pub atom_to_edge: Option<TripletBases>,
    /// Bases of messages from edges to atoms.
    pub edge_to_atom: Option<TripletBases>,
    /// Basis of messages from atoms to atoms: `n_radial → radial_channels`.
    pub atom_to_atom: Option<Dense>,
    /// Quadruplets.
    pub quadruplets: Option<QuadrupletBases>,
    /// `n_radial → radial_channels` of atom updates.
    pub atom_update: Dense,
    /// `n_radial → radial_channels` of outputs.
    pub output: Dense,
    #[module(skip)]
    config: GemNetOCConfig,
}

/// Basis values of one kind of triplets, read in every block.
pub(super) struct TripletValues {
    /// Shape: `[n_inputs, radial_channels]`.
    pub radial: Tensor<2>,
    /// Coefficients of each output. Shape: `[n, circular_channels, n_spherical]`.
    pub coefficients: Tensor<3>,
    /// Shape: `[n, n_spherical, width]`.
    pub circular: Tensor<3>,
}

/// Basis values of quadruplets, read in every block.
pub(super) struct QuadrupletValues {
    /// Shape: `[n_edges, radial_channels]`.
    pub radial: Tensor<2>,
    /// Shape: `[n_inner · width, circular_channels]`.
    pub circular: Tensor<2>,
    /// Shape: `[n_edges, spherical_channels, n_spherical²]`, columns in the order of `spherical`.
    pub coefficients: Tensor<3>,
    /// Functions of the angle at `a` and of the dihedral angle.
    pub spherical: Spherical,
}

/// Basis values of one batch.
pub(super) struct BasisValues {
    pub main: Tensor<2>,
    pub atom_update: Tensor<2>,
    pub output: Tensor<2>,
    pub edge_to_edge: Option<TripletValues>,
    pub atom_to_edge: Option<TripletValues>,
    pub edge_to_atom: Option<TripletValues>,
    /// Shape: `[n_atoms, radial_channels, width]`.
    pub atom_to_atom: Option<Tensor<3>>,
    pub quadruplets: Option<QuadrupletValues>,
}

impl Bases {
    pub(super) fn new(config: &GemNetOCConfig, rng: &mut Initializer) -> Self {
        let (plain, beside) = (config.radial_basis, config.angular_radial_basis());
        let (r, s) = (config.n_radial, config.n_spherical);
        let shared = format!("{}.radial_basis", config.shared_basis());
        let factor = |name: &str| config.scale_basis.then(|| Scale::new(name.to_owned(), &config.scale_factors));
        let quadruplets = config.quadruplets.then(|| QuadrupletBases {
            inner: ScaledRadial::new(config, beside, config.quadruplet_cutoff(), "cbf_basis_qint.radial_basis", rng),
            radial: linear(r, config.radial_channels, rng),
            circular: BasisEmbedding::new(r, s, config.circular_channels, rng),
            spherical: BasisEmbedding::new(r, s * s, config.spherical_channels, rng),
            circular_scale: factor("cbf_basis_qint.scale_cbf"),
            spherical_scale: factor("sbf_basis_qint.scale_sbf"),
        });
        let reach = config.atom_edge_cutoff();
        let radial =
            |kind, cutoff, name: &str, rng: &mut Initializer| ScaledRadial::new(config, kind, cutoff, name, rng);
        Self {
            main: radial(plain, config.cutoff, "radial_basis", rng),
            angular: radial(beside, config.cutoff, &shared, rng),
            atom_edge: (config.atom_to_edge || config.edge_to_atom)
                .then(|| radial(plain, reach, "radial_basis_aeaint", rng)),
            edge_to_atom_angular: config
                .edge_to_atom
                .then(|| radial(beside, reach, "cbf_basis_eaint.radial_basis", rng)),
            atom_to_atom_radial: config
                .atom_to_atom
                .then(|| radial(plain, config.atom_cutoff(), "radial_basis_aint", rng)),
            edge_to_edge: TripletBases::new(config, "cbf_basis_tint", rng),
            atom_to_edge: config.atom_to_edge.then(|| TripletBases::new(config, "cbf_basis_aeint", rng)),
            edge_to_atom: config.edge_to_atom.then(|| TripletBases::new(config, "cbf_basis_eaint", rng)),
            atom_to_atom: config.atom_to_atom.then(|| linear(r, config.radial_channels, rng)),
            quadruplets,
            atom_update: linear(r, config.radial_channels, rng),
            output: linear(r, config.radial_channels, rng),
            config: config.clone(),
        }
    }

    /// Parameters whose gradient the reference divides by the number of blocks that use them, with that number.
    pub(super) fn shared_parameters(n_blocks: usize) -> Vec<(&'static str, usize)> {
        let mut all: Vec<(&'static str, usize)> = vec![
            ("bases.atom_update.weight", n_blocks),
            ("bases.output.weight", n_blocks + 1),
            ("bases.atom_to_atom.weight", n_blocks),
            ("bases.quadruplets.spherical.weight", n_blocks),
        ];
        for (radial, circular) in SHARED_NAMES {
            all.push((radial, n_blocks));
            all.push((circular, n_blocks));
        }
        all
    }

    pub(super) fn forward(&self, batch: &Batch, tables: &GemNetTables, fit: Option<&ScaleFit>) -> BasisValues {
        let main = self.main.forward(&batch.distance, fit);
        let angular = self.angular.forward(&batch.distance, fit);
        let edge_to_edge = self.triplets(&self.edge_to_edge, &main, &angular, &tables.edge_to_edge, fit);
        let quadruplets = self.quadruplet_values(&main, &angular, tables, fit);
        let atom_to_edge = match (&self.atom_to_edge, &self.atom_edge, &tables.atom_edge, &tables.atom_to_edge) {
            (Some(bases), Some(basis), Some(edges), Some(inputs)) if edges.n_edges > 0 => {
                let radial = basis.forward(&edges.distance, fit);
                self.triplets(bases, &radial, &angular, inputs, fit)
            }
            _ => None,
        };
        let edge_to_atom = self.edge_to_atom_values(&main, tables, fit);
        let atom_to_atom = match (&self.atom_to_atom, &self.atom_to_atom_radial, &tables.atom_to_atom) {
            (Some(dense), Some(basis), Some((edges, inputs))) if !inputs.is_empty() => {
                let values = dense.forward(basis.forward(&edges.distance, fit));
                Some(by_atom(values, inputs))
            }
            _ => None,
        };
        BasisValues {
            atom_update: self.atom_update.forward(main.clone()),
            output: self.output.forward(main.clone()),
            main,
            edge_to_edge,
            atom_to_edge,
            edge_to_atom,
            atom_to_atom,
            quadruplets,
        }
    }

    /// `None` where there is no triplet.
    fn triplets(
        &self,
        bases: &TripletBases,
        input: &Tensor<2>,
        output: &Tensor<2>,
        table: &AngleTable,
        fit: Option<&ScaleFit>,
    ) -> Option<TripletValues> {
        if table.inputs.is_empty() {
            return None;
        }
        Some(TripletValues {
            radial: bases.radial.forward(input.clone()),
            coefficients: bases.circular.forward(output.clone()),
            circular: self.circular(table, bases.scale.as_ref(), fit),
        })
    }

    fn circular(&self, table: &AngleTable, scale: Option<&Scale>, fit: Option<&ScaleFit>) -> Tensor<3> {
        let values = circular(self.config.circular_basis, &table.cosine, self.config.n_spherical);
        let values = match scale {
            Some(scale) => scale.apply(values, None, fit),
            None => values,
        };
        values * table.inputs.taken.clone()
    }

    fn edge_to_atom_values(
        &self,
        main: &Tensor<2>,
        tables: &GemNetTables,
        fit: Option<&ScaleFit>,
    ) -> Option<TripletValues> {
        let (bases, basis) = (self.edge_to_atom.as_ref()?, self.edge_to_atom_angular.as_ref()?);
        let (edges, inputs) = (tables.atom_edge.as_ref()?, tables.edge_to_atom.as_ref()?);
        if inputs.triplets.inputs.is_empty() || inputs.edges.is_empty() {
            return None;
        }
        let coefficients = bases.circular.forward(basis.forward(&edges.distance, fit));
        let [_, channels, s] = coefficients.dims();
        // Coefficients of all edges of an atom, side by side: one product sums over angles and edges.
        let rows = gather_rows(coefficients.reshape([edges.n_edges, channels * s]), &inputs.edges.input);
        let (n, width) = (inputs.edges.n, inputs.edges.width);
        let coefficients = rows.reshape([n, width, channels, s]).swap_dims(1, 2).reshape([n, channels, width * s]);
        Some(TripletValues {
            radial: bases.radial.forward(main.clone()),
            coefficients,
            circular: self.circular(&inputs.triplets, bases.scale.as_ref(), fit),
        })
    }

    fn quadruplet_values(
        &self,
        main: &Tensor<2>,
        angular: &Tensor<2>,
        tables: &GemNetTables,
        fit: Option<&ScaleFit>,
    ) -> Option<QuadrupletValues> {
        let (bases, tables) = (self.quadruplets.as_ref()?, tables.quadruplets.as_ref()?);
        if tables.incoming.inputs.is_empty() || tables.outgoing.inputs.is_empty() {
            return None;
        }
        let coefficients = bases.circular.forward(bases.inner.forward(&tables.inner_distance, fit));
        let circular = self.circular(&tables.incoming, bases.circular_scale.as_ref(), fit);
        let (n, width) = (tables.incoming.inputs.n, tables.incoming.inputs.width);
        let circular = circular
            .swap_dims(1, 2)
            .matmul(coefficients.swap_dims(1, 2))
            .reshape([n * width, self.config.circular_channels]);

        let (kind, s) = (self.config.spherical_basis, self.config.n_spherical);
        let mut spherical = spherical(kind, &tables.outgoing.cosine, &tables.dihedral, s);
        spherical.dihedral = spherical.dihedral * tables.taken.clone();
        if let Some(scale) = &bases.spherical_scale {
            spherical.dihedral = scale.apply(spherical.dihedral, None, fit);
        }
        let taken = &tables.outgoing.inputs.taken;
        spherical.polar = spherical.polar.into_iter().map(|p| p * taken.clone()).collect();
        let mut coefficients = bases.spherical.forward(angular.clone());
        if !spherical.outer {
            let order = spherical.order.iter().map(|&k| k as i32).collect();
            let order = crate::tensors::int_tensor(order, &coefficients.device());
            coefficients = coefficients.select(2, order);
        }
        Some(QuadrupletValues { radial: bases.radial.forward(main.clone()), circular, coefficients, spherical })
    }
}

/// Names of the shared projections of each kind of triplets and of quadruplets.
const SHARED_NAMES: [(&str, &str); 4] = [
    ("bases.edge_to_edge.radial.weight", "bases.edge_to_edge.circular.weight"),
    ("bases.atom_to_edge.radial.weight", "bases.atom_to_edge.circular.weight"),
    ("bases.edge_to_atom.radial.weight", "bases.edge_to_atom.circular.weight"),
    ("bases.quadruplets.radial.weight", "bases.quadruplets.circular.weight"),
];

/// Rows of edges as columns of their atoms. Shape: `[n_edges, c]` to `[n, c, width]`.
fn by_atom(values: Tensor<2>, inputs: &InputTable) -> Tensor<3> {
    let channels = values.dims()[1];
    let rows = gather_rows(values, &inputs.input).reshape([inputs.n, inputs.width, channels]);
    rows.swap_dims(1, 2) * inputs.taken.clone()
}
