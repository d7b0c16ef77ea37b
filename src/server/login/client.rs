//! XEP-0494: clients are written down as they come.
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::state::{ConnectionId, Cx, SessionClient, SessionId};
use crate::store::{AccountId, Client, ClientKey, StoreError};
use crate::stream::UserAgent;
use crate::xmpp::Timestamp;

use super::token::{self, NOTE_SEEN_MS};
use crate::server::{Server, Step};

/// What there is to be written down of a client.
pub struct Seen<'a> {
    pub agent: &'a UserAgent,
    pub by_password: bool,
    /// It was given a token just now, and what logs in must be listed.
    pub holds_token: bool,
}

impl Server {
    /// A client that has logged in and may bind a resource later, or never.
    pub(super) fn note_login(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        account: AccountId,
        seen: &Seen<'_>,
    ) -> Result<(), StoreError> {
        let Some(connection) = self.connections.get(&id) else {
            return Ok(());
        };
        let client = connection.client.clone();
        let Some(key) = client.key.clone().filter(|_| client.grant.is_none()) else {
            return Ok(());
        };
        let noted = note(&mut self.cx(step), (account, &key), &client, seen)?;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.client.noted = noted;
        }
        Ok(())
    }
}

/// XEP-0494: what is known of the session's client. A client without a name of its own (XEP-0388 §2.3) is written down as
/// it leaves, so that its login writes nothing.
pub fn note_client(cx: &mut Cx<'_>, session: SessionId, seen: &Seen<'_>) -> Result<(), StoreError> {
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
    let key = client.key.clone();
    let Some(key) = key.or_else(|| client.by_resource.then(by_resource)) else {
        return Ok(());
    };
    let noted = note(cx, (account, &key), &client, seen)?;
    if let Some(known) = cx.state.sessions.get_mut(session) {
        known.client.noted = noted;
    }
    Ok(())
}

/// Written down when it is new, changed, or long not seen; when, and a digest of what.
fn note(
    cx: &mut Cx<'_>,
    (account, key): (AccountId, &ClientKey),
    client: &SessionClient,
    seen: &Seen<'_>,
) -> Result<Option<(Timestamp, u64)>, StoreError> {
    if cx.state.disk_low && !seen.holds_token {
        return Ok(client.noted);
    }
    let now = cx.now.wall;
    let by_password = seen.by_password || client.by_resource;
    let told = digest(seen.agent, by_password);
    let is_noted =
        |(at, noted): (Timestamp, u64)| noted == told && now.0.saturating_sub(at.0) < NOTE_SEEN_MS;
    if client.noted.is_some_and(is_noted) && !seen.holds_token {
        return Ok(client.noted);
    }
    let stored = cx.tx.client(account, key)?;
    let mut noted = stored.clone().unwrap_or(Client {
        first_seen: client.since.unwrap_or(now).min(now),
        last_seen: now,
        knows_password: false,
        software: String::new(),
        uri: String::new(),
        device: String::new(),
    });
    noted.knows_password |= by_password;
    let is_named = cx.state.settings.client_names;
    for (noted, told) in [
        (&mut noted.software, &seen.agent.software),
        (&mut noted.uri, &seen.agent.uri),
        (&mut noted.device, &seen.agent.device),
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
    if stored.as_ref() != Some(&noted) {
        cx.tx.set_client(account, key, &noted)?;
    }
    Ok(Some((now, told)))
}

/// Of what a client says of itself.
fn digest(agent: &UserAgent, knows_password: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&agent.software, &agent.uri, &agent.device, knows_password).hash(&mut hasher);
    hasher.finish()
}
