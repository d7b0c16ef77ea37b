//! XEP-0060 §15.2: what is said beside the condition of an error.
use crate::xmpp::{Condition, ErrorType, StanzaError, ns};

const fn refusal(condition: Condition, name: &'static str) -> StanzaError {
    StanzaError::new(condition).application(name, ns::PUBSUB_ERRORS)
}

pub const CLOSED_NODE: StanzaError = refusal(Condition::NotAllowed, "closed-node");
pub const INVALID_JID: StanzaError = refusal(Condition::BadRequest, "invalid-jid");
pub const INVALID_OPTIONS: StanzaError = refusal(Condition::BadRequest, "invalid-options");
pub const INVALID_PAYLOAD: StanzaError = refusal(Condition::BadRequest, "invalid-payload");
pub const INVALID_SUBID: StanzaError = refusal(Condition::NotAcceptable, "invalid-subid");
pub const ITEM_FORBIDDEN: StanzaError = refusal(Condition::BadRequest, "item-forbidden");
pub const ITEM_REQUIRED: StanzaError = refusal(Condition::BadRequest, "item-required");
pub const JID_REQUIRED: StanzaError = refusal(Condition::BadRequest, "jid-required");
pub const MAX_ITEMS_EXCEEDED: StanzaError = refusal(Condition::NotAllowed, "max-items-exceeded");
pub const MAX_NODES_EXCEEDED: StanzaError =
    refusal(Condition::ResourceConstraint, "max-nodes-exceeded");
pub const NODE_FULL: StanzaError = refusal(Condition::Conflict, "node-full");
pub const NODEID_REQUIRED: StanzaError = refusal(Condition::BadRequest, "nodeid-required");
/// The same of what creates nodes (§8.1.2) without a name.
pub const NODEID_REQUIRED_TO_CREATE: StanzaError =
    refusal(Condition::NotAcceptable, "nodeid-required");
pub const NOT_IN_ROSTER_GROUP: StanzaError =
    refusal(Condition::NotAuthorized, "not-in-roster-group");
pub const NOT_SUBSCRIBED: StanzaError = refusal(Condition::NotAuthorized, "not-subscribed");
/// The same of what changes or ends a subscription that is not there (§6.2.3.2, §6.3.4.2).
pub const NO_SUBSCRIPTION: StanzaError =
    refusal(Condition::UnexpectedRequest, "not-subscribed").kind(ErrorType::Cancel);
/// Items of a node that an account might have.
pub const NO_NODE_OF_ONES_OWN: StanzaError = StanzaError::new(Condition::ItemNotFound).code("404");
pub const PAYLOAD_REQUIRED: StanzaError = refusal(Condition::BadRequest, "payload-required");
pub const PAYLOAD_TOO_BIG: StanzaError = refusal(Condition::NotAcceptable, "payload-too-big");
pub const PENDING_SUBSCRIPTION: StanzaError =
    refusal(Condition::NotAuthorized, "pending-subscription");
pub const PRECONDITION_NOT_MET: StanzaError = refusal(Condition::Conflict, "precondition-not-met");
pub const PRESENCE_SUBSCRIPTION_REQUIRED: StanzaError =
    refusal(Condition::NotAuthorized, "presence-subscription-required");
pub const TOO_MANY_SUBSCRIPTIONS: StanzaError =
    refusal(Condition::PolicyViolation, "too-many-subscriptions").kind(ErrorType::Wait);

pub const UNSUPPORTED_ACCESS_MODEL: StanzaError =
    refusal(Condition::NotAcceptable, "unsupported-access-model");

/// The service, or this node, does not do that.
pub const fn unsupported(feature: &'static str) -> StanzaError {
    refusal(Condition::FeatureNotImplemented, "unsupported").feature(feature)
}

/// A name that keys can hold.
pub const NAME_TOO_LONG: StanzaError =
    StanzaError::new(Condition::NotAcceptable).text("The name is too long.");
pub const NO_ROOM: StanzaError =
    StanzaError::new(Condition::ResourceConstraint).text("Too much is stored.");
