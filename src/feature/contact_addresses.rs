//! Being written.
use super::Feature;
pub const FEATURE: Feature = Feature::new("contact_addresses");
