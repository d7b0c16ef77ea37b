//! XEP-0405 §2.2, §2.9.2: what a channel distributes, to the clients of one participant that know channels. Made for many
//! participants: what they all hear is written once (`state/written`), and nothing is read or looked up for who is away.
use std::io::Write;

use crate::state::{Cx, Keep, SessionId, Shared, Urgency};
use crate::store::ArchiveId;
use crate::xml::Escaped;
use crate::xmpp::{BareJid, Jid, ns};

/// A stanza of a channel, but for whom it is to.
pub struct Heard<'a> {
    pub from: &'a Jid,
    /// From `<` to the end of its attributes, without `to` and `>`.
    pub start: &'a [u8],
    /// From its children to its end.
    pub end: &'a Shared,
    /// Its id in the account's archive: it gets that as a stanza-id (XEP-0359).
    pub id: Option<ArchiveId>,
    pub urgency: Urgency<'a>,
    pub keep: Keep,
}

/// To all clients of an account that know channels; none: it is in the archive. Returns how many heard it.
pub fn deliver_from_channel(cx: &mut Cx<'_>, account: &BareJid, heard: &Heard<'_>) -> usize {
    let Some(online) = cx.state.sessions.online(account) else {
        return 0;
    };
    if online.blocked.matches(heard.from) {
        return 0;
    }
    let takers = cx
        .state
        .sessions
        .ids_where(account, |it| it.hears_channels());
    let stanza_id = heard.id.filter(|_| !takers.is_empty()).map(|id| {
        let (by, id) = (Escaped(account.as_str()), cx.state.archive_ids.text(id));
        format!("<stanza-id xmlns='{}' by='{by}' id='{id}'/>", ns::STANZA_ID)
    });
    let stanza_id = stanza_id.unwrap_or_default();
    for session in &takers {
        deliver(cx, *session, heard, &stanza_id);
    }
    takers.len()
}

/// §2.2: to the full JID of each.
fn deliver(cx: &mut Cx<'_>, session: SessionId, heard: &Heard<'_>, stanza_id: &str) {
    let Some(known) = cx.state.sessions.get(session) else {
        return;
    };
    let to = Escaped(known.jid.as_str());
    let stanza = cx.out.with_head(heard.end, &mut |bytes| {
        bytes.extend_from_slice(heard.start);
        write!(bytes, " to='{to}'>{stanza_id}").expect("memory takes all that is written");
    });
    cx.deliver_as(session, &stanza, heard.urgency, heard.keep);
}
