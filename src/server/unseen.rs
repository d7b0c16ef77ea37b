//! XEP-0160 on the archive: what an absent account has not been given, once, in order, in pages as the connection drains.
use crate::state::{Cx, Output, SessionId, Urgency};
use crate::store::StoreError;
use crate::xml::Escaped;
use crate::xmpp::{BareJid, ns};

/// Messages on one page, and its bytes at most (a page ends behind the message that passes them).
const PAGE_MESSAGES_MAX: usize = 100;
const PAGE_BYTES_MAX: usize = 256 << 10;

/// A session became able to take messages: begin with what waits.
pub fn begin(cx: &mut Cx<'_>, session: SessionId) -> Result<(), StoreError> {
    let Some(account) = cx
        .state
        .sessions
        .get(session)
        .map(|session| session.jid.to_bare())
    else {
        return Ok(());
    };
    match cx.state.sessions.online_mut(&account) {
        Some(online) if !online.catching_up => online.catching_up = true,
        _ => return Ok(()),
    }
    next_page(cx, session)
}

/// A session was resumed: pages go on where they stopped.
pub fn go_on(cx: &mut Cx<'_>, session: SessionId) -> Result<(), StoreError> {
    match cx.state.sessions.get(session) {
        Some(known) if known.takes_messages() => next_page(cx, session),
        _ => Ok(()),
    }
}

/// A session ended while pages were being delivered: another one goes on, or nobody.
pub fn hand_over(cx: &mut Cx<'_>, account: &BareJid) -> Result<(), StoreError> {
    if !cx
        .state
        .sessions
        .online(account)
        .is_some_and(|online| online.catching_up)
    {
        return Ok(());
    }
    let taker = cx
        .state
        .sessions
        .of(account)
        .find(|session| session.takes_messages())
        .map(|session| session.id);
    if let Some(taker) = taker {
        return next_page(cx, taker);
    }
    if let Some(online) = cx.state.sessions.online_mut(account) {
        online.catching_up = false;
    }
    Ok(())
}

/// Gives one page to all sessions that take messages, and asks to hear when it is through if there is more.
pub fn next_page(cx: &mut Cx<'_>, session: SessionId) -> Result<(), StoreError> {
    let Some((account, jid)) = cx
        .state
        .sessions
        .get(session)
        .map(|s| (s.account, s.jid.to_bare()))
    else {
        return Ok(());
    };
    if !cx
        .state
        .sessions
        .online(&jid)
        .is_some_and(|online| online.catching_up)
    {
        return Ok(());
    }
    let takers = cx
        .state
        .sessions
        .ids_where(&jid, |session| session.takes_messages());
    let page = cx.tx.unseen(account, None, PAGE_MESSAGES_MAX)?;
    let mut bytes = 0;
    let fits = page.iter().take_while(|stored| {
        let fits = bytes < PAGE_BYTES_MAX;
        bytes += stored.xml.len();
        fits
    });
    let fits = fits.count();
    if takers.is_empty() || fits == 0 {
        if let Some(online) = cx.state.sessions.online_mut(&jid) {
            online.catching_up = false;
        }
        return Ok(());
    }
    for stored in page.iter().take(fits) {
        let start = cx.out.bytes.len();
        write_delayed(cx, &jid, stored);
        for taker in &takers {
            let stanza = start..cx.out.bytes.len();
            cx.deliver_as(*taker, stanza, Urgency::Now, Some(stored.id));
        }
    }
    if let Some(last) = page.get(fits - 1) {
        cx.tx.mark_seen(account, last.id)?;
    }
    let more = page.len() == PAGE_MESSAGES_MAX || fits < page.len();
    match (
        more,
        cx.state
            .sessions
            .get(session)
            .and_then(|session| session.connection),
    ) {
        (true, Some(connection)) => cx.out.push(Output::ReportDrained { connection }),
        // It goes on when the session is resumed, or with another one.
        (true, None) => {}
        (false, _) => {
            if let Some(online) = cx.state.sessions.online_mut(&jid) {
                online.catching_up = false;
            }
        }
    }
    Ok(())
}

/// The stored stanza with its delay (XEP-0203) and the account's stanza-id.
fn write_delayed(cx: &mut Cx<'_>, account: &BareJid, stored: &crate::store::Stored) {
    let xml = stored.xml.as_str();
    let end = xml
        .rfind("</message>")
        .unwrap_or(xml.trim_end_matches("/>").len());
    let head = xml.get(..end).unwrap_or(xml);
    let out = &mut cx.out.bytes;
    out.extend_from_slice(head.as_bytes());
    if !xml.ends_with("</message>") {
        out.push(b'>');
    }
    let by = Escaped(account.as_str());
    let (domain, id) = (
        Escaped(cx.state.domain.as_str()),
        cx.state.archive_ids.text(stored.id),
    );
    let added = format!(
        "<stanza-id xmlns='{}' by='{by}' id='{id}'/><delay xmlns='{}' from='{domain}' stamp='{}'/></message>",
        ns::STANZA_ID,
        ns::DELAY,
        stored.at
    );
    out.extend_from_slice(added.as_bytes());
}
