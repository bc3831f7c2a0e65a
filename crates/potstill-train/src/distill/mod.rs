//! Knowledge distillation: a student's loss gets terms that compare it with a teacher.
//!
//! F. Ekström Kelvinius, D. Georgiev, A. P. Toshev, J. Gasteiger, *Accelerating Molecular Graph Neural Networks via
//! Knowledge Distillation*, NeurIPS 2023, arXiv 2306.14818. The student's network knows nothing of it: terms, projections and
//! targets live here and leave no trace in the shipped model.
//!
//! A module uses modules of the rows above it only.
//!
//! | modules | idea |
//! |---|---|
//! | `kind`, `probes`, `questions`, `answer`, `taps`, `weight`, `projection`, `needs`, `settings`, `loss_id`, `groups` | small types |
//! | `cache`, `labels` | answers in files |
//! | `teacher` | networks, files of labels or a cache, asked about a dataset |
//! | `labelling` | asking a teacher once, into a cache |
//! | `targets`, `comparison`, `strategy` | interface of a strategy, and what it computes a loss from |
//! | `strategies`, `custom`, `term` | the strategies and their registry |
//! | `augmentation`, `compatibility`, `config` | the `[distill]` section and its checks |
//! | `terms` | the active terms of a run |

mod answer;
mod augmentation;
pub mod cache;
mod comparison;
mod compatibility;
mod config;
mod custom;
mod groups;
mod kind;
pub mod labelling;
mod labels;
mod loss_id;
mod needs;
mod probes;
mod projection;
mod questions;
mod rounds;
mod settings;
pub mod strategies;
mod strategy;
mod taps;
pub mod targets;
mod teacher;
mod term;
pub mod terms;
mod weight;

pub use augmentation::Augmentation;
pub use cache::TeacherCache;
pub use comparison::{Comparison, Counts, FeaturePair, Pass, Student};
pub use compatibility::training_rule;
pub use config::DistillConfig;
pub use custom::Custom;
pub use groups::Groups;
pub use kind::Kind;
pub use labels::LabelOptions;
pub use loss_id::{LossId, Set, TermId, TermWeights};
pub use needs::FeatureNeeds;
pub use probes::Probes;
pub use projection::{Projection, ProjectionKind, Side};
pub use questions::{Holds, Questions, Wanted};
pub use rounds::{FineTune, RoundsConfig};
pub use settings::{FeatureTerm, Of, RelationTerm};
pub use strategies::Term;
pub use strategy::Strategy;
pub use taps::TapNames;
pub use teacher::{Teacher, TeacherSource};
pub use weight::{Weight, WeightSchedule};
