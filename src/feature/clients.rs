//! XEP-0494: Client Access Management. What has access to an account, and how it is taken away.
use crate::state::{Cx, Fault, Session, SessionId};
use crate::store::{AccountId, AppToken, Client, ClientKey, FastToken, OauthGrant, StoreError};
use crate::xml::Writer;
use crate::xmpp::{BareJid, Condition, StanzaError, StreamCondition, StreamError, Timestamp};

use super::token_auth::OAUTH_GRANT;
use super::{Feature, IqRoute, Reply, Request, Spec, To};

const NS: &str = "urn:xmpp:cam:0";

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete(
        "XEP-0494",
        "Client Access Management",
        "0.1.0",
    )],
    disco: &[(To::OwnAccount, NS)],
    iq: &[
        IqRoute::get(To::OwnAccount, NS, "list", list).unrestricted(),
        IqRoute::set(To::OwnAccount, NS, "revoke", revoke).unrestricted(),
    ],
    ..Feature::new("clients")
};

/// Something with access to an account.
pub struct Access {
    /// Opaque; the same as long as it has access.
    pub id: String,
    pub connected: bool,
    /// It has or had a session of its own.
    pub is_session: bool,
    pub first_seen: Timestamp,
    /// `None`: never yet.
    pub last_seen: Option<Timestamp>,
    pub password: bool,
    pub grant: bool,
    pub fast: bool,
    pub restricted: bool,
    pub software: String,
    pub uri: String,
    pub device: String,
}

/// What came of taking access away.
#[derive(Debug, PartialEq, Eq)]
pub enum Revoked {
    Done,
    /// §3.2: sessions and tokens ended, but it has logged in with the password and may know it still.
    KnowsPassword,
    Unknown,
}

/// All that has access, what is connected first, then the most recently seen.
pub fn all(cx: &Cx<'_>, jid: &BareJid, account: AccountId) -> Result<Vec<Access>, StoreError> {
    let mut all = Vec::new();
    let now = cx.now.sure;
    for (key, client) in cx.tx.clients(account)? {
        let tokens = cx.tx.all_fast_tokens(account, &key)?;
        let is_good = |token: &FastToken| !token.has_expired(now);
        let fast = tokens.iter().any(|slots| {
            let mut both = slots.current.iter().chain(&slots.new);
            both.any(is_good)
        });
        let connected = !sessions_of(cx, jid, &key.0).is_empty();
        all.push(of_client(&key, client, connected, fast));
    }
    for (id, token) in cx.tx.app_tokens(account)? {
        let connected = !sessions_of(cx, jid, &id).is_empty();
        all.push(of_token(id, token, connected));
    }
    if let Some(grant) = cx.tx.oauth_grant(account)? {
        let connected = !sessions_of(cx, jid, OAUTH_GRANT).is_empty();
        all.push(of_oauth(&grant, connected));
    }
    // Sessions whose client has no name that lasts, or is not written down yet.
    for session in cx.state.sessions.of(jid) {
        let id = cx.state.client_key(session);
        if session.client.grant.is_none() && !all.iter().any(|access| *access.id == *id.0) {
            all.push(of_session(cx, session, id));
        }
    }
    for access in all.iter_mut().filter(|access| access.connected) {
        access.last_seen = Some(cx.now.wall);
    }
    all.sort_by_key(|access| std::cmp::Reverse((access.connected, access.last_seen)));
    Ok(all)
}

fn of_client(key: &ClientKey, client: Client, connected: bool, fast: bool) -> Access {
    Access {
        id: key.0.to_string(),
        connected,
        is_session: true,
        first_seen: client.first_seen,
        last_seen: Some(client.last_seen),
        password: client.knows_password,
        grant: false,
        fast,
        restricted: false,
        software: client.software,
        uri: client.uri,
        device: client.device,
    }
}

fn of_token(id: String, token: AppToken, connected: bool) -> Access {
    Access {
        id,
        connected,
        is_session: connected,
        first_seen: token.created,
        last_seen: token.last_used,
        password: false,
        grant: true,
        fast: false,
        restricted: token.restricted,
        software: token.name,
        uri: String::new(),
        device: String::new(),
    }
}

fn of_oauth(grant: &OauthGrant, connected: bool) -> Access {
    Access {
        id: OAUTH_GRANT.to_string(),
        connected,
        is_session: connected,
        first_seen: grant.created,
        last_seen: grant.last_used,
        password: false,
        grant: true,
        fast: false,
        restricted: false,
        software: "X-OAUTH".to_string(),
        uri: String::new(),
        device: String::new(),
    }
}

