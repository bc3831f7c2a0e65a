//! PaiNN's messages over edges and their adjoint (Schütt, Unke, Gastegger, ICML 2021, arXiv 2102.03150, eqs. 7 and 8).
//!
//! With `x_j` what an atom sends (three parts `a`, `b`, `c`), `w` the filter of an edge `j → i` and `u` its direction from `i` to `j`:
//!
//! ```text
//! g   = x_j ∘ w                                    (g_a, g_b, g_c)
//! s̃_i = (s_i + Σ_j g_a) / √2
//! ṽ_i = v_i + Σ_j (v_j g_b + u g_c)
//! ```
//!
//! Constant factors are part of the filters. With bars for gradients of the energy:
//!
//! ```text
//! ḡ   = [ s̄_i, v̄_i · v_j, v̄_i · u ]                (for each edge j → i)
//! x̄_j = Σ_i ḡ ∘ w,             v̄_j = Σ_i v̄_i x_b w_b
//! d̄   = Σ ḡ ∘ x_j ∘ w′,        ū = Σ v̄_i x_c w_c    (sums over channels)
//! ```
//!
//! [`MessageSum`] and [`MessageAdjoint`] take edges one by one: the sums over `i` run over the edges out of `j`, so that every atom writes
//! to itself alone, and what an edge gets is written by its source alone. [`PairSum`] and [`PairAdjoint`] take both edges of a pair of
//! atoms, which have one filter, and write to both atoms. All work on one register of each row at a time and take all edges of a block of
//! atoms for it, so that what an atom sums up stays in registers and the part of the table that they read stays in a cache. With six rows
//! of a table for each edge, a message takes 18 multiplications for the filters and 10 for the sums for each channel, its adjoint 36 and
//! 23; for two messages of a pair 18 and 20, and 36 and 43.

mod adjoint;
mod pair_adjoint;
mod pair_sum;
mod sum;

pub use self::adjoint::{EdgeGradients, MessageAdjoint};
pub use self::pair_adjoint::PairAdjoint;
pub use self::pair_sum::PairSum;
pub use self::sum::MessageSum;
