//! Work on the hash thread that somebody waits for, and what becomes of its results.
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::state::{
    Applicant, ConnectionId, HashJob, Hashed, JobId, Origin, Outbox, Output, PasswordChange,
    give_back_room,
};
use crate::store::{AccountId, StoreError};
use crate::xmpp::{BareJid, Condition, StanzaError};

use crate::server::operator::answer::done;
use crate::server::outlet::send_error;
use crate::server::{Server, Step};

/// What a hash is for.
pub enum Job {
    Login {
        connection: ConnectionId,
    },
    UserAdd {
        command: JobId,
        name: String,
    },
    UserPassword {
        command: JobId,
        name: String,
        account: AccountId,
    },
    /// A user's own wish (XEP-0077 §3.3).
    OwnPassword(PasswordChange),
}

/// Hash jobs that run. Their number is bounded by the connections and the operator's commands that wait for them.
#[derive(Default)]
pub struct Jobs {
    running: HashMap<JobId, Job>,
    last_id: u64,
}

impl Jobs {
    pub fn add(&mut self, job: Job) -> JobId {
        self.last_id += 1;
        let id = JobId(self.last_id);
        self.running.insert(id, job);
        id
    }

    pub fn remove(&mut self, id: JobId) -> Option<Job> {
        let job = self.running.remove(&id);
        give_back_room(&mut self.running);
        job
    }
}

/// Stands for an account where turns are taken.
pub(in crate::server) fn digest_of(account: &BareJid) -> u64 {
    let mut hasher = DefaultHasher::new();
    account.as_str().hash(&mut hasher);
    hasher.finish()
}

impl Server {
    pub(in crate::server) fn hashed(
        &mut self,
        step: &mut Step<'_>,
        id: JobId,
        result: Hashed,
    ) -> Result<(), StoreError> {
        let job = self.jobs.remove(id);
        match (job, result) {
            (Some(job), Hashed::Refused) => self.refused(step, job),
            (Some(Job::Login { connection }), Hashed::Compare(keys)) => {
                self.login_derived(step, connection, keys)
            }
            (Some(Job::UserAdd { command, name }), Hashed::New(credentials)) => {
                let answer = self.add_user(step, &name, &credentials)?;
                done(step.out, command, answer);
                Ok(())
            }
            (
                Some(Job::UserPassword {
                    command,
                    name,
                    account,
                }),
                Hashed::New(credentials),
            ) => {
                let user = (&*name, account);
                let answer = self.change_password(step, user, &credentials)?;
                done(step.out, command, answer);
                Ok(())
            }
            (Some(Job::OwnPassword(change)), Hashed::New(credentials)) => {
                self.own_password_hashed(step, &change, &credentials)
            }
            _ => Ok(()),
        }
    }

    /// There is too much to hash.
    fn refused(&mut self, step: &mut Step<'_>, job: Job) -> Result<(), StoreError> {
        match job {
            Job::Login { connection } => return self.login_put_off(step, connection),
            Job::UserAdd { command, .. } | Job::UserPassword { command, .. } => {
                done(
                    step.out,
                    command,
                    Err("the server is busy; try again".into()),
                );
            }
            Job::OwnPassword(change) => {
                let error = StanzaError::new(Condition::ResourceConstraint)
                    .text("Too many passwords are being changed.");
                let mut cx = self.cx(step);
                let origin = Origin::Session(change.session);
                send_error(&mut cx, origin, "iq", &change.envelope, &error);
            }
        }
        Ok(())
    }

    pub(in crate::server) fn hash_prepared(&mut self, password: &str, job: Job, out: &mut Outbox) {
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        let iterations = self.state.settings.scram_iterations;
        let work = HashJob::New {
            password: password.into(),
            salt,
            iterations,
        };
        let applicant = match &job {
            Job::OwnPassword(change) => Applicant::Member {
                account: digest_of(&change.account),
            },
            _ => Applicant::Operator,
        };
        let job = self.jobs.add(job);
        out.push(Output::Hash {
            job,
            work: Box::new(work),
            applicant: Box::new(applicant),
        });
    }
}
