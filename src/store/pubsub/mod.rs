//! Rows of publish-subscribe (XEP-0060): nodes, their items, who is subscribed and affiliated. Keys begin with the number of
//! the owner: an account's, or a service's.

pub mod items;
pub mod nodes;
pub mod related;
pub mod removal;
pub mod subscribed_to;
