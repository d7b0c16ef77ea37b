//! A request to a channel, and the form of the tables that say who answers it.
use crate::feature::Reply;
use crate::state::{Cx, Fault, Origin};
use crate::xml::ElementRef;
use crate::xmpp::{BareJid, Iq, IqKind, Jid};

use super::Channel;

/// A request to a channel.
pub struct Asked<'a> {
    pub iq: &'a Iq,
    /// The one child of the iq.
    pub payload: ElementRef<'a>,
    pub from: &'a Jid,
    /// The same without a resource.
    pub who: BareJid,
    pub origin: Origin,
    pub channel: Channel,
}

pub type Handler = fn(&mut Cx<'_>, &mut Asked<'_>) -> Result<Reply, Fault>;

/// Kind, namespace and name of the child, who answers it.
pub type Row = (IqKind, &'static str, &'static str, Handler);
