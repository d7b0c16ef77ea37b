//! XEP-0494: clients are written down as they come.
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::state::{Cx, SessionId};
use crate::store::{Client, StoreError};
use crate::stream::UserAgent;
use crate::xmpp::Timestamp;

use super::token;

/// A client that is seen again is written down no more often than this.
pub const NOTE_SEEN_MS: i64 = 3_600_000;

/// XEP-0494: what is known of the session's client, written down when it is new, changed, or long not seen. A client
/// without a name of its own (XEP-0388 §2.3) is written down as it leaves, so that its login writes nothing.
pub fn note_client(
    cx: &mut Cx<'_>,
    session: SessionId,
    agent: &UserAgent,
    by_password: bool,
) -> Result<(), StoreError> {
    let Some(known) = cx.state.sessions.get(session) else {
        return Ok(());
    };
    let (account, client) = (known.account, known.client.clone());
    if client.grant.is_some() {
        return token::note_use(cx, session);
    }
    let by_resource = || {
        let tokens = &cx.state.tokens;
        tokens.key_of_resource(account, known.jid.resource())
    };
    let key = client.key.or_else(|| client.by_resource.then(by_resource));
    let Some(key) = key.filter(|_| !cx.state.disk_low) else {
        return Ok(());
    };
    let now = cx.tx.time(cx.now.wall)?;
    let told = digest(agent, by_password || client.by_resource);
    let is_noted =
        |(at, noted): (Timestamp, u64)| noted == told && now.0.saturating_sub(at.0) < NOTE_SEEN_MS;
    if client.noted.is_some_and(is_noted) {
        return Ok(());
    }
    if let Some(known) = cx.state.sessions.get_mut(session) {
        known.client.noted = Some((now, told));
    }
    let stored = cx.tx.client(account, &key)?;
    let mut noted = stored.clone().unwrap_or(Client {
        first_seen: now,
        last_seen: now,
        knows_password: false,
        software: String::new(),
        uri: String::new(),
        device: String::new(),
    });
    noted.knows_password |= by_password || client.by_resource;
    let is_named = cx.state.settings.client_names;
    for (noted, told) in [
        (&mut noted.software, &agent.software),
        (&mut noted.uri, &agent.uri),
        (&mut noted.device, &agent.device),
    ] {
        if !is_named {
            noted.clear();
        } else if !told.is_empty() && **noted != **told {
            *noted = told.to_string();
        }
    }
    if now.0.saturating_sub(noted.last_seen.0) >= NOTE_SEEN_MS {
        noted.last_seen = now;
    }
    match stored.as_ref() == Some(&noted) {
        true => Ok(()),
        false => cx.tx.set_client(account, &key, &noted),
    }
}

/// Of what a client says of itself.
fn digest(agent: &UserAgent, knows_password: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&agent.software, &agent.uri, &agent.device, knows_password).hash(&mut hasher);
    hasher.finish()
}
