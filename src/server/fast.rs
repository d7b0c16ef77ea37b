//! XEP-0484: the tokens of one client, as the server checks, counts and renews them.
use crate::state::{ConnectionId, Moment};
use crate::store::{AccountId, ClientKey, FastToken, FastTokens, StoreError, Tx};
use crate::stream::{FastCandidate, FastStanding, Login, Proof, Request, Slot, fast_mechanism};
use crate::xmpp::{BareJid, Timestamp};

use super::Server;

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
    pub(super) fn answer_fast(
        &mut self,
        now: Moment,
        id: ConnectionId,
        used: &FastUse,
        tx: &Tx,
    ) -> Result<(), StoreError> {
        let known = match used.account.local() {
            Some(name) => tx.account(name)?,
            None => None,
        };
        let mut candidates = Vec::new();
        if let Some(account) = known {
            let tokens = &self.state.tokens;
            let key = tokens.key_of_agent(account.id, &used.agent);
            let stored = tx.fast_tokens(account.id, &key, used.mechanism)?;
            let now = time(now, tx)?;
            let slots = [(Slot::New, stored.new), (Slot::Current, stored.current)];
            for (slot, token) in slots {
                let Some(token) = token else { continue };
                let standing = match used.count {
                    _ if account.disabled => FastStanding::Disabled,
                    _ if token.has_expired(now) => FastStanding::Expired,
                    Some(count) if count <= token.count => FastStanding::Replayed,
                    None if used.early => FastStanding::Replayed,
                    _ => FastStanding::Good,
                };
                candidates.push(FastCandidate {
                    token: tokens.text(account.id, &key, used.mechanism, &token),
                    slot,
                    standing,
                });
            }
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stream.fast(candidates);
        }
        Ok(())
    }

    /// XEP-0484 §3.3 to §3.6: counts the use of a token, and makes a new one where it is asked for or due.
    pub(super) fn renew_token(
        &mut self,
        now: Moment,
        (account, key): (AccountId, &ClientKey),
        login: &Login,
        request: &Request,
        tx: &mut Tx,
    ) -> Result<NewToken, StoreError> {
        // A token of an app begets no other: it could not be taken away with it.
        if matches!(login.proof, Proof::Token(_)) {
            return Ok(None);
        }
        let now = time(now, tx)?;
        let mut due = None;
        if let Proof::Fast { slot } = login.proof {
            let fast = request.fast.unwrap_or_default();
            let stored = tx.fast_tokens(account, key, login.mechanism)?;
            let mut tokens = stored.clone();
            if slot == Slot::New {
                tokens.current = tokens.new.take();
            }
            if let Some(current) = &mut tokens.current {
                current.count = current.count.max(fast.count.unwrap_or_default());
                if current.began_unset(now) {
                    let days = self.state.settings.fast_days_max;
                    let count = current.count;
                    *current = FastToken::issue(current.salt, now, days);
                    current.count = count;
                } else if current.is_due_for_rotation(now) && !fast.invalidate {
                    due = Some(login.mechanism);
                }
            }
            if fast.invalidate {
                tokens = FastTokens::default();
            }
            if tokens != stored {
                tx.set_fast_tokens(account, key, login.mechanism, &tokens)?;
            }
        }
        let asked = request.token_for.as_deref();
        let asked = asked.and_then(fast_mechanism);
        let Some(mechanism) = asked.or(due) else {
            return Ok(None);
        };
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        let days = self.state.settings.fast_days_max;
        let token = FastToken::issue(salt, now, days);
        let text = self.state.tokens.text(account, key, mechanism, &token);
        let expiry = token.told_expiry(days);
        let mut tokens = tx.fast_tokens(account, key, mechanism)?;
        tokens.new = Some(token);
        tx.set_fast_tokens(account, key, mechanism, &tokens)?;
        Ok(Some((text, expiry)))
    }
}

/// The time by which tokens are good: what the clock shows, or the latest it ever did.
pub fn time(now: Moment, tx: &Tx) -> Result<Timestamp, StoreError> {
    Ok(now.wall.max(tx.latest_time()?))
}
