//! Carbon copies on the way of a message (XEP-0280 §7, §8): one forwarded copy for each session that asked for copies and
//! did not get the message itself.
use crate::feature;
use crate::state::{Cx, SessionId};
use crate::store::ArchiveId;
use crate::xml::Escaped;
use crate::xmpp::{BareJid, Message, ns};

use super::message::{Archived, kind_text, urgency, write_message};

/// §7: what the addressee's other sessions get. `delivered` got the message itself.
pub fn received(
    cx: &mut Cx<'_>,
    message: &Message,
    account: &BareJid,
    archived: Archived,
    delivered: &[SessionId],
) {
    if feature::carbons_eligible(message, true) {
        copy(
            cx,
            message,
            account,
            "received",
            archived.received,
            delivered,
        );
    }
}

/// §8: what the sender's other sessions get, whether or not the sending one asked for copies.
pub fn sent(
    cx: &mut Cx<'_>,
    message: &Message,
    account: &BareJid,
    archived: Archived,
    except: &[SessionId],
) {
    if feature::carbons_eligible(message, false) {
        copy(cx, message, account, "sent", archived.sent, except);
    }
}

fn copy(
    cx: &mut Cx<'_>,
    message: &Message,
    account: &BareJid,
    direction: &str,
    archived: Option<ArchiveId>,
    except: &[SessionId],
) {
    let takers = cx
        .state
        .sessions
        .ids_where(account, |s| s.carbons && !except.contains(&s.id));
    if takers.is_empty() {
        return;
    }
    let mut inner = Vec::with_capacity(message.element.source().len() + 160);
    write_message(
        &mut inner,
        cx,
        message,
        true,
        archived.map(|id| (account, id)),
    );
    for taker in takers {
        let Some(to) = cx
            .state
            .sessions
            .get(taker)
            .map(|session| session.jid.clone())
        else {
            continue;
        };
        let kind = match kind_text(message) {
            "" => String::new(),
            kind => format!(" type='{kind}'"),
        };
        let head = format!(
            "<message from='{}' to='{}'{kind}><{direction} xmlns='{}'><forwarded xmlns='{}'>",
            Escaped(account.as_str()),
            Escaped(to.as_str()),
            feature::CARBONS_NS,
            ns::FORWARD
        );
        let start = cx.out.bytes.len();
        cx.out.bytes.extend_from_slice(head.as_bytes());
        cx.out.bytes.extend_from_slice(&inner);
        cx.out
            .bytes
            .extend_from_slice(format!("</forwarded></{direction}></message>").as_bytes());
        let stanza = start..cx.out.bytes.len();
        let sender = message
            .envelope
            .from
            .as_ref()
            .map_or("", |from| from.as_str());
        cx.deliver_as(taker, stanza, urgency(message, sender), archived);
    }
}
