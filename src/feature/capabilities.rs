//! Being written.
use super::Feature;
pub const FEATURE: Feature = Feature::new("capabilities");
pub fn own_caps() {}
pub fn presence_caps() {}
pub fn verify() {}
