//! Bounds of the settings of GemNet-OC.

use super::super::Forces;
use super::super::settings::check_cutoff;
use super::{GemNetOCConfig, ScaleFactors};
use crate::limits::{self, Bound};
use crate::{Error, Result};

impl GemNetOCConfig {
    /// Checks every setting; see [`NetworkSettings::validate`].
    pub(super) fn check(&self) -> Result<()> {
        if self.forces == Forces::Gradient {
            let message =
                "GemNetOC predicts direct forces only; give \"direct\", or use a PaiNN or SchNet with \"gradient\"";
            return Err(Error::setting("model.forces", message));
        }
        limits::check_sizes("model", &self.sizes())?;
        check_cutoff(self.cutoff)?;
        for (key, inner) in [
            ("quadruplet_cutoff", self.quadruplet_cutoff),
            ("atom_edge_cutoff", self.atom_edge_cutoff),
            ("atom_cutoff", self.atom_cutoff),
        ] {
            if let Some(complaint) = inner.and_then(limits::cutoff_complaint) {
                return Err(Error::setting(format!("model.{key}"), complaint));
            }
        }
        let largest = self.longest_of_others();
        if self.atom_cutoff().is_finite() && self.atom_cutoff() < largest {
            let message = format!("{} Å must reach as far as the other cutoffs, {largest} Å", self.atom_cutoff());
            return Err(Error::setting("model.atom_cutoff", message));
        }
        let widest = self.max_neighbors.max(self.max_quadruplet_neighbors).max(self.max_atom_edge_neighbors);
        if self.atom_to_atom && self.max_atom_neighbors < widest {
            let message = format!("{} must be at least that of the other graphs, {widest}", self.max_atom_neighbors);
            return Err(Error::setting("model.max_atom_neighbors", message));
        }
        let ScaleFactors::Given(factors) = &self.scale_factors else { return Ok(()) };
        if let Some((name, value)) = factors.iter().find(|(_, v)| !v.is_finite()) {
            return Err(Error::setting("model.scale_factors", format!("{name} = {value} is not a number")));
        }
        let missing: Vec<String> = self.scale_names().into_iter().filter(|name| !factors.contains_key(name)).collect();
        if let Some(first) = missing.first() {
            let message = format!("{first} and {} more are missing; give all, or \"fit\"", missing.len() - 1);
            return Err(Error::setting("model.scale_factors", message));
        }
        Ok(())
    }

    /// Every size with its name and bound.
    fn sizes(&self) -> Vec<(&'static str, usize, Bound)> {
        let any_depth = limits::DEPTH.at_least(0);
        vec![
            ("atom_channels", self.atom_channels, limits::WIDTH),
            ("edge_channels", self.edge_channels, limits::WIDTH),
            ("n_blocks", self.n_blocks, limits::DEPTH),
            ("n_radial", self.n_radial, limits::RADIAL),
            ("n_spherical", self.n_spherical, limits::ANGULAR),
            ("triplet_in_channels", self.triplet_in_channels, limits::WIDTH),
            ("triplet_out_channels", self.triplet_out_channels, limits::WIDTH),
            ("quadruplet_in_channels", self.quadruplet_in_channels, limits::WIDTH),
            ("quadruplet_out_channels", self.quadruplet_out_channels, limits::WIDTH),
            ("pair_in_channels", self.pair_in_channels, limits::WIDTH),
            ("pair_out_channels", self.pair_out_channels, limits::WIDTH),
            ("radial_channels", self.radial_channels, limits::WIDTH),
            ("circular_channels", self.circular_channels, limits::WIDTH),
            ("spherical_channels", self.spherical_channels, limits::WIDTH),
            ("n_before_skip", self.n_before_skip, any_depth),
            ("n_after_skip", self.n_after_skip, any_depth),
            ("n_concat", self.n_concat, any_depth),
            ("n_atom", self.n_atom, any_depth),
            ("n_output_after_atom", self.n_output_after_atom, any_depth),
            ("n_atom_embedding", self.n_atom_embedding, any_depth),
            ("n_global_output", self.n_global_output, any_depth),
            ("max_neighbors", self.max_neighbors, limits::NEIGHBORS),
            ("max_quadruplet_neighbors", self.max_quadruplet_neighbors, limits::NEIGHBORS),
            ("max_atom_edge_neighbors", self.max_atom_edge_neighbors, limits::NEIGHBORS),
            ("max_atom_neighbors", self.max_atom_neighbors, limits::NEIGHBORS),
            ("envelope_exponent", self.envelope_exponent as usize, limits::EXPONENT),
        ]
    }
}
