//! Kernels for pairs of atoms give what kernels for single edges give.

use potstill_kernels::Number;
use potstill_kernels::filters::{FilterNetwork, Filters, PlacedEdge, PlacedEdges};
use potstill_kernels::number::{dispatch, lanes_here};
use potstill_kernels::painn::{EdgeGradients, MessageAdjoint, MessageSum, PairAdjoint, PairSum};
use potstill_kernels::radial::Slope;
use potstill_kernels::rows::padded;
use potstill_kernels::schnet::{Convolution, ConvolutionAdjoint, PairConvolution, PairConvolutionAdjoint, parts};
use proptest::prelude::*;

const CUTOFF: f64 = 3.0;

/// Waves that vanish at the cutoff.
#[derive(Debug)]
struct Waves(usize);

impl FilterNetwork for Waves {
    fn width(&self) -> usize {
        self.0
    }

    fn at(&self, d: f64, _: &mut Vec<Slope>, values: &mut [f64], slopes: &mut [f64]) {
        let x = d / CUTOFF;
        let (u, du) = ((1.0 - x * x).powi(3), -6.0 * x * (1.0 - x * x).powi(2) / CUTOFF);
        for (k, (value, slope)) in values.iter_mut().zip(slopes).enumerate() {
            let f = 0.3 + 0.05 * (k % 37) as f64;
            (*value, *slope) = (u * (f * d).cos(), du * (f * d).cos() - u * f * (f * d).sin());
        }
    }
}

/// Edges by one end.
struct List<T> {
    first: Vec<usize>,
    edges: Vec<PlacedEdge<T>>,
    distance: Vec<T>,
}

impl<T: Number> List<T> {
    fn new(positions: &[[f64; 3]], wanted: impl Fn(usize, usize) -> bool, filters: &Filters<T>) -> Self {
        let mut list = Self { first: vec![0], edges: Vec::new(), distance: Vec::new() };
        for (i, from) in positions.iter().enumerate() {
            for (j, to) in positions.iter().enumerate() {
                let d: [f64; 3] = std::array::from_fn(|c| to[c] - from[c]);
                let length = d.iter().map(|x| x * x).sum::<f64>().sqrt();
                if wanted(i, j) && length < CUTOFF {
                    let direction = d.map(|x| T::of(x / length));
                    let (other, sums) = (j as u32, j as u32);
                    list.edges.push(PlacedEdge { other, sums, direction, ..PlacedEdge::default() });
                    list.distance.push(T::of(length));
                }
            }
            list.first.push(list.edges.len());
        }
        filters.place(&list.distance, &mut list.edges);
        list
    }

    fn arrays(&self) -> (&[T], &[PlacedEdge<T>]) {
        (&self.distance, &self.edges)
    }

    fn view(&self) -> PlacedEdges<'_, T> {
        PlacedEdges { first: &self.first, edges: &self.edges }
    }
}

/// All edges, and all pairs, of some points.
struct Graph<T> {
    filters: Filters<T>,
    all: List<T>,
    pairs: List<T>,
}

impl<T: Number> Graph<T> {
    fn new(positions: &[[f64; 3]], n_parts: usize, width: usize, exact: bool) -> Self {
        let network: Vec<Box<dyn FilterNetwork>> = vec![Box::new(Waves(n_parts * width))];
        let filters = match exact {
            true => Filters::Exact(network, n_parts),
            false => Filters::tables(&network, n_parts, CUTOFF, 1e-5).unwrap(),
        };
        let all = List::new(positions, |i, j| i != j, &filters);
        Self { all, pairs: List::new(positions, |i, j| i < j, &filters), filters }
    }

    /// Checks that what a pair gets is the sum of what its two edges get; `sign` of what belongs to the edge from the first to the second.
    fn check_pairs(&self, of_edges: &[T], of_pairs: &[T], sign: [f64; 2]) {
        for (i, own) in self.pairs.first.windows(2).enumerate() {
            for (pair, of_pair) in self.pairs.edges[own[0]..own[1]].iter().zip(&of_pairs[own[0]..own[1]]) {
                let j = pair.other as usize;
                let edge = |from: usize, to: usize| {
                    let found = (self.all.first[from]..self.all.first[from + 1])
                        .find(|&e| self.all.edges[e].other as usize == to);
                    of_edges[found.unwrap()].to_f64()
                };
                let sum = sign[0] * edge(i, j) + sign[1] * edge(j, i);
                assert!((sum - of_pair.to_f64()).abs() < 1e-9 * sum.abs().max(1.0), "{i} {j}");
            }
        }
    }
}

fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    (0..n).map(|_| next()).collect()
}

fn points(n: usize, seed: u64) -> Vec<[f64; 3]> {
    numbers(3 * n, seed).as_chunks::<3>().0.iter().map(|p| p.map(|x| 5.0 * x)).collect()
}

