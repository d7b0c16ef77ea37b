//! XEP-0060: the engine of publish-subscribe. It knows nodes, items and who may do what; requests and who asks for them are
//! read in `feature`. Everybody inside the server who keeps something in nodes of an account uses the same functions as
//! requests do, with the account as the actor.

pub mod access;
pub mod config;
pub mod create;
pub mod items;
pub mod known;
pub mod manage;
pub mod node;
pub mod notify;
pub mod owner;
pub mod refusal;
pub mod related;

pub use access::{Standing, What};
pub use config::{AccessModel, NodeConfig, PublishModel, SendLast};
pub use create::create;
pub use items::publish::{NewItem, publish, retract};
pub use items::{Page, item, items_page, last_item};
pub use manage::{configure, delete, purge};
pub use node::{Node, node};
pub use owner::{Owner, OwnerKind};
