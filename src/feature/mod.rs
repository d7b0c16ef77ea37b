//! One specification, one file: each tells what it answers as rows of a table. `server` looks handlers up here; disco,
//! the README's table of specifications and entity capabilities are read off the same rows.

mod archive;
mod blocking;
mod capabilities;
mod carbons;
mod client_state;
mod clients;
mod components;
mod contact_addresses;
mod core;
mod disco;
mod last_activity;
mod mix_pam;
mod no_reply;
mod pep;
mod ping;
mod private_xml;
mod privilege;
mod pubsub;
mod registration;
mod roster;
mod session;
mod software_version;
mod spec;
mod time;
mod token_auth;
mod vcard;

pub use archive::{
    Asking as AskingArchive, InboxRooms, OF_CHANNELS as ARCHIVE_OF_CHANNELS,
    SEARCH_NS as ARCHIVE_SEARCH_NS, Source as ArchiveSource, Storable, as_member, bury, correcting,
    is_content, naming as naming_in_channel, page_of as archive_page, readdressed, related,
    related_late, retracted, says_something, storable, wanted as archive_wanted,
    write_fields as archive_fields, write_metadata as write_archive_metadata,
};
pub use blocking::blocked_error;
pub use capabilities::{
    announced as announced_caps, ask as ask_caps, ask_again as ask_caps_again, own_caps,
};
pub use carbons::{NS as CARBONS_NS, eligible as carbons_eligible};
pub use client_state::{message_urgency, presence_wakes};
pub use clients::{Access, Revoked, all as all_access, take_away as take_access_away};
pub use last_activity::{
    is_asked as asks_last_activity, require_may_ask as require_may_ask_last_activity,
};
pub use mix_pam::deliver::{Heard, deliver_from_channel};
pub use mix_pam::removed::leave_channels;
pub use mix_pam::{
    CHANNELS_JOINED_MAX, FromChannel, channel_left, channel_may_see, channel_of_presence,
    from_channel, joined_channel, preference_set,
};
pub(crate) use pep::avatars;
pub use pep::bookmark_forms::ROOMS_MAX as BOOKMARKS_SHOWN_MAX;
pub use pep::bookmarks::rooms as bookmarked_rooms;
pub use pep::displayed::taken as displayed_taken;
pub use pep::pam::{SUBSCRIPTIONS_MAX, spread as spread_event};
pub use pep::vcards::adopt as adopt_vcard;
pub use pep::{photo_changed, photo_in_presence};
pub use privilege::{
    advertise as advertise_privileges, forwarded as privileged_message, hear_of_presence,
    used as privilege_used,
};
pub use pubsub::decision as pubsub_decision;
pub use roster::{push as push_roster, require_room as require_roster_room};
pub use spec::{Spec, Support, specification_table};
pub use token_auth::{OAUTH_ACCESS_MS, OAUTH_GRANT};

use crate::pubsub::notify::last;
use crate::state::{ComponentId, Cx, Fault, Origin, Question, SessionId, Settings, Then};
use crate::store::{AccountId, StoreError};
use crate::xml::{ElementRef, Writer};
use crate::xmpp::{BareJid, Condition, Iq, IqKind, Jid, StanzaError};

/// Every feature, in the order of their first specification.
pub const FEATURES: &[&Feature] = &[
    &core::FEATURE,
    &session::FEATURE,
    &roster::FEATURE,
    &last_activity::FEATURE,
    &disco::FEATURE,
    &private_xml::FEATURE,
    &vcard::FEATURE,
    &pubsub::FEATURE,
    &pep::FEATURE,
    &registration::FEATURE,
    &software_version::FEATURE,
    &components::FEATURE,
    &capabilities::FEATURE,
    &contact_addresses::FEATURE,
    &blocking::FEATURE,
    &ping::FEATURE,
    &time::FEATURE,
    &carbons::FEATURE,
    &client_state::FEATURE,
    &archive::FEATURE,
    &archive::SEARCH,
    &clients::FEATURE,
    &privilege::FEATURE,
    &no_reply::FEATURE,
    &mix_pam::FEATURE,
    &token_auth::FEATURE,
];

