//! What a stream wants while its peer logs in.
use crate::state::{Applicant, ConnectionId, HashJob, Moment, Output};
use crate::store::StoreError;
use crate::stream::{Event, ScramKeys};
use crate::xmpp::{BareJid, SaslCondition, quoted};

use super::fast::FastUse;
use super::jobs::{Job, digest_of};
use crate::server::timers::Timer;
use crate::server::{Server, Step};

impl Server {
    pub(in crate::server) fn login_event(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        event: Event,
    ) -> Result<(), StoreError> {
        match event {
            Event::Peer { account } => self.answer_peer(step, id, &account)?,
            Event::Credentials { account } => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.account = digest_of(&account);
                }
                self.answer_credentials(id, &account, step.tx)?;
            }
            Event::Attempt { account, agent } => {
                self.attempt(step, id, &account, agent.as_deref())?;
            }
            Event::Fast {
                account,
                agent,
                mechanism,
                count,
                early,
            } => {
                let used = FastUse {
                    account,
                    agent,
                    mechanism,
                    count,
                    early,
                };
                self.answer_fast(step, id, &used)?;
            }
            Event::Token { scheme, token } => self.answer_token(step, id, scheme, &token)?,
            Event::Derive {
                password,
                hash,
                salt,
                iterations,
            } => {
                let work = HashJob::Compare {
                    password,
                    hash,
                    salt,
                    iterations,
                };
                self.derive(step, id, work);
            }
            Event::Failed { account, condition } => {
                self.login_failed(step.now, id, account, condition)
            }
            Event::Standing { account, right } => {
                let standing = self.right_stands(&account, right, step.tx)?;
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.stream.standing(standing.map(|_| ()));
                }
            }
            Event::Authenticated(login) => self.authenticated(step, id, *login)?,
            _ => {}
        }
        Ok(())
    }

    /// PLAIN: the keys of a password are compared when they are there.
    fn derive(&mut self, step: &mut Step<'_>, id: ConnectionId, work: HashJob) {
        self.attempt_is_guess(id);
        let job = self.jobs.add(Job::Login { connection: id });
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.job = Some(job);
        step.out.push(Output::Hash {
            job,
            work: Box::new(work),
            applicant: Box::new(Applicant::Stranger {
                address: connection.address,
                account: connection.account,
            }),
        });
    }

    fn login_failed(
        &mut self,
        now: Moment,
        id: ConnectionId,
        account: Option<BareJid>,
        condition: SaslCondition,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let name = account.as_ref().map_or("", |account| account.as_str());
        log::info!(
            "login.failed account={} address={} condition={}",
            quoted(name),
            connection.address,
            condition.as_str()
        );
        match self.tell_failure_ms(now, id, condition) {
            Some(at_ms) => self.timers.set(at_ms, Timer::ReleaseFailure(id)),
            None => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.stream.release_failure();
                }
            }
        }
    }

    /// The keys of a PLAIN login were derived.
    pub(in crate::server) fn login_derived(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        keys: ScramKeys,
    ) -> Result<(), StoreError> {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.job = None;
            connection.stream.derived(keys);
        }
        self.poll(step, id, &[])
    }

    /// RFC 6120 §6.5.11: too many wait for their keys to be derived.
    pub(in crate::server) fn login_put_off(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
    ) -> Result<(), StoreError> {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.job = None;
            let condition = SaslCondition::TemporaryAuthFailure;
            connection.stream.not_completed(condition);
        }
        self.poll(step, id, &[])
    }
}
