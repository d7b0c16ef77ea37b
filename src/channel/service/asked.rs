//! A request to the service, and the form of the tables that say who answers it.
use crate::feature::Reply;
use crate::state::{Cx, Fault};
use crate::xml::ElementRef;
use crate::xmpp::{BareJid, IqKind};

/// A request to the service.
pub struct Asked<'a> {
    pub payload: ElementRef<'a>,
    /// The bare JID of whoever asks.
    pub who: BareJid,
}

pub type Handler = fn(&mut Cx<'_>, &Asked<'_>) -> Result<Reply, Fault>;
pub type Row = (IqKind, &'static str, &'static str, Handler);
