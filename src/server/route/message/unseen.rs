//! XEP-0160 on the archive: what nobody has and nobody is being given waits for the account, and is given once, in order,
//! in pages as the connection drains and the client acknowledges (XEP-0198).
use std::collections::HashSet;
use std::ops::Range;

use crate::state::{
    Cx, Form, Keep, Output, Session, SessionId, Shared, Urgency, Written, received_id,
};
use crate::store::{AccountId, ArchiveId, StoreError, Stored, Waiting};
use crate::xmpp::{BareJid, Message};

use super::copies;
use crate::server::route::again::{self, Added};
use crate::server::route::turn;
use crate::server::session::handing_over;

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

/// A session went away, or lost its connection, or was sent something while it has none: what nobody else was given is given
/// to whoever is there.
///
/// XEP-0198 leaves open what becomes of it before the session's time is over. Here an account's messages do not wait for one
/// of its devices while another one is there:
/// - Who gets them: the sessions that have a connection and take messages (RFC 6121 §8.5.2.1: not those of negative
///   priority), each once, not those that were given it already, itself or as a copy, and not those that read it in the
///   archive (XEP-0386). Whatever they acknowledge waits no more.
/// - The session that is away keeps it: if it is resumed (§5) it is sent all that it did not acknowledge.
/// - If nobody is there, it waits for whoever comes first.
///
/// Messages that are in no archive: `handing_over`.
pub fn hand_over(cx: &mut Cx<'_>, account: &BareJid) -> Result<(), StoreError> {
    begin_for(cx, account)
}

fn is_there(session: &Session) -> bool {
    session.takes_messages() && session.connection.is_some()
}

fn begin_for(cx: &mut Cx<'_>, account: &BareJid) -> Result<(), StoreError> {
    let there = cx.state.sessions.of(account).filter(|s| is_there(s));
    let read = there.map(|session| session.archive_read).min();
    if let Some(read) = read.filter(|read| read.0 > 0) {
        dismiss_up_to(cx, account, read)?;
    }
    // From the start: what a session had and lost may be older than what was given since.
    set_catching_up(cx, account, ArchiveId(0));
    next_page(cx, account)?;
    handing_over::hand_over_unarchived(cx, account)
}

/// Nothing more waits.
fn caught_up(cx: &mut Cx<'_>, account: &BareJid) -> Result<(), StoreError> {
    let online = cx.state.sessions.online_mut(account);
    let caught_up = online.and_then(|online| online.catching_up.take());
    if let Some(caught_up) = caught_up.filter(|caught_up| !caught_up.behind.is_empty()) {
        turn::deliver_behind(cx, caught_up.behind);
        handing_over::hand_over_unarchived(cx, account)?;
    }
    Ok(())
}

/// XEP-0386 §3.2: what waits is in the archive, where a client that is there now looks itself. What sessions are being given
/// they still are, and so is whoever is in the middle of it.
pub fn dismiss(cx: &mut Cx<'_>, jid: &BareJid) -> Result<(), StoreError> {
    match cx.state.sessions.online(jid) {
        Some(online) if online.catching_up.is_none() => dismiss_up_to(cx, jid, ArchiveId(u64::MAX)),
        _ => Ok(()),
    }
}

