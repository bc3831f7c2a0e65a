//! What potstill's own tests share: golden tensors, laws of physics, finite differences, random systems. Never
//! published.

pub mod conformance;
pub mod differences;
pub mod golden;
pub mod systems;
