//! XEP-0484: the tokens of one client, as the server checks, counts and renews them.
use crate::state::{ConnectionId, Cx, FastUsed, Session, SessionClient, SessionId, tag_of};
use crate::store::{AccountId, ClientKey, FastToken, FastTokens, StoreError, Tx};
use crate::stream::{FastCandidate, FastStanding, Login, Proof, Request, Slot, fast_mechanism};
use crate::xmpp::{BareJid, SaslCondition, Timestamp};

use super::rights::known_account;
use crate::server::{Server, Step};

/// Counts ahead of the one used that are written down as used: a client comes back so often before that has to be done
/// again, which would make each wait for the disk.
const COUNTS_RESERVED: u32 = 127;

/// How a token of XEP-0484 is used.
pub struct FastUse {
    pub account: BareJid,
    pub agent: Box<str>,
    pub mechanism: &'static str,
    pub count: Option<u32>,
    pub early: bool,
}

/// A token for the client, and until when.
type NewToken = Option<(Box<str>, Timestamp)>;

impl Server {
    /// XEP-0484 §3.4, §5.1: the tokens this client may hold, the newer one first.
    pub(in crate::server) fn answer_fast(
        &mut self,
        step: &Step<'_>,
        id: ConnectionId,
        used: &FastUse,
    ) -> Result<(), StoreError> {
        let known = known_account(&self.state.sessions, &used.account, step.tx)?;
        let mut candidates = Vec::new();
        if let Some((account, is_disabled)) = known {
            let tokens = &self.state.tokens;
            let key = tokens.key_of_agent(account, &used.agent);
            let stored = step.tx.fast_tokens(account, &key, used.mechanism)?;
            let now = step.now.sure;
            let right = self.state.rights.of(account);
            let mut candidate = |salt: &[u8; 16], slot, standing| {
                candidates.push(FastCandidate {
                    token: tokens.text(account, &key, used.mechanism, salt),
                    tag: tag_of(salt),
                    slot,
                    right,
                    standing,
                });
            };
            let slots = [(Slot::New, stored.new), (Slot::Current, stored.current)];
            for (slot, token) in slots {
                let Some(token) = token else { continue };
                let standing = match used.count {
                    _ if is_disabled => FastStanding::Disabled,
                    _ if token.has_expired(now) => FastStanding::Expired,
                    count => self.standing_of(count, used, (&key, &token)),
                };
                candidate(&token.salt, slot, standing);
            }
            for ended in &stored.ended {
                candidate(&ended.salt, Slot::Current, FastStanding::Ended);
            }
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stream.fast(candidates);
        }
        Ok(())
    }

    /// XEP-0484 §3.4: a count is good once. What memory does not know of a token, a run that was cut short may have seen:
    /// early data, which could have been sent again, then needs one that no run can have used.
    fn standing_of(
        &self,
        count: Option<u32>,
        used: &FastUse,
        (key, token): (&ClientKey, &FastToken),
    ) -> FastStanding {
        let remembered = self.remembered(&used.account, key, used.mechanism, token);
        let floor = match (used.early, remembered) {
            (true, None) => token.reserved,
            (_, remembered) => token.count.max(remembered.unwrap_or_default()),
        };
        match count {
            Some(count) if count <= floor => FastStanding::Replayed,
            None if used.early => FastStanding::Replayed,
            _ => FastStanding::Good,
        }
    }

    /// The count that a client's sessions know of a token.
    fn remembered(
        &self,
        account: &BareJid,
        key: &ClientKey,
        mechanism: &str,
        token: &FastToken,
    ) -> Option<u32> {
        let sessions = self.state.sessions.of(account);
        let of_client = sessions.filter(|session| session.client.key.as_ref() == Some(key));
        of_client
            .filter_map(|session| session.client.fast)
            .filter(|used| used.mechanism == mechanism && used.tag == token.tag())
            .map(|used| used.count)
            .max()
    }

    /// The token a login succeeded with, and how far it is used up now; from here on the login alone knows.
    fn count_use(
        &mut self,
        (login, key): (&Login, &ClientKey),
        request: &Request,
        stored: &FastTokens,
    ) -> Option<FastUsed> {
        let Proof::Fast { slot, tag } = login.proof else {
            return None;
        };
        let token = match slot {
            Slot::New => &stored.new,
            Slot::Current => &stored.current,
        };
        let token = token.as_ref().filter(|token| token.tag() == tag);
        let used = token.map(|token| {
            let remembered = self.remembered(&login.account, key, login.mechanism, token);
            let count = request.fast.unwrap_or_default().count.unwrap_or_default();
            FastUsed {
                mechanism: login.mechanism,
                tag: token.tag(),
                count: count.max(token.count).max(remembered.unwrap_or_default()),
            }
        });
        let of_client = |session: &Session| session.client.key.as_ref() == Some(key);
        for session in self.state.sessions.ids_where(&login.account, of_client) {
            if let Some(known) = self.state.sessions.get_mut(session) {
                known.client.fast = None;
            }
        }
        used
    }

