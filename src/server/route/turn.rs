//! RFC 6120 §10.1: what comes while an account is being given what waited for it (`unseen`) does not overtake that.
use crate::state::{Behind, CatchingUp, Cx, Keep, SessionId, Urgency, Written};
use crate::xmpp::BareJid;

/// Bytes of messages that wait for an account in memory, behind what waits in the archive: those that are in no archive, and
/// what comes behind them.
const BEHIND_BYTES_MAX: usize = 64 << 10;

/// RFC 6120 §10.1: what comes while the account is being given what waits is not to overtake it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing is in the way.
    Now,
    /// It waits in the archive, like what is before it.
    Waits,
    /// Something that is in no archive is before it: it comes behind that.
    Behind,
}

pub fn turn(cx: &Cx<'_>, account: &BareJid, may_wait: bool) -> Turn {
    let online = cx.state.sessions.online(account);
    let Some(catching_up) = online.and_then(|online| online.catching_up.as_ref()) else {
        return Turn::Now;
    };
    let has_room = behind_bytes(catching_up) < BEHIND_BYTES_MAX / 2;
    match may_wait && (catching_up.behind.is_empty() || !has_room) {
        true => Turn::Waits,
        false => Turn::Behind,
    }
}

fn behind_bytes(catching_up: &CatchingUp) -> usize {
    let behind = catching_up.behind.iter();
    behind.map(|behind| behind.stanza.len()).sum()
}

/// Delivers a message, or keeps it until its turn comes. There is room for a few; what is more is not lost, but overtakes.
pub fn deliver_in_turn(
    cx: &mut Cx<'_>,
    account: &BareJid,
    session: SessionId,
    stanza: &Written<'_>,
    (urgency, keep): (Urgency<'_>, Keep),
) {
    let takes = cx.state.sessions.get(session);
    let takes = takes.is_some_and(|session| session.takes_messages());
    if takes && turn(cx, account, false) == Turn::Behind {
        let bytes = stanza.byte_count();
        let online = cx.state.sessions.online_mut(account);
        let fits = |all: &&mut Box<CatchingUp>| behind_bytes(all) + bytes <= BEHIND_BYTES_MAX;
        let catching_up = online.and_then(|online| online.catching_up.as_mut());
        if let Some(catching_up) = catching_up.filter(fits) {
            catching_up.behind.push(Behind {
                session,
                stanza: cx.out.keep(stanza, &cx.state.shared_bytes),
                keep,
            });
            return;
        }
    }
    cx.deliver_as(session, stanza, urgency, keep);
}

/// A session ends or goes to sleep: what came for it meanwhile is in its queue then.
pub fn let_go(cx: &mut Cx<'_>, account: &BareJid, session: SessionId) {
    let online = cx.state.sessions.online_mut(account);
    let Some(catching_up) = online.and_then(|online| online.catching_up.as_mut()) else {
        return;
    };
    let is_its = |behind: &mut Behind| behind.session == session;
    let behind = catching_up.behind.extract_if(.., is_its).collect();
    deliver_behind(cx, behind);
}

pub fn deliver_behind(cx: &mut Cx<'_>, behind: Vec<Behind>) {
    for behind in behind {
        let (head, shared) = cx.out.write_kept(&behind.stanza);
        let stanza = Written::new(head, shared.as_ref());
        cx.deliver_as(behind.session, &stanza, Urgency::Now, behind.keep);
    }
}
