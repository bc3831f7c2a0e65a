//! PaiNN's messages over edges, their adjoint, and the derivatives of both.
//!
//! With filters `f = W r(d)` of an edge `s → t` with direction `u`, all four are derivatives of one form, linear in each argument,
//!
//! ```text
//! F = Σ_edges Σ_channels  ŝ_t x_a f_a + (v̂_t · v_s) x_b f_b + (v̂_t · u) x_c f_c
//! ```
//!
//! where `x` and `v` are sent by sources and `ŝ`, `v̂` stand for sums at targets, or for their gradients. The sums of the messages are
//! `∂F/∂(ŝ, v̂)`, and the adjoint is `∂F/∂(x, v, d, u)`: both are kernels of [`potstill_kernels::painn`]. Training needs two more:
//! `∂F/∂W`, in `weight`, and the derivatives of the adjoint, in `second`.
//!
//! In tensor operations each product is an array with a row for each edge. Here nothing has one: filters are made where they are
//! used, from the few Gaussians that do not vanish at the distance (about 14 of 128), and so are the derivatives of `W`.

mod layout;
mod second;
mod weight;

use std::sync::Arc;

use burn::tensor::Tensor;
use potstill_kernels::edges::EdgeOrder;
use potstill_kernels::filters::RadialRows;
use potstill_kernels::number::{Number, dispatch};
use potstill_kernels::painn::{EdgeGradients, MessageAdjoint, MessageSum};

use self::layout::Layout;
use self::second::SecondOrder;
use self::weight::WeightGradient;
use super::operation::{Forward, Input, Operation, Primitive, run};

/// Edges with their radial functions; constants of these operations.
#[derive(Debug)]
pub struct MessageEdges {
    /// Source and target of each edge.
    ends: Arc<[[u32; 2]]>,
    /// Unit vector from target to source of each edge.
    direction: Arc<[[f64; 3]]>,
    radial: RadialRows,
    by_target: EdgeOrder,
    by_source: EdgeOrder,
}

impl MessageEdges {
    /// Edges, given as `[source, target]`, with directions from target to source and radial functions.
    pub fn new(ends: Arc<[[u32; 2]]>, n_atoms: usize, direction: Arc<[[f64; 3]]>, radial: RadialRows) -> Self {
        let [by_source, by_target] = [0, 1].map(|end| EdgeOrder::by(end, &ends, n_atoms));
        Self { ends, direction, radial, by_target, by_source }
    }
}

/// Sums of the messages at each atom, `Σ ŝ` and `Σ v̂` side by side. Shapes: `sent` (x) `[n, 3h]`, `vector` `[n, 3h]` or `[0, 3h]` where
/// all are zero, `weight` `[3h, n_radial]` to `[n, 4h]`.
///
/// `None` on other backends.
pub fn messages(
    sent: &Tensor<2>,
    vector: &Tensor<2>,
    weight: &Tensor<2>,
    edges: &Arc<MessageEdges>,
) -> Option<Tensor<2>> {
    run(Messages(edges.clone()), [Primitive::of(sent), Primitive::of(vector), Primitive::of(weight)])
}

/// Gradients that the adjoint of the messages gives.
pub struct MessageGradients {
    /// Gradient with respect to `sent`. Shape: `[n, 3h]`.
    pub sent: Tensor<2>,
    /// Gradient with respect to the vectors; none where there are no vectors. Shape: `[n, 3h]`.
    pub vector: Option<Tensor<2>>,
    /// Gradient with respect to the distances. Shape: `[n_edges, 1]`.
    pub distance: Tensor<2>,
    /// Gradient with respect to the directions from target to source. Shape: `[n_edges, 3]`.
    pub direction: Tensor<2>,
}

