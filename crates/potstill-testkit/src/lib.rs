//! What potstill's own tests share: golden tensors, laws of physics, finite differences, random systems. Never
//! published.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "tests tell what they found")]

pub mod conformance;
pub mod differences;
pub mod fuzz;
pub mod golden;
pub mod ranks;
pub mod systems;