/// Whom a request addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The server's domain.
    Server,
    /// The domain of the service of this label.
    Service(&'static str),
    /// The sender's own account: its bare JID, or no `to`.
    OwnAccount,
    /// The bare JID of any local account, one's own too unless it has an `OwnAccount` row.
    Account,
}

/// A request as a handler gets it.
pub struct Request<'a> {
    pub iq: &'a Iq,
    /// The one child of the iq.
    pub payload: ElementRef<'a>,
    pub from: &'a Jid,
    pub origin: Origin,
    /// The account addressed (`To::OwnAccount`, `To::Account`).
    pub account: Option<(&'a BareJid, AccountId)>,
    /// The rooms that are in the account's inbox.
    pub inbox_rooms: fn(&mut Cx<'_>, &Request<'_>) -> Result<InboxRooms, Fault>,
}

impl<'a> Request<'a> {
    /// The account addressed; rows of `To::Server` have none.
    pub fn account_id(&self) -> AccountId {
        self.account
            .expect("rows for accounts are called with one")
            .1
    }

    pub fn account_jid(&self) -> &'a BareJid {
        self.account
            .expect("rows for accounts are called with one")
            .0
    }

    /// The session asking. Who asks on behalf of an account has none, and cannot be given what only a session is.
    pub fn own_session(&self) -> Result<SessionId, Condition> {
        self.origin
            .session()
            .ok_or(Condition::FeatureNotImplemented)
    }

    /// The component asking.
    pub fn component(&self) -> Option<ComponentId> {
        match self.origin {
            Origin::Component(component) => Some(component),
            Origin::Session(_) | Origin::Own => None,
        }
    }

    pub fn is_own(&self) -> bool {
        self.account
            .is_some_and(|(jid, _)| jid.as_str() == self.from.bare_str())
    }
}

/// What a handler answers.
pub enum Reply {
    /// An empty result.
    Empty,
    /// A result with this child.
    Payload(Vec<u8>),
    /// The result comes when work off the reactor thread is done.
    Later,
    /// An error with this child before it.
    Refused(StanzaError, Vec<u8>),
}

impl Reply {
    pub fn payload(write: impl FnOnce(&mut Writer<'_>)) -> Reply {
        let mut xml = Vec::new();
        write(&mut Writer::new(&mut xml));
        Reply::Payload(xml)
    }
}

pub type Handler = fn(&mut Cx<'_>, &Request<'_>) -> Result<Reply, Fault>;

/// Items at a node, or without one; `None`: it has nothing to do with that node.
pub type Items = fn(&Cx<'_>, &Request<'_>, Option<&str>) -> Result<Option<Vec<Item>>, Fault>;

/// What is shown at a node; `None`: it has nothing to do with it, or not for the one who asks.
pub type NodeInfo = fn(&Cx<'_>, &Request<'_>, &str) -> Result<Option<disco::Info>, Fault>;

/// An item of service discovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    pub jid: String,
    pub node: Option<String>,
    pub name: Option<String>,
}

/// One kind of request: whom it addresses, its child, who answers it.
pub struct IqRoute {
    pub to: To,
    pub kind: IqKind,
    pub namespace: &'static str,
    pub name: &'static str,
    pub handler: Handler,
    /// Sessions of restricted tokens may not ask.
    pub unrestricted: bool,
    /// What those hear whom an account does not answer, and so whoever asks where there is no account.
    pub refusal: Condition,
}

impl IqRoute {
    /// Another than the usual one.
    pub const fn refused_by(self, refusal: Condition) -> IqRoute {
        IqRoute { refusal, ..self }
    }

    /// Only for sessions that may do everything.
    pub const fn unrestricted(self) -> IqRoute {
        IqRoute {
            unrestricted: true,
            ..self
        }
    }

    pub const fn get(
        to: To,
        namespace: &'static str,
        name: &'static str,
        handler: Handler,
    ) -> IqRoute {
        IqRoute {
            to,
            kind: IqKind::Get,
            namespace,
            name,
            handler,
            unrestricted: false,
            refusal: Condition::ServiceUnavailable,
        }
    }

    pub const fn set(
        to: To,
        namespace: &'static str,
        name: &'static str,
        handler: Handler,
    ) -> IqRoute {
        IqRoute {
            to,
            kind: IqKind::Set,
            namespace,
            name,
            handler,
            unrestricted: false,
            refusal: Condition::ServiceUnavailable,
        }
    }
}