    /// XEP-0484 §3.4 to §3.6: writes the use of a token down where that is due. The mechanism for which the client ought to
    /// have another. `Err`: the token has ended since it was looked up.
    pub(super) fn use_token(
        &mut self,
        step: &mut Step<'_>,
        (login, account): (&Login, AccountId),
        (request, client): (&Request, &mut SessionClient),
    ) -> Result<Result<Option<&'static str>, SaslCondition>, StoreError> {
        let (Proof::Fast { slot, .. }, Some(key)) = (&login.proof, client.key.clone()) else {
            return Ok(Ok(None));
        };
        let stored = step.tx.fast_tokens(account, &key, login.mechanism)?;
        client.fast = self.count_use((login, &key), request, &stored);
        let Some(used) = client.fast else {
            return Ok(Err(SaslCondition::CredentialsExpired));
        };
        let now = step.now.wall;
        let fast = request.fast.unwrap_or_default();
        let mut due = None;
        let mut tokens = stored.clone();
        if *slot == Slot::New {
            let earlier = std::mem::replace(&mut tokens.current, tokens.new.take());
            tokens.end(earlier, now);
        }
        if let Some(current) = &mut tokens.current {
            if current.began_unset(now) {
                let days = self.state.settings.fast_days_max;
                *current = FastToken::issue(current.salt, now, days);
            } else if current.is_due_for_rotation(now) && !fast.invalidate {
                due = Some(login.mechanism);
            }
            if used.count > current.reserved {
                current.count = used.count;
                current.reserved = used.count.saturating_add(COUNTS_RESERVED);
            }
        }
        if fast.invalidate {
            tokens.end_both(now);
        }
        if tokens != stored {
            step.tx
                .set_fast_tokens(account, &key, login.mechanism, &tokens)?;
        }
        Ok(Ok(due))
    }

    /// XEP-0484 §3.3, §3.5: a new token where it is asked for or due.
    pub(super) fn new_token(
        &mut self,
        step: &mut Step<'_>,
        (login, account): (&Login, AccountId),
        (request, client): (&Request, &SessionClient),
        due: Option<&'static str>,
    ) -> Result<NewToken, StoreError> {
        let asked = request.token_for.as_deref();
        let asked = asked.and_then(fast_mechanism);
        let (Some(mechanism), Some(key)) = (asked.or(due), &client.key) else {
            return Ok(None);
        };
        // A token of an app begets no other: it could not be taken away with it.
        if matches!(login.proof, Proof::Token(_)) {
            return Ok(None);
        }
        let now = step.now.wall;
        let days = self.state.settings.fast_days_max;
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        let token = FastToken::issue(salt, now, days);
        let text = self.state.tokens.text(account, key, mechanism, &salt);
        let expiry = token.told_expiry(days);
        let mut tokens = step.tx.fast_tokens(account, key, mechanism)?;
        let unused = tokens.new.replace(token);
        tokens.end(unused, now);
        step.tx.set_fast_tokens(account, key, mechanism, &tokens)?;
        Ok(Some((text, expiry)))
    }
}

/// Writes down exactly how far a token is used up: nobody in memory will know.
pub fn settle(
    tx: &mut Tx,
    (account, key): (AccountId, &ClientKey),
    used: FastUsed,
) -> Result<(), StoreError> {
    let mut tokens = tx.fast_tokens(account, key, used.mechanism)?;
    let current = tokens.current.as_mut();
    let Some(token) = current.filter(|token| token.tag() == used.tag) else {
        return Ok(());
    };
    if (token.count, token.reserved) == (used.count, used.count) {
        return Ok(());
    }
    (token.count, token.reserved) = (used.count, used.count);
    tx.set_fast_tokens(account, key, used.mechanism, &tokens)
}

/// The same for a session that ends, or sleeps until after a restart.
pub fn settle_session(cx: &mut Cx<'_>, session: SessionId) -> Result<(), StoreError> {
    let Some(known) = cx.state.sessions.get(session) else {
        return Ok(());
    };
    match (known.client.key.clone(), known.client.fast) {
        (Some(key), Some(used)) => settle(cx.tx, (known.account, &key), used),
        _ => Ok(()),
    }
}
