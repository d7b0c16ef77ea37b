//! XEP-0160 on the archive: what nobody has and nobody is being given waits for the account, and is given once, in order,
//! in pages as the connection drains and the client acknowledges (XEP-0198).
use std::collections::HashSet;

use crate::state::{Cx, Form, Keep, Output, Session, SessionId, Urgency, received_id};
use crate::store::{AccountId, ArchiveId, StoreError, Stored};
use crate::xmpp::BareJid;

use super::again::{self, Added};

/// Messages on one page, and its bytes at most (a page ends behind the message that passes them).
const PAGE_MESSAGES_MAX: usize = 100;
const PAGE_BYTES_MAX: usize = 256 << 10;
/// Ids that are looked up at a time where nothing is sent.
const DISMISSED_AT_ONCE: usize = 10_000;
/// Stanzas that a client may have unacknowledged and still be given the next page.
const UNACKNOWLEDGED_MAX: u64 = 200;

/// A session became able to take messages, or came back: begin with what waits.
pub fn begin(cx: &mut Cx<'_>, session: SessionId) -> Result<(), StoreError> {
    match cx.state.sessions.get(session) {
        Some(known) if known.takes_messages() => {
            let account = known.jid.to_bare();
            begin_for(cx, &account)
        }
        _ => Ok(()),
    }
}

/// A session went away, or lost its connection, while there may be something for others.
pub fn hand_over(cx: &mut Cx<'_>, account: &BareJid) -> Result<(), StoreError> {
    begin_for(cx, account)
}

fn begin_for(cx: &mut Cx<'_>, account: &BareJid) -> Result<(), StoreError> {
    if let Some(online) = cx.state.sessions.online_mut(account) {
        // From the start: what a session had and lost may be older than what was given since.
        online.catching_up = Some(ArchiveId(0));
        next_page(cx, account)?;
    }
    Ok(())
}

/// XEP-0386 §3.2: what waits is in the archive, where a client that is there now looks itself. What sessions are being given
/// they still are, and so is whoever is in the middle of it.
pub fn dismiss(cx: &mut Cx<'_>, jid: &BareJid) -> Result<(), StoreError> {
    let Some(online) = cx.state.sessions.online(jid) else {
        return Ok(());
    };
    let account = online.account;
    if online.catching_up.is_some() {
        return Ok(());
    }
    let mut after = ArchiveId(0);
    while cx.tx.has_unseen(account)? {
        let given = given_to_any(cx, jid)?;
        let is_given = |id: ArchiveId| given.contains(&id);
        let ids = cx
            .tx
            .unseen_ids(account, Some(after), DISMISSED_AT_ONCE, &is_given)?;
        let Some(last) = ids.last() else { break };
        after = *last;
        cx.tx.mark_seen(account, &ids)?;
    }
    Ok(())
}

/// A connection has room again, or its client acknowledged something.
pub fn go_on(cx: &mut Cx<'_>, session: SessionId) -> Result<(), StoreError> {
    let Some(account) = cx.state.sessions.get(session).map(|s| s.jid.to_bare()) else {
        return Ok(());
    };
    next_page(cx, &account)
}

/// Gives one page to all sessions that take messages, and asks to hear when it is through if there is more.
fn next_page(cx: &mut Cx<'_>, jid: &BareJid) -> Result<(), StoreError> {
    let Some(online) = cx.state.sessions.online(jid) else {
        return Ok(());
    };
    let (account, Some(given)) = (online.account, online.catching_up) else {
        return Ok(());
    };
    let takers = cx
        .state
        .sessions
        .ids_where(jid, |session| session.takes_messages());
    let page = match !takers.is_empty() && cx.tx.has_unseen(account)? {
        true => waiting(cx, jid, account, given)?,
        false => Vec::new(),
    };
    if page.is_empty() {
        set_catching_up(cx, jid, None);
        return Ok(());
    }
    // It goes on when one of them comes back, drains or acknowledges.
    let Some(driver) = cx.state.sessions.of(jid).find(|s| has_room(s)) else {
        return Ok(());
    };
    let connection = driver.connection;
    let fits = page_length(&page);
    let more = page.len() == PAGE_MESSAGES_MAX || fits < page.len();
    let page = page.get(..fits).unwrap_or_default();
    give(cx, jid, page, &takers);
    let sure = |id: &SessionId| {
        let taker = cx.state.sessions.get(*id);
        taker.is_some_and(|taker| !taker.acknowledges())
    };
    if takers.iter().any(sure) {
        let ids: Vec<ArchiveId> = page.iter().map(|stored| stored.id).collect();
        cx.tx.mark_seen(account, &ids)?;
    }
    match connection {
        Some(connection) if more => {
            set_catching_up(cx, jid, page.last().map(|last| last.id));
            cx.out.push(Output::ReportDrained { connection });
        }
        _ => set_catching_up(cx, jid, None),
    }
    Ok(())
}

