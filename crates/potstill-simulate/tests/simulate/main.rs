//! Dynamics and relaxation by what is known of them: theory, ASE, and the engine.

mod ase;
mod barostat;
mod baths;
mod cells;
mod engine;
mod mechanics;
mod potentials;
mod refusals;
mod relaxation;
mod restarts;
mod statistics;
mod stops;
