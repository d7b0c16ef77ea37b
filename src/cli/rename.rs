//! `stonechat rename NEW.DOMAIN`: moves everything to another domain, whole or not at all. What decides is one commit; the
//! file `domain` and the certificate follow it, at the next start if not at once.
use argh::FromArgs;

use super::offline;
use crate::config::{Config, StartError, settled_domain, write_domain};
use crate::net::control::Answer;
use crate::net::{Clock, STORE_FILE, SystemEntropy, hostname, load_token_key, remake_certificate};
use crate::server::{Input, Server, Step};
use crate::state::Outbox;
use crate::store::{Moved, Store, StoreError};
use crate::xmpp::{domainpart, quoted};

/// Move all accounts with contacts and messages to another domain. The server must be stopped.
#[derive(FromArgs)]
#[argh(subcommand, name = "rename")]
pub struct Rename {
    /// the new domain
    #[argh(positional)]
    domain: String,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

impl Rename {
    pub fn run(self) -> Result<Answer, StartError> {
        let config = super::load(self.data.as_deref(), &[])?;
        let new = domainpart(&self.domain).map_err(|_| StartError::Setting {
            place: "rename".into(),
            key: None,
            reason: format!("{} is no domain", quoted(&self.domain)),
            remedy: "write for example `stonechat rename chat.example.org`".into(),
        })?;
        offline::require_database(&config)?;
        rename(&config, &new)
    }
}

fn rename(config: &Config, new: &str) -> Result<Answer, StartError> {
    let path = config.data.join(STORE_FILE);
    let failed = |error: StoreError| StartError::store(&config.data, path.clone(), error);
    let token_key = load_token_key(&config.data)?;
    let store = Store::open(&path, config.cache_bytes).map_err(failed)?;
    let tx = store.begin();
    let recorded = tx.domain().map_err(failed)?;
    let users = tx.accounts().map_err(failed)?.len();
    drop(tx);
    let written = settled_domain(&config.data, recorded.as_ref())?;
    let Some(old) = recorded.map(|of| of.name).or(written) else {
        return Err(StartError::Setting {
            place: config.data.join("domain").display().to_string(),
            key: None,
            reason: "nothing says which domain the accounts belong to now".into(),
            remedy: "write it into this file, then rename".into(),
        });
    };
    let moved = match old == new {
        true => Moved::default(),
        false => {
            end_sessions(config, &store, &old, &token_key).map_err(failed)?;
            move_all(&store, &old, new).map_err(failed)?
        }
    };
    drop(store);
    write_domain(&config.data, new)?;
    let cert = remake_certificate(config, new, &hostname())?;
    let mut text = match old == new {
        true => format!("it is {new} already"),
        false => format!(
            "renamed {old} to {new}: {users} users, {} contacts, {} messages",
            moved.contacts, moved.stanzas
        ),
    };
    text.push_str(&format!(
        "\nwhat has to be done:\n  \
         - {new} has to lead to this machine, as {old} did\n  \
         - everybody logs in as NAME@{new} from now on, with the same password: in most apps by adding that account and \
         removing the old one"
    ));
    text.push_str(&match cert {
        Some(cert) => format!(
            "\n  - the certificate was made anew ({}): apps that asked about the old one ask about it once more",
            cert.display()
        ),
        None => format!("\n  - the certificate is not of our making: get one for {new}"),
    });
    if let Some(configured) = config.domain.as_ref().filter(|domain| *domain != new) {
        text.push_str(&format!(
            "\n  - {} says domain = \"{configured}\": change that, or the server does not start",
            config.data.join(crate::config::FILE).display()
        ));
    }
    text.push_str("\nwhat people wrote, and their vCards and notes, stay as they are, old addresses in them too");
    Ok(Answer { code: 0, text })
}

/// What waits in sessions that could be resumed is in the archive before addresses change.
fn end_sessions(
    config: &Config,
    store: &Store,
    domain: &str,
    token_key: &[u8; 32],
) -> Result<(), StoreError> {
    let now = Clock::start().now();
    let mut tx = store.begin();
    let mut out = Outbox::default();
    let settings = config.settings_for(domain);
    let entropy = Box::new(SystemEntropy::new());
    let mut server = Server::new(settings, entropy, &mut tx, now, token_key)?;
    server.end_away(&mut Step {
        now,
        tx: &mut tx,
        out: &mut out,
    })?;
    server.step(now, Input::Shutdown, &mut tx, &mut out)?;
    tx.finish().map_or(Ok(()), |commit| commit.run())
}

fn move_all(store: &Store, old: &str, new: &str) -> Result<Moved, StoreError> {
    let mut tx = store.begin();
    let moved = tx.rename(old, new)?;
    tx.finish().map_or(Ok(()), |commit| commit.run())?;
    Ok(moved)
}
