//! Operator's commands.

pub mod access;
pub mod answer;
mod archives;
mod channels;
pub mod command;
mod lines;
mod redirect;

use crate::channel;
use crate::feature;
use crate::pubsub;
use crate::state::{JobId, Outbox, QueuedPresence, Sessions};
use crate::store::{AccountId, StoreError, Tx};
use crate::stream::{Credentials, sasl};
use crate::xmpp::{BareJid, PresenceKind, StreamCondition, StreamError, localpart, quoted};

use answer::{Answer, done};

use super::login::jobs::Job;
use super::route::{iq, presence};
use super::{Command, Server, Step};

impl Server {
    pub(super) fn command(
        &mut self,
        step: &mut Step<'_>,
        id: JobId,
        command: Command,
    ) -> Result<(), StoreError> {
        let answer = match command {
            Command::UserAdd { name, password } => match self.user_name(&name) {
                Ok(name) if step.tx.account(&name)?.is_some() => Err(taken(&name)),
                Ok(name) => self.hash(&password, step.out, |_| Job::UserAdd { command: id, name }),
                Err(error) => Err(error),
            },
            Command::UserPassword { name, password } => match self.known_user(&name, step.tx)? {
                Ok((name, account)) => self.hash(&password, step.out, |_| Job::UserPassword {
                    command: id,
                    name,
                    account,
                }),
                Err(error) => Err(error),
            },
            Command::UserDelete { name } => Some(self.delete_user(step, &name)?).transpose(),
            Command::UserDisable { name, disabled } => {
                Some(self.disable_user(step, &name, disabled)?).transpose()
            }
            Command::UserList => Ok(Some(self.list_users(step.tx)?)),
            Command::UserClients { name, revoke } => {
                Some(self.user_clients(step, &name, revoke.as_deref())?).transpose()
            }
            Command::TokenAdd {
                user,
                name,
                seconds,
                restricted,
            } => Some(self.add_token(step, &user, (&name, seconds, restricted))?).transpose(),
            Command::TokenList { user } => Some(self.list_tokens(&user, step.tx)?).transpose(),
            Command::TokenRevoke { user, id } => {
                Some(self.user_clients(step, &user, Some(&id))?).transpose()
            }
            Command::UserMove { name, host } => {
                Some(self.move_user(step, (&name, host.as_deref()))?).transpose()
            }
            Command::Drain { host } => Some(self.drain(step.now, host.as_deref())).transpose(),
            Command::Channel { action, name, user } => {
                Some(self.channel_command(step, action, (&name, &user))?).transpose()
            }
            Command::Archive(ask) => Some(self.archive_command(step, &ask)?).transpose(),
            Command::Status => Ok(Some(self.status(step)?)),
        };
        match answer {
            Ok(Some(text)) => done(step.out, id, Ok(text)),
            Ok(None) => {}
            Err(error) => done(step.out, id, Err(error)),
        }
        Ok(())
    }

    /// Sends a new password to the hash thread; its answer comes with the result.
    fn hash(
        &mut self,
        password: &str,
        out: &mut Outbox,
        job: impl FnOnce(&mut Self) -> Job,
    ) -> Result<Option<String>, String> {
        let password = sasl::prepare_password(password).map_err(|error| {
            format!("the password is refused: {error}\n  most letters, digits and marks of any script can be in one (RFC 4013)")
        })?;
        let job = job(self);
        self.hash_prepared(&password, job, out);
        Ok(None)
    }

    /// `alice` or `alice@domain`, prepared (RFC 7622 §3.3).
    pub(super) fn user_name(&self, text: &str) -> Result<String, String> {
        let name = match text.split_once('@') {
            Some((name, domain)) => {
                let served = self.state.domains.served();
                if !crate::xmpp::domainpart(domain).is_ok_and(|d| d == served.as_str()) {
                    return Err(format!(
                        "{} is not of this server's domain {served}",
                        quoted(text),
                    ));
                }
                name
            }
            None => text,
        };
        localpart(name)
            .map(|name| name.into_owned())
            .map_err(|_| format!("{} cannot be the name of a user", quoted(name)))
    }

