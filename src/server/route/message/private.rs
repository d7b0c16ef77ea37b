//! What an account says to a channel, or in private to one person in it (XEP-0045 §7.5): that is in its own archive (XEP-0313
//! §6.1.1), and its other sessions have copies (XEP-0280 §6.1).
use crate::channel;
use crate::feature::Storable;
use crate::server::outlet;
use crate::state::{Cx, Fault, Origin};
use crate::xml::parse_stored;
use crate::xmpp::{BareJid, Jid, Message, MessageKind, ns};

use super::copies;
use super::keeping::archive;

/// What is said to all is in the archive of the channel.
pub fn to_channel(
    cx: &mut Cx<'_>,
    (origin, channel): (Origin, &BareJid),
    (from, to): (&Jid, &Jid),
    message: &Message,
    storable: Storable,
) -> Result<(), Fault> {
    channel::message(cx, message, channel)?;
    let is_of_participant = channel::is_of_participant(channel);
    let is_private = to.resource().is_some() || is_of_participant;
    if !is_private || message.kind == MessageKind::Error {
        return Ok(());
    }
    let marked = match is_of_participant {
        true => None,
        false => marked_private(message),
    };
    let message = marked.as_ref().unwrap_or(message);
    let archived = archive(cx, (from, to), None, message, storable)?;
    let session = origin.session();
    copies::sent(cx, message, &from.to_bare(), &archived, session.as_slice());
    Ok(())
}

/// XEP-0280 §6.1: so that an account's other clients know an occupant of a room from a person. `None`: it is marked already.
fn marked_private(message: &Message) -> Option<Message> {
    if message.child("x", ns::MUC_USER).is_some() {
        return None;
    }
    let stored = outlet::stored_xml(message);
    let open = match stored.strip_suffix("</message>") {
        Some(open) => open.to_string(),
        None => format!("{}>", stored.strip_suffix("/>")?),
    };
    let marked = format!("{open}<x xmlns='{}'/></message>", ns::MUC_USER);
    Some(Message {
        element: parse_stored(&marked, ns::CLIENT).ok()?,
        ..message.clone()
    })
}