fn set_catching_up(cx: &mut Cx<'_>, account: &BareJid, up_to: Option<ArchiveId>) {
    if let Some(online) = cx.state.sessions.online_mut(account) {
        online.catching_up = up_to;
    }
}

/// It takes messages, is there, and is not far behind.
fn has_room(session: &Session) -> bool {
    let unacknowledged = session.management.as_ref().map(|m| m.unacknowledged());
    session.takes_messages()
        && session.connection.is_some()
        && unacknowledged.is_none_or(|count| count < UNACKNOWLEDGED_MAX)
}

/// A page of what nobody has and no session is being given.
fn waiting(
    cx: &Cx<'_>,
    jid: &BareJid,
    account: AccountId,
    after: ArchiveId,
) -> Result<Vec<Stored>, StoreError> {
    let given = given_to_any(cx, jid)?;
    let is_given = |id: ArchiveId| given.contains(&id);
    cx.tx
        .unseen(account, Some(after), PAGE_MESSAGES_MAX, &is_given)
}

/// Messages that some session of an account is being given.
fn given_to_any(cx: &Cx<'_>, jid: &BareJid) -> Result<HashSet<ArchiveId>, StoreError> {
    let mut given = HashSet::new();
    for session in cx.state.sessions.of(jid) {
        given.extend(given_to(cx, session)?);
    }
    Ok(given)
}

/// Messages that a session is being given: not acknowledged, or held for an inactive client.
fn given_to(cx: &Cx<'_>, session: &Session) -> Result<Vec<ArchiveId>, StoreError> {
    let mut given = Vec::new();
    let Some(management) = &session.management else {
        return Ok(given);
    };
    given.extend(management.received_ids());
    if let Some(held) = &session.held {
        given.extend(held.stanzas().filter_map(|held| held.keep.received()));
    }
    let Some(stored) = session.stored else {
        return Ok(given);
    };
    cx.tx
        .visit_queue(stored.id, management.stored(), &mut |row| {
            given.extend(received_id(&row));
            Ok(true)
        })?;
    if stored.is_asleep
        && session.held.is_some()
        && let Some(row) = cx.tx.suspended(stored.id)?
    {
        let held = row.held.iter().filter_map(|held| held.archived);
        given.extend(
            held.filter_map(|(id, form)| Keep::Archived(id, Form::of_code(form)).received()),
        );
    }
    Ok(given)
}

fn page_length(page: &[Stored]) -> usize {
    let mut bytes = 0;
    let fits = page.iter().take_while(|stored| {
        let fits = bytes < PAGE_BYTES_MAX;
        bytes += stored.xml.len();
        fits
    });
    fits.count()
}

/// The stored stanzas with their delay (XEP-0203) and the account's stanza-id.
fn give(cx: &mut Cx<'_>, account: &BareJid, page: &[Stored], takers: &[SessionId]) {
    for stored in page {
        let mut bytes = std::mem::take(&mut cx.out.bytes);
        let start = bytes.len();
        let added = Added {
            stanza_id: Some((account, stored.id)),
            delay: Some(stored.at),
        };
        again::write_direct(&mut bytes, cx, &stored.xml, added);
        cx.out.bytes = bytes;
        let stanza = start..cx.out.bytes.len();
        for taker in takers {
            let keep = Keep::Archived(stored.id, Form::Direct);
            cx.deliver_as(*taker, stanza.clone(), Urgency::Now, keep);
        }
    }
}
