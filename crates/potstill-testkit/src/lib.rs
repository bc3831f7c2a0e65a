//! What potstill's own tests share: golden tensors, finite differences, random systems. Never published.

pub mod golden;
pub mod systems;
