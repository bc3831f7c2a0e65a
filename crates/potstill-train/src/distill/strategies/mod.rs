//! The strategies, one to a file, and the registry that makes them the strategies of a configuration.
//!
//! | file | compares |
//! |---|---|
//! | `vanilla` | energies and forces |
//! | `atomic_energy` | energies of single atoms |
//! | `node_to_node`, `edge_to_node`, `edge_to_edge`, `vector_to_vector` | features, element by element |
//! | `vector_geometric` | directions and lengths of vector features |
//! | `local_preservation`, `global_preservation`, `cka` | relations between the features of atoms |
//! | `hessian` | derivatives of the forces |

mod atomic_energy;
mod cka;
mod edge_to_edge;
mod edge_to_node;
mod global_preservation;
mod hessian;
mod local_preservation;
mod node_to_node;
mod vanilla;
mod vector_geometric;
mod vector_to_vector;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::custom::Custom;
use super::strategy::Strategy;

pub use atomic_energy::AtomicEnergy;
pub use cka::Cka;
pub use edge_to_edge::EdgeToEdge;
pub use edge_to_node::EdgeToNode;
pub use global_preservation::GlobalPreservation;
pub use hessian::Hessian;
pub use local_preservation::LocalPreservation;
pub use node_to_node::NodeToNode;
pub use vanilla::Vanilla;
pub use vector_geometric::VectorGeometric;
pub use vector_to_vector::VectorToVector;

/// Makes [`Term`] from the strategies; `alias` is another name of a strategy in configurations.
macro_rules! strategies {
    ($($strategy:ident $(alias $alias:literal)?,)*) => {
        /// One term of the loss: a strategy with its settings.
        ///
        /// `weight` is the paper's λ, fixed or [`Weight::Auto`](super::Weight::Auto); a term of weight 0 is left out of the run.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "strategy", rename_all = "snake_case", deny_unknown_fields)]
        pub enum Term {
            $(
                #[doc = concat!("See [`", stringify!($strategy), "`].")]
                $(#[serde(alias = $alias)])?
                $strategy($strategy),
            )*
            /// A strategy of another crate; configuration files cannot name it.
            #[serde(skip_deserializing)]
            Custom(Custom),
        }

        impl Term {
            /// The strategy with its settings.
            pub fn strategy(&self) -> &dyn Strategy {
                match self {
                    $(Self::$strategy(strategy) => strategy,)*
                    Self::Custom(custom) => custom.strategy(),
                }
            }

            pub(super) fn strategy_mut(&mut self) -> &mut dyn Strategy {
                match self {
                    $(Self::$strategy(strategy) => strategy,)*
                    Self::Custom(custom) => custom.strategy_mut(),
                }
            }
        }

        $(
            impl From<$strategy> for Term {
                fn from(strategy: $strategy) -> Self {
                    Self::$strategy(strategy)
                }
            }
        )*
    };
}

// The order is that in which errors list the names.
strategies! {
    Vanilla,
    AtomicEnergy alias "pae",
    NodeToNode alias "n2n",
    EdgeToNode alias "e2n",
    EdgeToEdge alias "e2e",
    VectorToVector alias "v2v",
    VectorGeometric,
    LocalPreservation,
    GlobalPreservation,
    Cka,
    Hessian,
}