fn close(a: &[f64], b: &[f64]) {
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{i}: {a} {b}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn painn(n in 1_usize..30, h in 1_usize..70, seed: u64, has_vectors: bool, exact: bool) {
        let w = padded(h);
        let graph = Graph::<f64>::new(&points(n, seed), 3, w, exact);
        let [sent, vector, a, b] = [3, 3, 1, 3].map(|k| numbers(k * n * w, seed ^ k as u64));
        let vector = if has_vectors { vector } else { Vec::new() };
        let [start_s, start_v] = [1, 3].map(|k| numbers(k * n * w, seed ^ (7 + k as u64)));
        let (mut exact_a, mut exact_b) = (Vec::new(), Vec::new());
        let all = graph.filters.rows(0, graph.all.arrays(), 0..graph.all.edges.len(), &mut exact_a);
        let pairs = graph.filters.rows(0, graph.pairs.arrays(), 0..graph.pairs.edges.len(), &mut exact_b);

        let (mut s, mut v) = (start_s.clone(), start_v.clone());
        dispatch(MessageSum {
            filters: all, edges: graph.all.view(), atoms: 0..n, sent: &sent, vector: &vector, width: w,
            scalar_out: &mut s, vector_out: &mut v,
        });
        let (mut s_of_pairs, mut v_of_pairs) = (start_s, start_v.clone());
        dispatch(PairSum {
            filters: pairs, first: &graph.pairs.first, atoms: 0..n, sent: &sent, vector: &vector, width: w, own_sums: 0,
            scalar_out: &mut s_of_pairs, vector_out: &mut v_of_pairs,
        });
        close(&s_of_pairs, &s);
        close(&v_of_pairs, &v);

        let sums = if has_vectors { 3 * n * w } else { 0 };
        let start = numbers(sums, seed ^ 21);
        let n_edges = graph.all.edges.len();
        let (mut sent_out, mut vector_out) = (start.clone(), start_v[..sums].to_vec());
        let (mut distance, mut direction) = (vec![0.0; n_edges], vec![[0.0; 3]; n_edges]);
        dispatch(MessageAdjoint::<_, _, _, true> {
            filters: all, edges: graph.all.view(), atoms: 0..n, sent: &sent, vector: &vector,
            scalar_gradient: &a, vector_gradient: &b, width: w,
            sent_out: &mut sent_out, vector_out: &mut vector_out,
            geometry: EdgeGradients { distance: &mut distance, direction: &mut direction, partial: &mut Vec::new() },
        });
        let (mut sent_of_pairs, mut vector_of_pairs) = (start, start_v[..sums].to_vec());
        let n_pairs = graph.pairs.edges.len();
        let (mut d, mut u) = (vec![0.0; n_pairs], vec![[0.0; 3]; n_pairs]);
        dispatch(PairAdjoint {
            filters: pairs, first: &graph.pairs.first, atoms: 0..n, sent: &sent, vector: &vector,
            scalar_gradient: &a, vector_gradient: &b, width: w, own_sums: 0,
            sent_out: &mut sent_of_pairs, vector_out: &mut vector_of_pairs,
            geometry: EdgeGradients { distance: &mut d, direction: &mut u, partial: &mut Vec::new() },
        });
        close(&sent_of_pairs, &sent_out);
        close(&vector_of_pairs, &vector_out);
        graph.check_pairs(&distance, &d, [1.0, 1.0]);
        for c in 0..3 {
            // The edge out of the first atom has a gradient with respect to the direction from the second to the first.
            let component = |of: &[[f64; 3]]| of.iter().map(|u| u[c]).collect::<Vec<_>>();
            graph.check_pairs(&component(&direction), &component(&u), [-1.0, 1.0]);
        }
    }

    #[test]
    fn schnet(n in 1_usize..30, h in 1_usize..140, seed: u64, exact: bool) {
        let w = padded(h);
        let graph = Graph::<f64>::new(&points(n, seed), parts::<f64>(w), w / parts::<f64>(w), exact);
        let [sent, gradient, start] = [1, 2, 3].map(|k| numbers(n * w, seed ^ k));
        let (mut exact_a, mut exact_b) = (Vec::new(), Vec::new());
        let all = graph.filters.rows(0, graph.all.arrays(), 0..graph.all.edges.len(), &mut exact_a);
        let pairs = graph.filters.rows(0, graph.pairs.arrays(), 0..graph.pairs.edges.len(), &mut exact_b);
        let (mut sums, mut of_pairs) = (start.clone(), start.clone());
        dispatch(Convolution { filters: all, edges: graph.all.view(), atoms: 0..n, sent: &sent, width: w, sums: &mut sums });
        dispatch(PairConvolution {
            filters: pairs, first: &graph.pairs.first, atoms: 0..n, sent: &sent, width: w, own_sums: 0, sums: &mut of_pairs,
        });
        close(&of_pairs, &sums);

        let (mut sent_out, mut sent_of_pairs) = (start.clone(), start);
        let (mut distance, mut d) = (vec![0.0; graph.all.edges.len()], vec![0.0; graph.pairs.edges.len()]);
        dispatch(ConvolutionAdjoint::<_, _, _, true> {
            filters: all, edges: graph.all.view(), atoms: 0..n, sent: &sent, sum_gradient: &gradient, width: w,
            sent_out: &mut sent_out, distance: &mut distance, partial: &mut Vec::new(),
        });
        dispatch(PairConvolutionAdjoint {
            filters: pairs, first: &graph.pairs.first, atoms: 0..n, sent: &sent, sum_gradient: &gradient, width: w, own_sums: 0,
            sent_out: &mut sent_of_pairs, distance: &mut d, partial: &mut Vec::new(),
        });
        close(&sent_of_pairs, &sent_out);
        graph.check_pairs(&distance, &d, [1.0, 1.0]);
    }
}

#[test]
fn instructions_are_those_that_were_asked_for() {
    let lanes = match std::env::var("POTSTILL_INSTRUCTIONS").as_deref() {
        Ok("avx2") => 8,
        Ok("avx512") => 16,
        _ => return,
    };
    assert_eq!(lanes_here::<f32>(), lanes);
}
