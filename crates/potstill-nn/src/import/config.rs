//! Model settings of the reference implementation (OCP) as ours, with its defaults.

use potstill_core::graph::Neighbors;
use potstill_core::{Error, Result};
use serde_json::{Map, Value};

use potstill_core::model::{
    Architecture, CircularKind, EnvelopeKind, Forces, GemNetOCConfig, PaiNNConfig, RadialKind, ScaleFactors,
    SchNetConfig, SphericalKind,
};

/// Settings that change nothing in a trained network, or that only training and distillation read.
const IGNORED: &[&str] = &[
    "name",
    "model",
    "scale_file",
    "output_init",
    "otf_graph",
    "use_distill",
    "teacher_node_dim",
    "teacher_edge_dim",
    "distill_layer_code",
    "distill_reduce",
    "distill_final_features",
    "projection_head",
    "id_mapping",
    "force_linear_n2n",
    "num_targets",
    "scale_backprop_forces",
    "bond_feat_dim",
    "num_atoms",
    "num_elements",
];

/// The settings of one model, read key by key.
struct Settings<'a> {
    map: &'a Map<String, Value>,
    seen: Vec<&'static str>,
}

/// The network that an OCP model section describes: `name` beside its attributes, or with them in `model_attributes`.
///
/// # Errors
/// An unknown architecture, an attribute of the wrong type, one that this network does not have, or one that asks for
/// something else than what is implemented.
pub fn architecture(name: &str, attributes: &Map<String, Value>) -> Result<Architecture> {
    let mut settings = Settings { map: attributes, seen: Vec::new() };
    let architecture = match name {
        "schnet" => schnet(&mut settings)?,
        "painn" => painn(&mut settings)?,
        "gemnet_oc" => gemnet_oc(&mut settings)?,
        other => {
            let message = format!("`{other}` cannot be imported; schnet, painn and gemnet_oc can");
            return Err(Error::setting("model.name", message));
        }
    };
    settings.finish()?;
    Ok(architecture)
}

fn schnet(s: &mut Settings) -> Result<Architecture> {
    s.only("readout", "add")?;
    s.truth("regress_forces", true)?;
    Ok(Architecture::SchNet(SchNetConfig {
        hidden_channels: s.count("hidden_channels", Some(128))?,
        n_filters: s.count("num_filters", Some(128))?,
        n_interactions: s.count("num_interactions", Some(6))?,
        n_gaussians: s.count("num_gaussians", Some(50))?,
        cutoff: s.real("cutoff", Some(10.0))?,
        // Its periodic graph keeps 50 neighbours; the other one 32, more than a molecule has.
        neighbors: if s.truth("use_pbc", true)? { Neighbors::Nearest(50) } else { Neighbors::All },
    }))
}

fn painn(s: &mut Settings) -> Result<Architecture> {
    s.truth("use_pbc", true)?;
    let regress = s.truth("regress_forces", true)?;
    if !(s.truth("direct_forces", true)? && regress) {
        let message = "PaiNN checkpoints with gradient forces were trained on forces that are not gradients of their energy \
                       (a bug of the reference); only direct forces can be imported";
        return Err(Error::setting("model.direct_forces", message));
    }
    let (envelope, envelope_exponent) = s.envelope()?;
    Ok(Architecture::PaiNN(PaiNNConfig {
        hidden_channels: s.count("hidden_channels", Some(512))?,
        n_layers: s.count("num_layers", Some(6))?,
        n_radial: s.count("num_rbf", Some(128))?,
        radial_basis: s.radial("rbf")?.unwrap_or_default(),
        cutoff: s.real("cutoff", Some(12.0))?,
        envelope,
        envelope_exponent,
        smooth_cutoff: false,
        neighbors: Neighbors::Nearest(s.count("max_neighbors", Some(50))?),
        forces: Forces::Direct,
        update_scales: Vec::new(),
    }))
}

