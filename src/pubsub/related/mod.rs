//! Who has to do with nodes: subscriptions as subscribers ask for them and owners decide, and affiliations.
pub mod decide;
pub mod forget;
pub mod lost;
pub mod subscribe;
pub mod told;

/// Addresses related to one node: subscribed, waiting to be, or affiliated. What is published goes to all of them in one step.
pub const RELATED_MAX: u64 = 2_000;
/// Subscriptions of one node that wait for its owners.
pub const PENDING_MAX: u64 = 100;
/// Subscriptions of one bare JID at one node, by its resources.
pub const ADDRESSES_MAX: usize = 16;
/// Nodes of one owner that one bare JID has to do with: so many are listed.
pub const NODES_OF_ONE_MAX: usize = 1000;