/// Adjoint of [`messages`], given the gradients of the sums, of shapes `[n, h]` and `[n, 3h]`, and the inputs.
///
/// `None` on other backends.
pub fn messages_adjoint(
    [scalar_gradient, vector_gradient, sent, vector, weight]: [&Tensor<2>; 5],
    edges: &Arc<MessageEdges>,
) -> Option<MessageGradients> {
    let [n, wide] = sent.dims();
    let n_edges = edges.ends.len();
    let has_vectors = vector.dims()[0] > 0;
    let inputs = [scalar_gradient, vector_gradient, sent, vector, weight].map(Primitive::of);
    let all: Tensor<2> = run(MessagesAdjoint(edges.clone()), inputs)?;
    let mut start = 0;
    let mut part = |shape: [usize; 2]| {
        let len = shape[0] * shape[1];
        start += len;
        all.clone().narrow(1, start - len, len).reshape(shape)
    };
    let sent = part([n, wide]);
    let vector = has_vectors.then(|| part([n, wide]));
    Some(MessageGradients { sent, vector, distance: part([n_edges, 1]), direction: part([n_edges, 3]) })
}

#[derive(Debug, Clone)]
struct Messages(Arc<MessageEdges>);

#[derive(Debug, Clone)]
struct MessagesAdjoint(Arc<MessageEdges>);