fn gemnet_oc(s: &mut Settings) -> Result<Architecture> {
    s.truth("use_pbc", true)?;
    s.only("activation", "silu")?;
    let regress = s.truth("regress_forces", true)?;
    if !(s.truth("direct_forces", false)? && regress) {
        let message = "GemNet-OC with gradient forces cannot be imported; only direct forces can";
        return Err(Error::setting("model.direct_forces", message));
    }
    let (envelope, envelope_exponent) = s.envelope()?;
    let max_neighbors = s.count("max_neighbors", Some(50))?;
    let inner = s.count("max_neighbors_qint", Some(max_neighbors))?;
    let mixed = s.count("max_neighbors_aeaint", Some(max_neighbors))?;
    let widest = max_neighbors.max(inner).max(mixed);
    let config = GemNetOCConfig {
        atom_channels: s.count("emb_size_atom", None)?,
        edge_channels: s.count("emb_size_edge", None)?,
        n_blocks: s.count("num_blocks", None)?,
        n_radial: s.count("num_radial", None)?,
        n_spherical: s.count("num_spherical", None)?,
        triplet_in_channels: s.count("emb_size_trip_in", None)?,
        triplet_out_channels: s.count("emb_size_trip_out", None)?,
        quadruplet_in_channels: s.count("emb_size_quad_in", None)?,
        quadruplet_out_channels: s.count("emb_size_quad_out", None)?,
        pair_in_channels: s.count("emb_size_aint_in", None)?,
        pair_out_channels: s.count("emb_size_aint_out", None)?,
        radial_channels: s.count("emb_size_rbf", None)?,
        circular_channels: s.count("emb_size_cbf", None)?,
        spherical_channels: s.count("emb_size_sbf", None)?,
        n_before_skip: s.count("num_before_skip", None)?,
        n_after_skip: s.count("num_after_skip", None)?,
        n_concat: s.count("num_concat", None)?,
        n_atom: s.count("num_atom", None)?,
        n_output_after_atom: s.count("num_output_afteratom", None)?,
        n_atom_embedding: s.count("num_atom_emb_layers", Some(0))?,
        n_global_output: s.count("num_global_out_layers", Some(2))?,
        cutoff: s.real("cutoff", Some(6.0))?,
        quadruplet_cutoff: s.maybe_real("cutoff_qint")?,
        atom_edge_cutoff: s.maybe_real("cutoff_aeaint")?,
        atom_cutoff: s.maybe_real("cutoff_aint")?,
        max_neighbors,
        max_quadruplet_neighbors: inner,
        max_atom_edge_neighbors: mixed,
        max_atom_neighbors: s.count("max_neighbors_aint", Some(widest))?,
        quadruplets: s.truth("quad_interaction", false)?,
        atom_to_edge: s.truth("atom_edge_interaction", false)?,
        edge_to_atom: s.truth("edge_atom_interaction", false)?,
        atom_to_atom: s.truth("atom_interaction", false)?,
        quadruplet_tags: s.tags("qint_tags", &[0, 1, 2])?,
        radial_basis: s.radial("rbf")?.unwrap_or_default(),
        angular_radial_basis: s.radial("rbf_spherical")?,
        envelope,
        envelope_exponent,
        circular_basis: match s.basis("cbf")?.as_deref() {
            None | Some("spherical_harmonics") => CircularKind::SphericalHarmonics,
            Some("gaussian") => CircularKind::Gaussian,
            Some(other) => return Err(unknown("cbf", other, "spherical_harmonics or gaussian")),
        },
        spherical_basis: match s.basis("sbf")?.as_deref() {
            None | Some("spherical_harmonics") => SphericalKind::SphericalHarmonics,
            Some("legendre_outer") => SphericalKind::LegendreOuter,
            Some("gaussian_outer") => SphericalKind::GaussianOuter,
            Some(other) => return Err(unknown("sbf", other, "legendre_outer, spherical_harmonics or gaussian_outer")),
        },
        scale_basis: s.truth("scale_basis", false)?,
        extensive: s.truth("extensive", true)?,
        forces: Forces::Direct,
        coupled_forces: s.truth("forces_coupled", false)?,
        scale_factors: ScaleFactors::Unit,
    };
    Ok(Architecture::GemNetOC(config))
}

fn unknown(key: &str, found: &str, known: &str) -> Error {
    Error::setting(format!("model.{key}"), format!("`{found}` is not implemented; {known} can be imported"))
}

