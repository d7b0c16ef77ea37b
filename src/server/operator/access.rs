//! Who may use an account: what its owner changes in band (XEP-0077), and the operator's commands about clients and
//! tokens.
use crate::feature::{self, Access, Reply, Revoked};
use crate::state::{Cx, NewAppToken, Origin, PasswordChange, SessionId};
use crate::store::{APP_TOKENS_MAX, AccountId, AppToken, StoreError, Tx};
use crate::stream::{Credentials, UserAgent};
use crate::xmpp::{StreamCondition, StreamError, Timestamp, quoted};

use super::answer::Answer;
use super::unknown;
use crate::server::login::client::{Seen, note_client};
use crate::server::login::jobs::Job;
use crate::server::outlet;
use crate::server::{Server, Step};

/// Bytes of the name of a token.
const NAME_BYTES_MAX: usize = 128;

impl Server {
    /// What handlers of this step left to be done.
    pub(in crate::server) fn change_accounts(
        &mut self,
        step: &mut Step<'_>,
    ) -> Result<(), StoreError> {
        self.withdraw();
        for change in std::mem::take(&mut self.state.effects.password_changes) {
            let password = change.password.clone();
            self.hash_prepared(&password, Job::OwnPassword(change), step.out);
        }
        for account in std::mem::take(&mut self.state.effects.removals) {
            if let Ok(done) = self.delete_user(step, account.as_str())? {
                log::info!("account.removed_by_owner answer={}", quoted(&done));
            }
        }
        Ok(())
    }

    /// XEP-0077 §3.3: stored, what others hold ends, then the answer. All that takes away the right to change it ends the
    /// session that asked.
    pub(in crate::server) fn own_password_hashed(
        &mut self,
        step: &mut Step<'_>,
        change: &PasswordChange,
        credentials: &Credentials,
    ) -> Result<(), StoreError> {
        let session = self.state.sessions.get(change.session);
        let Some(session) = session.filter(|session| !session.client.is_restricted()) else {
            return Ok(());
        };
        let account = session.account;
        step.tx.set_credentials(account, credentials)?;
        self.end_credentials(step, (&change.account, account))?;
        log::info!(
            "account.password_changed account={}",
            quoted(change.account.as_str())
        );
        let error =
            StreamError::new(StreamCondition::Reset).text("The password was changed elsewhere.");
        let others = self.state.sessions.ids_where(&change.account, |session| {
            let grant = session.client.grant.as_ref();
            let stays = grant.is_some_and(|grant| *grant.id != *feature::OAUTH_GRANT);
            session.id != change.session && !stays
        });
        for other in others {
            self.state.end_session(other, &error);
        }
        let mut cx = self.cx(step);
        knows_password(&mut cx, change.session)?;
        let origin = Origin::Session(change.session);
        outlet::send_result(&mut cx, origin, &change.envelope, &Reply::Empty);
        Ok(())
    }

    /// What has access, or that one of them has it no more.
    pub(super) fn user_clients(
        &mut self,
        step: &mut Step<'_>,
        user: &str,
        revoke: Option<&str>,
    ) -> Result<Answer, StoreError> {
        let (name, account) = match self.known_user(user, step.tx)? {
            Ok(known) => known,
            Err(error) => return Ok(Err(error)),
        };
        let jid = self.user_jid(&name);
        let mut cx = self.cx(step);
        let Some(id) = revoke else {
            let all = feature::all_access(&cx, &jid, account)?;
            return Ok(Ok(match all.is_empty() {
                true => format!("{} has no clients yet", quoted(jid.as_str())),
                false => table(&all),
            }));
        };
        let revoked = feature::take_access_away(&mut cx, &jid, account, id)?;
        let (id, jid, name) = (quoted(id), quoted(jid.as_str()), quoted(&name));
        Ok(match revoked {
            Revoked::Done => Ok(format!("{id} has no access to {jid} any more")),
            Revoked::KnowsPassword => Err(format!(
                "sessions and tokens of {id} have ended, but it has logged in with the password of {jid}\n  \
                 `stonechat user passwd {name}` changes that"
            )),
            Revoked::Unknown => Err(format!(
                "{jid} has nothing called {id}\n  `stonechat user clients {name}` shows all"
            )),
        })
    }

