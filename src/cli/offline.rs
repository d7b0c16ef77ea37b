//! An operator's command while no server runs: the same step of the same core, on the same database.
use crate::config::{Config, StartError, default_domain, make_data_directory, settled_domain};
use crate::net::control::Answer;
use crate::net::{Clock, STORE_FILE, SystemEntropy, hash, hostname, load_token_key};
use crate::server::{Command, Input, Server};
use crate::state::{JobId, Outbox, Output};
use crate::store::{Store, StoreError};
use crate::xmpp::domainpart;

/// A directory without a database is mostly not the one that was meant.
pub fn require_database(config: &Config) -> Result<(), StartError> {
    match config.data.join(STORE_FILE).exists() {
        true => Ok(()),
        false => Err(StartError::NoDatabase {
            data: config.data.clone(),
        }),
    }
}

pub fn run(config: &Config, command: Command) -> Result<Answer, StartError> {
    make_data_directory(&config.data)?;
    let path = config.data.join(STORE_FILE);
    let failed = |error| StartError::store(&config.data, path.clone(), error);
    let token_key = load_token_key(&config.data)?;
    let store = Store::open(&path, config.cache_bytes).map_err(failed)?;
    let recorded = store.begin().domain().map_err(failed)?;
    let written = settled_domain(&config.data, recorded.as_ref())?;
    let known = written.or(recorded.map(|of| of.name));
    let domain = known.unwrap_or_else(|| first_domain(config, &command));
    step(config, &store, &domain, command, &token_key).map_err(failed)
}

/// Before the first start no domain is remembered: the configured one, else the one the operator writes, else the
/// default. Accounts are kept by name, so the server's first start may still settle on another.
fn first_domain(config: &Config, command: &Command) -> String {
    let written = match command {
        Command::UserAdd { name, .. }
        | Command::UserPassword { name, .. }
        | Command::UserDelete { name }
        | Command::UserDisable { name, .. }
        | Command::UserMove { name, .. }
        | Command::UserClients { name, .. }
        | Command::TokenAdd { user: name, .. }
        | Command::TokenList { user: name }
        | Command::TokenRevoke { user: name, .. } => name.split_once('@').map(|(_, domain)| domain),
        Command::Archive(ask) => ask.user.split_once('@').map(|(_, domain)| domain),
        Command::UserList | Command::Drain { .. } | Command::Channel { .. } | Command::Status => {
            None
        }
    };
    let written =
        written.and_then(|domain| domainpart(domain).ok().map(|domain| domain.into_owned()));
    config
        .domain
        .clone()
        .or(written)
        .unwrap_or_else(|| default_domain(&hostname()))
}

fn step(
    config: &Config,
    store: &Store,
    domain: &str,
    command: Command,
    token_key: &[u8; 32],
) -> Result<Answer, StoreError> {
    let clock = Clock::start();
    let mut tx = store.begin();
    let mut out = Outbox::default();
    let settings = config.settings_for(domain);
    let entropy = Box::new(SystemEntropy::new());
    let mut server = Server::new(settings, entropy, &mut tx, clock.now(), token_key)?;
    let job = JobId(1);
    server.step(
        clock.now(),
        Input::Command { job, command },
        &mut tx,
        &mut out,
    )?;
    let mut answer = None;
    while answer.is_none() && !out.outputs.is_empty() {
        for output in std::mem::take(&mut out.outputs) {
            match output {
                Output::Hash { job, work, .. } => {
                    let result = hash(*work);
                    server.step(
                        clock.now(),
                        Input::Hashed { job, result },
                        &mut tx,
                        &mut out,
                    )?;
                }
                Output::CommandDone { code, text, .. } => answer = Some(Answer { code, text }),
                // Nobody is connected.
                _ => {}
            }
        }
    }
    if !server.state().sessions.is_empty() {
        // Sessions that were suspended may have ended, or been told something.
        server.step(clock.now(), Input::Shutdown, &mut tx, &mut out)?;
    }
    if let Some(commit) = tx.finish() {
        commit.run()?;
    }
    Ok(answer.expect("the core answers every command"))
}