    pub(super) fn user_jid(&self, name: &str) -> BareJid {
        BareJid::from_parts(Some(name), self.state.domains.served().domain())
            .expect("name and domain were prepared")
    }

    pub(super) fn add_user(
        &mut self,
        step: &mut Step<'_>,
        name: &str,
        credentials: &Credentials,
    ) -> Result<Answer, StoreError> {
        if self.state.disk_low {
            return Ok(Err(
                "the disk is nearly full; make room, then try again".into()
            ));
        }
        Ok(
            match step.tx.add_account(name, credentials, step.now.wall)? {
                Some(_) => Ok(format!("added {}", quoted(self.user_jid(name).as_str()))),
                None => Err(taken(name)),
            },
        )
    }

    pub(super) fn change_password(
        &mut self,
        step: &mut Step<'_>,
        (name, asked): (&str, AccountId),
        credentials: &Credentials,
    ) -> Result<Answer, StoreError> {
        // While it was hashed the account may have gone, and another come in its place.
        let account = step.tx.account(name)?.map(|account| account.id);
        let Some(account) = account.filter(|account| *account == asked) else {
            return Ok(Err(unknown(name)));
        };
        let jid = self.user_jid(name);
        step.tx.set_credentials(account, credentials)?;
        self.end_credentials(step, (&jid, account))?;
        // Whoever logged in with the old password logs in again.
        self.end_sessions(
            &jid,
            StreamError::new(StreamCondition::Reset).text("The password was changed."),
        );
        Ok(Ok(format!(
            "changed the password of {}",
            quoted(jid.as_str())
        )))
    }

    fn disable_user(
        &mut self,
        step: &mut Step<'_>,
        name: &str,
        disabled: bool,
    ) -> Result<Answer, StoreError> {
        let name = match self.user_name(name) {
            Ok(name) => name,
            Err(error) => return Ok(Err(error)),
        };
        if !step.tx.set_account_disabled(&name, disabled)? {
            return Ok(Err(unknown(&name)));
        }
        let jid = self.user_jid(&name);
        if let (true, Some(account)) = (disabled, step.tx.account(&name)?) {
            self.end_credentials(step, (&jid, account.id))?;
            self.end_sessions(
                &jid,
                StreamError::new(StreamCondition::NotAuthorized).text("The account is disabled."),
            );
        }
        Ok(Ok(format!(
            "{} {}",
            if disabled { "disabled" } else { "enabled" },
            quoted(jid.as_str())
        )))
    }

    /// Contacts hear that the account is gone (RFC 6121 §3.2, §3.3), sessions end, the data goes.
    pub(super) fn delete_user(
        &mut self,
        step: &mut Step<'_>,
        name: &str,
    ) -> Result<Answer, StoreError> {
        let name = match self.user_name(name) {
            Ok(name) => name,
            Err(error) => return Ok(Err(error)),
        };
        let Some(account) = step.tx.account(&name)? else {
            return Ok(Err(unknown(&name)));
        };
        let jid = self.user_jid(&name);
        self.end_sessions(
            &jid,
            StreamError::new(StreamCondition::NotAuthorized).text("The account was deleted."),
        );
        self.end_streams(step)?;
        let contacts = step.tx.contacts(account.id)?;
        for (contact, row) in contacts {
            let from = || QueuedPresence {
                from: jid.clone(),
                to: contact.clone(),
                kind: PresenceKind::Unsubscribed,
                to_subscriber: row.subscription.is_from(),
            };
            if row.ask || row.subscription.is_to() {
                let queued = QueuedPresence {
                    kind: PresenceKind::Unsubscribe,
                    ..from()
                };
                self.state.effects.queued_presence.push(queued);
            }
            if row.subscription.is_from() || row.request.is_some() {
                self.state.effects.queued_presence.push(from());
            }
        }
        presence::send_queued(&mut self.cx(step));
        feature::leave_channels(&mut self.cx(step), (&jid, account.id))?;
        iq::send_own(&mut self.cx(step));
        pubsub::related::forget::forget(step.tx, jid.as_str())?;
        channel::forget_account(&mut self.cx(step), &jid)?;
        step.tx.delete_account(&name)?;
        self.state.rights.forget(account.id);
        self.wake_upkeep(step.now);
        Ok(Ok(format!(
            "deleted {} and all its data",
            quoted(jid.as_str())
        )))
    }