fn of_session(cx: &Cx<'_>, session: &Session, id: ClientKey) -> Access {
    Access {
        id: id.0.into(),
        connected: true,
        is_session: true,
        first_seen: session.client.since.unwrap_or(cx.now.wall),
        last_seen: Some(cx.now.wall),
        // It was forgotten for others, or is not written down yet.
        password: session.client.fast.is_none(),
        grant: false,
        fast: false,
        restricted: false,
        software: String::new(),
        uri: String::new(),
        device: String::new(),
    }
}

/// Sessions of whatever has this id.
fn sessions_of(cx: &Cx<'_>, jid: &BareJid, id: &str) -> Vec<SessionId> {
    cx.state
        .sessions
        .ids_where(jid, |session| match &session.client.grant {
            Some(grant) => *grant.id == *id,
            None => *cx.state.client_key(session).0 == *id,
        })
}

/// Takes access away: tokens, and sessions with a reason.
pub fn take_away(
    cx: &mut Cx<'_>,
    jid: &BareJid,
    account: AccountId,
    id: &str,
) -> Result<Revoked, StoreError> {
    let sessions = sessions_of(cx, jid, id);
    let key = ClientKey(id.into());
    let now = cx.now.wall;
    let revoked = if let Some(client) = cx.tx.client(account, &key)? {
        cx.tx.revoke_fast(account, &key, now)?;
        match client.knows_password {
            true => Revoked::KnowsPassword,
            false => {
                cx.tx.remove_client(account, &key, now)?;
                Revoked::Done
            }
        }
    } else if cx.tx.remove_app_token(account, id)? {
        Revoked::Done
    } else if id == OAUTH_GRANT && cx.tx.oauth_grant(account)?.is_some() {
        cx.tx.set_oauth_grant(account, None)?;
        Revoked::Done
    } else if sessions.is_empty() {
        Revoked::Unknown
    } else {
        let known = sessions.iter().filter_map(|id| cx.state.sessions.get(*id));
        let by_token = |session: &Session| session.client.fast.is_some();
        match known.into_iter().all(by_token) {
            true => Revoked::Done,
            false => Revoked::KnowsPassword,
        }
    };
    if revoked != Revoked::Unknown {
        cx.state.effects.withdrawn.push((account, id.into()));
    }
    let error = StreamError::new(StreamCondition::NotAuthorized).text("Access was taken away.");
    for session in sessions {
        cx.state.end_session(session, &error);
    }
    Ok(revoked)
}

/// §3.1
fn list(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let all = all(cx, request.account_jid(), request.account_id())?;
    Ok(Reply::payload(|w| {
        w.open_ns("clients", NS);
        for access in &all {
            write(w, access);
        }
        w.close();
    }))
}

fn write(w: &mut Writer<'_>, access: &Access) {
    let kind = if access.is_session {
        "session"
    } else {
        "access"
    };
    w.open("client")
        .attr("connected", if access.connected { "true" } else { "false" })
        .attr("id", &access.id)
        .attr("type", kind);
    w.leaf("first-seen", &access.first_seen.to_string());
    if let Some(seen) = access.last_seen {
        w.leaf("last-seen", &seen.to_string());
    }
    w.open("auth");
    for (proved, name) in [
        (access.password, "password"),
        (access.grant, "grant"),
        (access.fast, "fast"),
    ] {
        if proved {
            w.open(name).close();
        }
    }
    w.close();
    let status = if access.restricted {
        "normal"
    } else {
        "unrestricted"
    };
    w.open("permission").attr("status", status).close();
    w.open("user-agent");
    for (name, text) in [
        ("software", &access.software),
        ("uri", &access.uri),
        ("device", &access.device),
    ] {
        if !text.is_empty() {
            w.leaf(name, text);
        }
    }
    w.close().close();
}

/// §3.2
fn revoke(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let id = request.payload.attribute("id");
    let id = id.ok_or(Condition::BadRequest)?;
    match take_away(cx, request.account_jid(), request.account_id(), &id)? {
        Revoked::Done => Ok(Reply::Empty),
        Revoked::Unknown => Err(Condition::ItemNotFound.into()),
        Revoked::KnowsPassword => Err(StanzaError {
            application: Some(("password-reset-required", NS)),
            ..StanzaError::new(Condition::ServiceUnavailable)
                .text("Its sessions and tokens have ended, but it may know the password.")
        }
        .into()),
    }
}
