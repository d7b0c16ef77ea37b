//! Attempts to log in with a password: each waits for its turn before anything is looked up, and what is told of names
//! without an account does not tell them from those with one (RFC 6120 §13.11).

use crate::state::{Attempt, Attempter, ConnectionId, FIRST_DELAY_MS, Moment};
use crate::store::{StoreError, Tx};
use crate::stream::{Credentials, Login, Proof};
use crate::xmpp::{BareJid, SaslCondition};

use crate::server::timers::Timer;
use crate::server::{Server, Step};
use crate::xmpp::hashing::hmac;

/// What a connection tries.
#[derive(Default)]
pub struct Trying {
    /// Boxed: most have tried long ago.
    attempt: Option<Box<Attempt>>,
    /// Its turn has not come.
    is_waiting: bool,
}

impl Server {
    /// A password is about to be tried.
    pub(in crate::server) fn attempt(
        &mut self,
        step: &Step<'_>,
        id: ConnectionId,
        account: &BareJid,
        agent: Option<&str>,
    ) -> Result<(), StoreError> {
        let Some(connection) = self.connections.get(&id) else {
            return Ok(());
        };
        let address = connection.address;
        let is_crowded = self
            .throttle
            .is_crowded(step.now.monotonic_ms, address, account);
        let client = match agent.filter(|_| is_crowded) {
            Some(agent) if self.knows_client(account, agent, step.tx)? => Some(agent),
            _ => None,
        };
        let origin = Attempter {
            address,
            account,
            client,
        };
        let attempt = self.throttle.attempt(step.now.monotonic_ms, id, origin);
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        connection.trying.attempt = Some(Box::new(attempt));
        if attempt.start_ms > step.now.monotonic_ms {
            connection.trying.is_waiting = true;
            self.timers.set(attempt.start_ms, Timer::Attempt(id));
        } else {
            connection.stream.turn(true);
        }
        Ok(())
    }

    /// Its turn has come.
    pub(in crate::server) fn begin_attempt(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(attempt) = &connection.trying.attempt else {
            return;
        };
        connection.trying.is_waiting = false;
        self.throttle.began(id, attempt);
        connection.stream.turn(!attempt.is_put_off);
    }

    /// A password is compared; that its connection ends does not make it untried.
    pub(in crate::server) fn attempt_is_guess(&mut self, id: ConnectionId) {
        let connection = self.connections.get_mut(&id);
        if let Some(attempt) = connection.and_then(|it| it.trying.attempt.as_mut()) {
            attempt.is_guess = true;
        }
    }

    /// Its connection has ended, or it was nothing that could be compared.
    pub(in crate::server) fn attempt_given_up(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let trying = std::mem::take(&mut connection.trying);
        let Some(attempt) = trying.attempt else {
            return;
        };
        if trying.is_waiting {
            self.timers.cancel(attempt.start_ms, Timer::Attempt(id));
        }
        if !attempt.is_guess {
            self.throttle.withdrawn(id, &attempt);
        }
    }

    /// Whoever waited behind it from the same place goes on at once.
    pub(super) fn attempt_succeeded(&mut self, now: Moment, id: ConnectionId, login: &Login) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(attempt) = connection.trying.attempt.take() else {
            if matches!(login.proof, Proof::Fast { .. }) {
                let address = connection.address;
                self.throttle
                    .came_in(now.monotonic_ms, address, &login.account);
            }
            return;
        };
        for waiting in self.throttle.succeeded(now.monotonic_ms, &attempt) {
            let Some(connection) = self.connections.get_mut(&waiting) else {
                continue;
            };
            if let Some(attempt) = &mut connection.trying.attempt {
                self.timers
                    .cancel(attempt.start_ms, Timer::Attempt(waiting));
                attempt.start_ms = now.monotonic_ms;
                attempt.is_put_off = false;
                self.timers.set(now.monotonic_ms, Timer::Attempt(waiting));
            }
        }
    }

    /// When a failed login hears of it; `None`: at once, for it tells nothing that could be guessed.
    pub(in crate::server) fn tell_failure_ms(
        &mut self,
        now: Moment,
        id: ConnectionId,
        condition: SaslCondition,
    ) -> Option<u64> {
        let connection = self.connections.get_mut(&id)?;
        match condition {
            SaslCondition::NotAuthorized | SaslCondition::AccountDisabled => {
                let attempt = connection.trying.attempt.take();
                Some(match attempt {
                    Some(attempt) => self.throttle.failed(now.monotonic_ms, &attempt),
                    // Of a token, which nobody guesses.
                    None => now.monotonic_ms + FIRST_DELAY_MS,
                })
            }
            _ => {
                self.attempt_given_up(id);
                None
            }
        }
    }

    /// XEP-0388 §2.3: what a client calls itself is a secret between it and the server.
    fn knows_client(&self, account: &BareJid, agent: &str, tx: &Tx) -> Result<bool, StoreError> {
        let known = match account.local() {
            Some(name) => tx.account(name)?,
            None => None,
        };
        let Some(known) = known else {
            return Ok(false);
        };
        let key = self.state.tokens.key_of_agent(known.id, agent);
        Ok(tx.client(known.id, &key)?.is_some())
    }

    /// What a name without an account seems to have: as some account has it, so that raised `scram_iterations` show
    /// nobody.
    pub(super) fn fake_credentials(
        &self,
        name: &BareJid,
        tx: &Tx,
    ) -> Result<Credentials, StoreError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.fake_salt_key);
        let point = hmac::sign(&key, &[b"model ", name.as_str().as_bytes()].concat());
        let point = point.as_ref().first_chunk().copied().unwrap_or_default();
        let model = tx.sample_credentials(u64::from_be_bytes(point))?;
        let iterations = self.state.settings.scram_iterations;
        let model = model.unwrap_or_else(|| Credentials::usual(iterations));
        Ok(Credentials::fake(
            &self.fake_salt_key,
            name.as_str(),
            &model,
        ))
    }
}