impl Settings<'_> {
    fn get(&mut self, key: &'static str) -> Option<&Value> {
        self.seen.push(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn wrong(key: &str, expected: &str, found: &Value) -> Error {
        Error::setting(format!("model.{key}"), format!("expected {expected}, found {found}"))
    }

    fn count(&mut self, key: &'static str, default: Option<usize>) -> Result<usize> {
        match (self.get(key), default) {
            (Some(value), _) => value
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| Self::wrong(key, "a whole number", value)),
            (None, Some(default)) => Ok(default),
            (None, None) => {
                Err(Error::setting(format!("model.{key}"), "is missing; the reference has no default for it"))
            }
        }
    }

    fn maybe_real(&mut self, key: &'static str) -> Result<Option<f64>> {
        match self.get(key) {
            Some(value) => value.as_f64().map(Some).ok_or_else(|| Self::wrong(key, "a number", value)),
            None => Ok(None),
        }
    }

    fn real(&mut self, key: &'static str, default: Option<f64>) -> Result<f64> {
        let value = self.maybe_real(key)?.or(default);
        value.ok_or_else(|| Error::setting(format!("model.{key}"), "is missing"))
    }

    fn truth(&mut self, key: &'static str, default: bool) -> Result<bool> {
        match self.get(key) {
            Some(value) => value.as_bool().ok_or_else(|| Self::wrong(key, "true or false", value)),
            None => Ok(default),
        }
    }

    fn only(&mut self, key: &'static str, known: &str) -> Result<()> {
        match self.get(key) {
            Some(value) if value.as_str() != Some(known) => {
                Err(Error::setting(format!("model.{key}"), format!("{value} is not implemented; only \"{known}\" is")))
            }
            _ => Ok(()),
        }
    }

    fn tags(&mut self, key: &'static str, default: &[i32]) -> Result<Vec<i32>> {
        let Some(value) = self.get(key) else { return Ok(default.to_vec()) };
        let tag = |v: &Value| v.as_i64().and_then(|t| i32::try_from(t).ok());
        let tags = value.as_array().and_then(|list| list.iter().map(tag).collect());
        tags.ok_or_else(|| Self::wrong(key, "a list of tags", value))
    }

    /// The name of a basis; its other settings must be the reference's defaults.
    fn basis(&mut self, key: &'static str) -> Result<Option<String>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let name = value["name"].as_str().ok_or_else(|| Self::wrong(key, "a table with a name", value))?;
        let known = ["name", "exponent", "pregamma_initial"];
        if let Some(other) = value.as_object().and_then(|table| table.keys().find(|k| !known.contains(&k.as_str()))) {
            return Err(Error::setting(format!("model.{key}.{other}"), "is not implemented; leave it out"));
        }
        Ok(Some(name.to_ascii_lowercase()))
    }

    fn radial(&mut self, key: &'static str) -> Result<Option<RadialKind>> {
        Ok(match self.basis(key)?.as_deref() {
            None => None,
            Some("gaussian") => Some(RadialKind::Gaussian),
            Some("spherical_bessel") => Some(RadialKind::SphericalBessel),
            Some("bernstein") => Some(RadialKind::Bernstein),
            Some(other) => return Err(unknown(key, other, "gaussian, spherical_bessel or bernstein")),
        })
    }

    fn envelope(&mut self) -> Result<(EnvelopeKind, u32)> {
        let exponent = match self.map.get("envelope").and_then(|e| e.get("exponent")) {
            Some(value) => value.as_u64().and_then(|p| u32::try_from(p).ok()),
            None => Some(5),
        };
        let exponent = exponent.ok_or_else(|| Error::setting("model.envelope.exponent", "expected a whole number"))?;
        Ok(match self.basis("envelope")?.as_deref() {
            None | Some("polynomial") => (EnvelopeKind::Polynomial, exponent),
            Some("exponential") => (EnvelopeKind::Exponential, exponent),
            Some(other) => return Err(unknown("envelope", other, "polynomial or exponential")),
        })
    }

    /// Refuses what nothing read: it might change what the network computes.
    fn finish(&self) -> Result<()> {
        let unread = |key: &&String| !self.seen.contains(&key.as_str()) && !IGNORED.contains(&key.as_str());
        match self.map.keys().find(unread) {
            Some(key) => {
                Err(Error::setting(format!("model.{key}"), "is not a setting of this network that can be imported"))
            }
            None => Ok(()),
        }
    }
}
