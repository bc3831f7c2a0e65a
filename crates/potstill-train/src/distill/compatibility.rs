//! Checks that teacher, student and terms fit together.

use potstill_core::graph::NetworkGraphRule;
use potstill_core::model::Architecture;
use potstill_core::{Error, Result};

use super::kind::Kind;
use super::needs::FeatureNeeds;
use super::projection::ProjectionKind;
use super::strategies::Term;

/// Rule for the training graphs of a student: its own, or that of its teacher where edge features are compared.
///
/// # Errors
/// Edges of the teacher that the student cannot run on.
pub fn training_rule(terms: &[Term], teacher: &Architecture, student: &Architecture) -> Result<NetworkGraphRule> {
    let own = student.graph_rule();
    if !terms.iter().any(|t| t.is_active() && t.features().is_some_and(|needs| needs.kind == Kind::Edge)) {
        return Ok(own);
    }
    match (teacher.graph_rule(), own) {
        (NetworkGraphRule::GemNet(theirs), NetworkGraphRule::Pairs(_)) => Ok(NetworkGraphRule::MainOf(theirs)),
        (theirs, own) if theirs == own => Ok(own),
        (NetworkGraphRule::GemNet(theirs), NetworkGraphRule::GemNet(own))
            if theirs.cutoff == own.cutoff && theirs.max_neighbors == own.max_neighbors =>
        {
            Ok(NetworkGraphRule::GemNet(own))
        }
        _ => Err(Error::setting(
            "distill.terms (edge_to_edge)",
            "student and teacher draw different edges; give the student the teacher's cutoff and neighbors, or use what this pair \
             offers: vanilla, atomic_energy, node_to_node, edge_to_node, vector_to_vector, vector_geometric, hessian, \
             local_preservation, global_preservation and cka",
        )),
    }
}

/// Checks that features of one width are compared; both networks come with the number of taps that are read.
pub(super) fn check_widths(
    key: &str,
    needs: &FeatureNeeds<'_>,
    (teacher, n_theirs): (&Architecture, usize),
    (student, n_ours): (&Architecture, usize),
) -> Result<()> {
    let ours = n_ours * needs.kind.student_channels(student);
    let theirs = n_theirs * needs.kind.teacher_channels(teacher);
    if needs.projection == ProjectionKind::Identity && !needs.any_width && ours != theirs {
        let message = format!(
            "projection = \"identity\" needs equal widths, but the student has {ours} channels and the teacher {theirs}; \
             use \"linear\""
        );
        return Err(Error::setting(key, message));
    }
    Ok(())
}

/// Checks that a network has features of that kind.
pub(super) fn check_vectors(key: &str, kind: Kind, network: &Architecture, whose: &str) -> Result<()> {
    if matches!(kind, Kind::Vector | Kind::Edge) && !network.has_vectors() {
        let message = format!(
            "a {} {whose} has no vector or edge features; it offers vanilla, atomic_energy, node_to_node, edge_to_node, \
             hessian, and local_preservation, global_preservation and cka of nodes",
            network.name()
        );
        return Err(Error::setting(key, message));
    }
    Ok(())
}