    /// What proved somebody to be the account's owner does so no more, and ends what was given for it.
    pub(super) fn end_credentials(
        &mut self,
        step: &mut Step<'_>,
        (jid, account): (&BareJid, AccountId),
    ) -> Result<(), StoreError> {
        let now = step.now.wall;
        step.tx.revoke_all_clients(account, now)?;
        self.state.rights.end(account);
        self.state.sessions.credentials_changed(jid);
        Ok(())
    }

    fn end_sessions(&mut self, jid: &BareJid, error: StreamError) {
        for session in self.state.sessions.ids_where(jid, |_| true) {
            self.state.end_session(session, &error);
        }
    }

    fn list_users(&self, tx: &Tx) -> Result<String, StoreError> {
        let mut text = String::new();
        for (name, account) in tx.accounts()? {
            let jid = self.user_jid(&name);
            let sessions = self.state.sessions.of(&jid).count();
            let state = match (account.disabled, sessions) {
                (true, _) => "disabled".to_string(),
                (false, 0) => "offline".to_string(),
                (false, 1) => "1 session".to_string(),
                (false, many) => format!("{many} sessions"),
            };
            text.push_str(&format!(
                "{}\t{state}\tsince {}\t{} bytes of messages\n",
                quoted(jid.as_str()),
                account.created,
                tx.archive_bytes(account.id)?
            ));
        }
        Ok(text.trim_end().to_string())
    }

    /// The core's part of `stonechat status`; the shell adds what only it knows.
    fn status(&self, step: &Step<'_>) -> Result<String, StoreError> {
        let uptime = step
            .now
            .monotonic_ms
            .saturating_sub(self.state.started.monotonic_ms)
            / 1000;
        let held: usize = self
            .connections
            .iter()
            .map(|(_, connection)| connection.stream.held_bytes())
            .sum();
        let kept = Kept::of(&self.state.sessions);
        let disk = if self.state.disk_low {
            "nearly full"
        } else {
            "ok"
        };
        let archived = step.tx.stored_bytes()?;
        let removed = self.upkeep.pruned;
        let mut text = format!(
            "domain       {}\nuptime       {uptime} s\nconnections  {}\nsessions     {}\naway         {}, {} of them asleep\nunread bytes {held}\nqueue memory {} bytes unacknowledged, {} more stored\nheld bytes   {} for {} inactive clients\narchive      {archived} bytes, {removed} messages removed for want of room\ndisk         {disk}",
            self.state.domains.served(),
            self.connections.len(),
            self.state.sessions.len(),
            kept.away,
            kept.asleep,
            kept.queue_bytes,
            kept.stored_bytes,
            kept.held_bytes,
            kept.inactive,
        );
        for component in self.state.domains.components.all() {
            let state = match component.connection {
                Some(_) => "connected",
                None => "away",
            };
            text.push_str(&format!("\ncomponent    {} {state}", component.jid));
        }
        Ok(text)
    }
}

/// What is kept for sessions that are away or inactive.
#[derive(Default)]
struct Kept {
    away: usize,
    asleep: usize,
    inactive: usize,
    held_bytes: usize,
    queue_bytes: usize,
    stored_bytes: u64,
}

impl Kept {
    fn of(sessions: &Sessions) -> Kept {
        let mut kept = Kept::default();
        for session in sessions.all() {
            kept.away += usize::from(session.connection.is_none());
            kept.asleep += usize::from(session.is_asleep());
            if let Some(held) = &session.held {
                kept.inactive += 1;
                kept.held_bytes += held.bytes();
            }
            if let Some(management) = &session.management {
                kept.queue_bytes += management.queue_bytes();
                kept.stored_bytes += management.stored_bytes();
            }
        }
        kept
    }
}

fn taken(name: &str) -> String {
    let name = quoted(name);
    format!("there is a user {name} already; `stonechat user passwd {name}` changes the password")
}

pub(super) fn unknown(name: &str) -> String {
    format!(
        "there is no user {}; `stonechat user list` shows all",
        quoted(name)
    )
}
