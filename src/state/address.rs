//! What an address is here, who is behind it, and where a stanza came from.

pub mod components;
pub mod domains;
pub mod origin;
pub mod questions;
pub mod service;
pub mod under_way;

use crate::store::{AccountId, StoreError};
use crate::xmpp::{BareJid, Jid};

use super::{ComponentId, Cx, Domain, Service, SessionId};

/// What a JID stands for; nobody else compares domains.
#[derive(Clone, Debug, PartialEq)]
pub enum Address {
    /// The domain served, or a resource of it, of which there is none.
    Server,
    /// The bare JID of an account.
    Account(Local),
    /// A full JID of an account; `None`: no session has this resource.
    Session(Local, Option<SessionId>),
    /// A service's domain, or any address below it.
    Service(&'static Service),
    /// The address of a channel, or of somebody in it; whether it is there nobody asked yet.
    Channel(BareJid),
    /// Of an external component.
    Component(ComponentId),
    /// A local address that no account has.
    Nobody,
    /// Of another server.
    Remote,
}

/// An account, and its address.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    pub jid: BareJid,
    pub account: AccountId,
}

impl Address {
    pub fn resolve(cx: &Cx<'_>, jid: &Jid) -> Result<Address, StoreError> {
        match cx.state.domains.of(jid) {
            Domain::Served => {}
            Domain::Service(service) if service.is_channels() && jid.local().is_some() => {
                return Ok(Address::Channel(jid.to_bare()));
            }
            Domain::Service(service) => return Ok(Address::Service(service)),
            Domain::Component(component) => return Ok(Address::Component(component)),
            Domain::Remote => return Ok(Address::Remote),
        }
        if jid.local().is_none() {
            return Ok(Address::Server);
        }
        let bare = jid.to_bare();
        let Some(account) = cx.account(&bare)? else {
            return Ok(Address::Nobody);
        };
        let local = Local { jid: bare, account };
        if jid.is_bare() {
            return Ok(Address::Account(local));
        }
        let session = cx.state.sessions.find(jid).map(|session| session.id);
        Ok(Address::Session(local, session))
    }
}