fn dismiss_up_to(cx: &mut Cx<'_>, jid: &BareJid, up_to: ArchiveId) -> Result<(), StoreError> {
    let Some(account) = cx.state.sessions.online(jid).map(|online| online.account) else {
        return Ok(());
    };
    let mut after = ArchiveId(0);
    while cx.tx.has_unseen(account)? {
        let given = given(cx, jid)?;
        // Nor what is in no archive.
        let is_given = |waiting: Waiting| {
            !waiting.is_archived || given.iter().any(|given| given.ids.contains(&waiting.id))
        };
        let mut ids = cx
            .tx
            .unseen_ids(account, Some(after), DISMISSED_AT_ONCE, &is_given)?;
        ids.retain(|id| *id <= up_to);
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
    let (account, Some(catching_up)) = (online.account, &online.catching_up) else {
        return Ok(());
    };
    let up_to = catching_up.up_to;
    let takers = cx
        .state
        .sessions
        .ids_where(jid, |session| session.takes_messages());
    if takers.is_empty() || !cx.tx.has_unseen(account)? {
        return caught_up(cx, jid);
    }
    let given = given(cx, jid)?;
    let page = waiting(cx, jid, (account, up_to), &given)?;
    if page.is_empty() {
        return caught_up(cx, jid);
    }
    // It goes on when one of them comes back, drains or acknowledges.
    let Some(driver) = cx.state.sessions.of(jid).find(|s| has_room(s)) else {
        return Ok(());
    };
    let connection = driver.connection;
    let fits = page_length(&page);
    let more = page.len() == PAGE_MESSAGES_MAX || fits < page.len();
    let page = page.get(..fits).unwrap_or_default();
    let sure = give(cx, jid, page, (&takers, &given))?;
    cx.tx.mark_seen(account, &sure)?;
    match connection {
        Some(connection) if more => {
            let last = page.last().map_or(up_to, |last| last.id);
            set_catching_up(cx, jid, last);
            cx.out.push(Output::ReportDrained { connection });
        }
        _ => caught_up(cx, jid)?,
    }
    Ok(())
}

fn set_catching_up(cx: &mut Cx<'_>, account: &BareJid, up_to: ArchiveId) {
    if let Some(online) = cx.state.sessions.online_mut(account) {
        online.catching_up.get_or_insert_default().up_to = up_to;
    }
}

/// It takes messages, is there, and is not far behind.
fn has_room(session: &Session) -> bool {
    let unacknowledged = session.management.as_ref().map(|m| m.unacknowledged());
    session.takes_messages()
        && session.connection.is_some()
        && unacknowledged.is_none_or(|count| count < UNACKNOWLEDGED_MAX)
}

/// A page of what nobody has and nobody who is there is being given, or has read; if nobody is there, of what nobody is
/// being given.
fn waiting(
    cx: &Cx<'_>,
    jid: &BareJid,
    (account, after): (AccountId, ArchiveId),
    given: &[Given],
) -> Result<Vec<Stored>, StoreError> {
    let there = cx.state.sessions.of(jid).filter(|s| is_there(s));
    let read = there.map(|session| session.archive_read).min();
    let is_given = |waiting: Waiting| {
        let id = waiting.id;
        let is_given =
            |given: &Given| (given.is_there || read.is_none()) && given.ids.contains(&id);
        let is_read = waiting.is_archived && read.is_some_and(|read| id <= read);
        is_read || given.iter().any(is_given)
    };
    cx.tx
        .unseen(account, Some(after), PAGE_MESSAGES_MAX, &is_given)
}

/// Messages that a session is being given.
struct Given {
    session: SessionId,
    /// It has a connection; else nobody knows whether it comes back.
    is_there: bool,
    ids: HashSet<ArchiveId>,
}

impl Given {
    fn is_of(given: &[Given], session: SessionId, id: ArchiveId) -> bool {
        let is_it = |given: &Given| given.session == session && given.ids.contains(&id);
        given.iter().any(is_it)
    }
}

/// Of each session of an account.
fn given(cx: &Cx<'_>, jid: &BareJid) -> Result<Vec<Given>, StoreError> {
    let sessions = cx.state.sessions.of(jid);
    let given = sessions.map(|session| {
        Ok(Given {
            session: session.id,
            is_there: session.connection.is_some(),
            ids: given_to(cx, session)?.into_iter().collect(),
        })
    });
    given.collect()
}

/// Messages that a session is being given: not acknowledged, or held for an inactive client.
fn given_to(cx: &Cx<'_>, session: &Session) -> Result<Vec<ArchiveId>, StoreError> {
    let mut given = Vec::new();
    let Some(management) = &session.management else {
        return Ok(given);
    };
    given.extend(management.received_ids());
    let online = cx.state.sessions.online(&session.jid.to_bare());
    if let Some(catching_up) = online.and_then(|online| online.catching_up.as_ref()) {
        let behind = catching_up.behind.iter();
        let behind = behind.filter(|behind| behind.session == session.id);
        given.extend(behind.filter_map(|behind| behind.keep.received()));
    }
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

/// The stored stanzas with their delay (XEP-0203) and the account's stanza-id. Returns what somebody has for sure.
fn give(
    cx: &mut Cx<'_>,
    account: &BareJid,
    page: &[Stored],
    (takers, given): (&[SessionId], &[Given]),
) -> Result<Vec<ArchiveId>, StoreError> {
    let mut sure = Vec::new();
    for stored in page {
        let is_archived = !cx.tx.is_passing(stored.id)?;
        let lacks = |taker: &SessionId| {
            let session = cx.state.sessions.get(*taker);
            session.is_some_and(|session| !is_archived || session.archive_read < stored.id)
                && !Given::is_of(given, *taker, stored.id)
        };
        let takers: Vec<SessionId> = takers.iter().copied().filter(lacks).collect();
        let exactly = addressed(cx, stored, &takers);
        let copied = match &exactly {
            Some((session, message)) => {
                let others: Vec<SessionId> =
                    takers.iter().copied().filter(|id| id != session).collect();
                let whose = (account, is_archived);
                copies::received_late(cx, message, whose, stored, &others)
            }
            None => Vec::new(),
        };
        let direct = match exactly {
            Some((session, _)) => vec![session],
            None => takers,
        };
        let stanza = Shared::at(write(cx, (account, is_archived), stored));
        let stanza = Written::for_all(&stanza, direct.len());
        for taker in &direct {
            let keep = Keep::Archived(stored.id, Form::Direct);
            cx.deliver_as(*taker, &stanza, Urgency::Now, keep);
        }
        let acknowledges = |id: &SessionId| {
            let taker = cx.state.sessions.get(*id);
            taker.is_none_or(|taker| taker.acknowledges())
        };
        if !direct.iter().chain(&copied).all(acknowledges) {
            sure.push(stored.id);
        }
    }
    Ok(sure)
}

/// RFC 6121 §8.5.3.1: what one of them who is there was addressed by its full JID with is its own; the others have copies.
fn addressed(cx: &Cx<'_>, stored: &Stored, takers: &[SessionId]) -> Option<(SessionId, Message)> {
    let message = again::to_resource(&stored.xml)?;
    let to = message.envelope.to.as_ref()?;
    let session = cx.state.sessions.find(to).filter(|s| is_there(s))?.id;
    takers.contains(&session).then_some((session, message))
}

fn write(
    cx: &mut Cx<'_>,
    (account, is_archived): (&BareJid, bool),
    stored: &Stored,
) -> Range<usize> {
    let mut bytes = std::mem::take(&mut cx.out.bytes);
    let start = bytes.len();
    let added = Added {
        stanza_id: is_archived.then_some((account, stored.id)),
        delay: Some(stored.at),
    };
    again::write_direct(&mut bytes, cx, &stored.xml, added);
    cx.out.bytes = bytes;
    start..cx.out.bytes.len()
}