    pub(super) fn add_token(
        &mut self,
        step: &mut Step<'_>,
        user: &str,
        (name, seconds, restricted): (&str, Option<u64>, bool),
    ) -> Result<Answer, StoreError> {
        let (user, account) = match self.known_user(user, step.tx)? {
            Ok(known) => known,
            Err(error) => return Ok(Err(error)),
        };
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Ok(Err(format!(
                "a token needs a name of at most {NAME_BYTES_MAX} bytes: --name \"door bell\""
            )));
        }
        if step.tx.app_tokens(account)?.len() >= APP_TOKENS_MAX {
            return Ok(Err(format!(
                "{user} has {APP_TOKENS_MAX} tokens already\n  `stonechat token revoke {user} ID` makes room",
                user = quoted(&user)
            )));
        }
        let created = step.now.wall;
        let life_ms =
            seconds.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX / 1000) * 1000);
        let new = NewAppToken::new(account, self.entropy.as_mut());
        let token = AppToken {
            name: name.to_string(),
            account: user,
            hash: new.hash,
            created,
            expires: life_ms.map(|life| Timestamp(created.0.saturating_add(life))),
            last_used: None,
            restricted,
        };
        step.tx.set_app_token(account, &new.id, &token)?;
        Ok(Ok(format!(
            "token {}\nid    {}\nIt is shown this once.",
            new.text, new.id
        )))
    }

    pub(super) fn list_tokens(&self, user: &str, tx: &Tx) -> Result<Answer, StoreError> {
        let (_, account) = match self.known_user(user, tx)? {
            Ok(known) => known,
            Err(error) => return Ok(Err(error)),
        };
        let rows = tx.app_tokens(account)?.into_iter().map(|(id, token)| {
            let expires = token
                .expires
                .map_or("never".to_string(), |expires| expires.to_string());
            let used = token
                .last_used
                .map_or("never".to_string(), |used| used.to_string());
            let kind = if token.restricted {
                "restricted"
            } else {
                "full"
            };
            format!(
                "{id}\t{}\t{kind}\tmade {}\tused {used}\texpires {expires}",
                quoted(&token.name),
                token.created
            )
        });
        Ok(Ok(rows.collect::<Vec<_>>().join("\n")))
    }

    pub(super) fn known_user(
        &self,
        user: &str,
        tx: &Tx,
    ) -> Result<Result<(String, AccountId), String>, StoreError> {
        let name = match self.user_name(user) {
            Ok(name) => name,
            Err(error) => return Ok(Err(error)),
        };
        Ok(match tx.account(&name)? {
            Some(account) => Ok((name, account.id)),
            None => Err(unknown(&name)),
        })
    }
}

/// XEP-0494 §3.1: whoever chose the password knows it, by whatever it had logged in. A grant of X-OAUTH has ended with the
/// old one; the session that changed it goes on by the new one.
fn knows_password(cx: &mut Cx<'_>, session: SessionId) -> Result<(), StoreError> {
    let Some(known) = cx.state.sessions.get_mut(session) else {
        return Ok(());
    };
    let grant = known.client.grant.as_ref();
    if grant.is_some_and(|grant| *grant.id == *feature::OAUTH_GRANT) {
        known.client.grant = None;
        known.client.by_resource = known.client.key.is_none();
    }
    let seen = Seen {
        agent: &UserAgent::default(),
        by_password: true,
        holds_token: false,
    };
    note_client(cx, session, &seen)
}

fn table(all: &[Access]) -> String {
    let rows = all.iter().map(|access| {
        let proofs: Vec<&str> = [
            (access.password, "password"),
            (access.grant, "token"),
            (access.fast, "fast"),
        ]
        .iter()
        .filter_map(|(proved, name)| proved.then_some(*name))
        .collect();
        let seen = match (access.connected, access.last_seen) {
            (true, _) => "connected".to_string(),
            (false, Some(seen)) => format!("seen {seen}"),
            (false, None) => "never seen".to_string(),
        };
        format!(
            "{}\t{}\t{seen}\tsince {}\t{}\t{}",
            access.id,
            proofs.join("+"),
            access.first_seen,
            if access.restricted {
                "restricted"
            } else {
                "full"
            },
            called(access)
        )
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// What it calls itself, each text by itself: software, then device.
fn called(access: &Access) -> String {
    let texts = [&*access.software, &*access.device];
    let texts = texts.iter().filter(|text| !text.is_empty());
    let texts: Vec<String> = texts.map(|text| quoted(text).to_string()).collect();
    texts.join(" ")
}