impl Operation<3> for Messages {
    fn forward<T: Number>(&self, [sent, vector, weight]: [Input<'_, T>; 3], _: bool) -> Forward<T> {
        let layout = Layout::new(&self.0, &sent);
        let (mut scalar_out, mut vector_out) = (layout.zeros(1), layout.zeros(3));
        let table = layout.table(weight.values);
        dispatch(MessageSum {
            filters: layout.filters(&table, &self.0.by_target),
            edges: self.0.by_target.view(&layout.directions(&self.0.by_target, T::ONE)),
            atoms: 0..layout.n,
            sent: &layout.interleaved(sent.values),
            vector: &layout.padded(vector.values),
            width: layout.width,
            scalar_out: &mut scalar_out,
            vector_out: &mut vector_out,
        });
        let h = layout.h;
        let (scalar, vector) = (layout.unpadded(scalar_out), layout.unpadded(vector_out));
        let mut output = Vec::with_capacity(layout.n * 4 * h);
        for (scalar, vector) in scalar.chunks_exact(h).zip(vector.chunks_exact(3 * h)) {
            output.extend_from_slice(scalar);
            output.extend_from_slice(vector);
        }
        Forward { output, shape: vec![layout.n, 4 * h], saved: Vec::new() }
    }

    fn backward<T: Number>(
        &self,
        [sent, vector, weight]: [Input<'_, T>; 3],
        _: &[Vec<T>],
        gradient: Vec<T>,
        _: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let layout = Layout::new(&self.0, &sent);
        let gradients = split(&gradient, layout.h);
        let [scalar_gradient, vector_gradient] = gradients.each_ref().map(|rows| layout.padded(rows));
        let (sent, vector) = (layout.interleaved(sent.values), layout.padded(vector.values));
        let arguments = [&scalar_gradient[..], &vector_gradient, &sent, &vector];
        let table = layout.table(weight.values);
        let [sent_out, vector_out] = adjoint::<T, false>(&self.0, &layout, arguments, &table, &mut [], &mut []);
        let mut table_out = vec![T::ZERO; table.len()];
        dispatch(WeightGradient {
            edges: &self.0,
            layout: &layout,
            arguments,
            table: &table,
            table_out: &mut table_out,
        });
        [Some(sent_out), Some(vector_out), Some(layout.weight(&table_out))]
    }
}

/// Runs the adjoint over all edges; `distance` and `direction` are in the order of the sources, and empty without geometry. Gradients
/// with respect to `x` and `v`, without padding.
fn adjoint<T: Number, const GEOMETRY: bool>(
    edges: &MessageEdges,
    layout: &Layout<'_, T>,
    [scalar_gradient, vector_gradient, sent, vector]: [&[T]; 4],
    table: &[T],
    distance: &mut [T],
    direction: &mut [[T; 3]],
) -> [Vec<T>; 2] {
    let (mut sent_out, mut vector_out) = (layout.zeros(3), vec![T::ZERO; vector.len()]);
    dispatch(MessageAdjoint::<_, _, _, GEOMETRY> {
        filters: layout.filters(table, &edges.by_source),
        // From the source to the target: the other way round.
        edges: edges.by_source.view(&layout.directions(&edges.by_source, -T::ONE)),
        atoms: 0..layout.n,
        sent,
        vector,
        scalar_gradient,
        vector_gradient,
        width: layout.width,
        sent_out: &mut sent_out,
        vector_out: &mut vector_out,
        geometry: EdgeGradients { distance, direction, partial: &mut Vec::new() },
    });
    [layout.deinterleaved(&sent_out), layout.unpadded(vector_out)]
}

/// Two arrays of rows `[n, h]` and `[n, 3h]` from rows of both side by side.
fn split<T: Number>(rows: &[T], h: usize) -> [Vec<T>; 2] {
    let n = rows.len() / (4 * h);
    let (mut scalar, mut vector) = (Vec::with_capacity(n * h), Vec::with_capacity(3 * n * h));
    for row in rows.chunks_exact(4 * h) {
        scalar.extend_from_slice(&row[..h]);
        vector.extend_from_slice(&row[h..]);
    }
    [scalar, vector]
}

impl Operation<5> for MessagesAdjoint {
    fn forward<T: Number>(
        &self,
        [scalar_gradient, vector_gradient, sent, vector, weight]: [Input<'_, T>; 5],
        _: bool,
    ) -> Forward<T> {
        let layout = Layout::new(&self.0, &sent);
        let n_edges = self.0.ends.len();
        let (mut distance, mut direction) = (vec![T::ZERO; n_edges], vec![[T::ZERO; 3]; n_edges]);
        let arguments = [
            &layout.padded(scalar_gradient.values)[..],
            &layout.padded(vector_gradient.values),
            &layout.interleaved(sent.values),
            &layout.padded(vector.values),
        ];
        let table = layout.table(weight.values);
        let [sent_out, vector_out] =
            adjoint::<T, true>(&self.0, &layout, arguments, &table, &mut distance, &mut direction);
        let mut output = sent_out;
        output.extend(vector_out);
        let start = output.len();
        output.resize(start + 4 * n_edges, T::ZERO);
        let (distance_out, direction_out) = output[start..].split_at_mut(n_edges);
        let (direction_out, _) = direction_out.as_chunks_mut::<3>();
        for (place, &edge) in self.0.by_source.edge.iter().enumerate() {
            distance_out[edge as usize] = distance[place];
            direction_out[edge as usize] = direction[place];
        }
        Forward { shape: vec![1, output.len()], output, saved: Vec::new() }
    }

    fn backward<T: Number>(
        &self,
        [scalar_gradient, vector_gradient, sent, vector, weight]: [Input<'_, T>; 5],
        _: &[Vec<T>],
        gradient: Vec<T>,
        _: [bool; 5],
    ) -> [Option<Vec<T>>; 5] {
        let layout = Layout::new(&self.0, &sent);
        let (sent_change, rest) = gradient.split_at(sent.values.len());
        let (vector_change, rest) = rest.split_at(vector.values.len());
        let (distance, direction) = rest.split_at(self.0.ends.len());
        let vector = layout.padded(vector.values);
        let table = layout.table(weight.values);
        let mut table_out = vec![T::ZERO; table.len()];
        let mut out = [layout.zeros(1), layout.zeros(3), layout.zeros(3), vec![T::ZERO; vector.len()]];
        dispatch(SecondOrder {
            edges: &self.0,
            layout: &layout,
            table: &table,
            arguments: [
                &layout.padded(scalar_gradient.values),
                &layout.padded(vector_gradient.values),
                &layout.interleaved(sent.values),
                &vector,
            ],
            changes: [&layout.interleaved(sent_change), &layout.padded(vector_change)],
            distance,
            direction: direction.as_chunks::<3>().0,
            out: out.each_mut().map(Vec::as_mut_slice),
            table_out: &mut table_out,
        });
        let [scalar_gradient, vector_gradient, sent, vector] = out;
        let [scalar_gradient, vector_gradient, vector] =
            [scalar_gradient, vector_gradient, vector].map(|rows| Some(layout.unpadded(rows)));
        [scalar_gradient, vector_gradient, Some(layout.deinterleaved(&sent)), vector, Some(layout.weight(&table_out))]
    }
}