/// One feature: its specifications, what it adds to service discovery, the requests it answers.
pub struct Feature {
    /// Name for logs and messages to operators.
    pub name: &'static str,
    pub specs: &'static [Spec],
    /// By the operator's settings: off, nothing of it is shown or answered.
    pub is_on: fn(&Settings) -> bool,
    /// Categories and types of what it makes of an address (XEP-0030 §3.1).
    pub identities: &'static [(To, &'static str, &'static str)],
    /// Features of XEP-0030.
    pub disco: &'static [(To, &'static str)],
    /// What it adds to the items of an address (XEP-0030 §4).
    pub items: &'static [(To, Items)],
    /// What it shows at nodes of an address (XEP-0030 §3.2).
    pub nodes: &'static [(To, NodeInfo)],
    pub iq: &'static [IqRoute],
}

impl Feature {
    pub const fn new(name: &'static str) -> Feature {
        Feature {
            name,
            specs: &[],
            is_on: |_| true,
            identities: &[],
            disco: &[],
            items: &[],
            nodes: &[],
            iq: &[],
        }
    }
}

/// Goes on with what the server asked, now that it is answered.
pub fn answered(cx: &mut Cx<'_>, question: Question, iq: &Iq) -> Result<(), StoreError> {
    match question.then {
        Then::Capabilities(asked) => {
            for session in capabilities::answered(cx, *asked, iq)? {
                last::newly_wanted(cx, session, None)?;
                mix_pam::capabilities_learned(cx, session);
            }
        }
        Then::Channel(asked) => mix_pam::answered(cx, &asked, iq)?,
        Then::Privileged(asked) => privilege::answered(cx, &asked, iq),
        Then::Subscription(asked) => pep::pam::answered(cx, &asked, iq)?,
        // A channel's.
        Then::Relayed(_) => {}
    }
    Ok(())
}

/// Those that are on.
fn features_on(settings: &Settings) -> impl Iterator<Item = &'static Feature> {
    FEATURES
        .iter()
        .copied()
        .filter(|feature| (feature.is_on)(settings))
}

/// The row that answers a request.
pub fn route(
    settings: &Settings,
    to: To,
    kind: IqKind,
    payload: ElementRef<'_>,
) -> Option<&'static IqRoute> {
    let is_it = |row: &&IqRoute, to| {
        row.to == to
            && row.kind == kind
            && row.name == payload.name()
            && row.namespace == payload.namespace()
    };
    let find = |to| {
        // Whether the feature is on is asked of the one that has the row.
        FEATURES.iter().find_map(|feature| {
            let row = feature.iq.iter().find(|row| is_it(row, to))?;
            (feature.is_on)(settings).then_some(row)
        })
    };
    match to {
        To::OwnAccount => find(To::OwnAccount).or_else(|| find(To::Account)),
        to => find(to),
    }
}

/// Features that disco shows for an address, sorted, each once.
pub fn disco_features(settings: &Settings, to: To) -> Vec<&'static str> {
    let rows = features_on(settings).flat_map(|feature| feature.disco);
    let shown = |row: &To| *row == to || (to == To::OwnAccount && *row == To::Account);
    let mut features: Vec<_> = rows
        .filter(|(row, _)| shown(row))
        .map(|(_, feature)| *feature)
        .collect();
    features.sort_unstable();
    features.dedup();
    features
}

/// True if the sender may see the presence of the account addressed.
fn sees_presence(cx: &Cx<'_>, request: &Request<'_>) -> Result<bool, StoreError> {
    let owner = (request.account_jid(), request.account_id());
    may_see_presence(cx, request.from, owner)
}

/// True if `viewer` belongs to the account, or is subscribed to its presence.
fn may_see_presence(
    cx: &Cx<'_>,
    viewer: &Jid,
    (jid, account): (&BareJid, AccountId),
) -> Result<bool, StoreError> {
    if viewer.bare_str() == jid.as_str() {
        return Ok(true);
    }
    let contact = cx.tx.contact(account, &viewer.to_bare())?;
    Ok(contact.is_some_and(|contact| contact.subscription.is_from()))
}
