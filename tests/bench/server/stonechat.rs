//! Stonechat with its defaults. Accounts come from the command line, rosters from the accounts themselves, by
//! subscribing to each other: this is also a first test that it works.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{PASSWORD, Running, Site, contacts_of, launch, user};
use crate::Outcome;
use crate::client::Clients;
use crate::scan;

const ROSTER_AND_PRESENCE: &[u8] =
    b"<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>";
const LOGINS_AT_ONCE: usize = 32;
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(120);

pub fn version(binary: &Path) -> Option<String> {
    let said = Command::new(binary).arg("--version").output().ok()?;
    if !said.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    Some(text.strip_prefix("stonechat ").unwrap_or(&text).to_owned())
}

pub fn command(site: &Site) -> Command {
    let mut command = Command::new(&site.ground.stonechat);
    command
        .arg("--data")
        .arg(site.path("data"))
        .args(["--domain", "localhost"])
        .args(["--c2s", &site.plain.to_string()])
        .args(["--c2s-tls", &site.tls.to_string()]);
    command
}

pub fn prepare(site: &Site, clients: &mut Clients) -> Outcome<()> {
    std::fs::create_dir_all(site.path("data"))?;
    site.write("data/stonechat.toml", "channels_open = true\n")?;
    let mut server = launch(site)?;
    server.wait_until_open(Duration::from_secs(30))?;
    // It listens to clients a little before it listens to operators.
    while !site.path("data").join("control.sock").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    for number in 0..site.accounts {
        add_user(site, &user(number))?;
    }
    befriend(site, &server, clients)?;
    clients.close_all();
    server.check()
}

fn add_user(site: &Site, name: &str) -> Outcome<()> {
    let mut add = Command::new(&site.ground.stonechat)
        .args(["user", "add", name, "--data"])
        .arg(site.path("data"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = add.stdin.take() {
        writeln!(stdin, "{PASSWORD}")?;
    }
    let done = add.wait_with_output()?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    Err(format!("stonechat user add {name}: {said}").into())
}

/// RFC 6121 §3: everybody subscribes to the contacts and agrees to be subscribed to.
fn befriend(site: &Site, server: &Running, clients: &mut Clients) -> Outcome<()> {
    let who: Vec<_> = (0..site.accounts)
        .map(|n| (user(n), "setup".to_owned()))
        .collect();
    let links = clients.log_in(server.door, &who, LOGINS_AT_ONCE)?;
    let mut missing = 0;
    for (number, link) in links.iter().enumerate() {
        // §3.1.6: the answers go to resources that have asked for the roster.
        clients.swarm.send(*link, ROSTER_AND_PRESENCE);
        for contact in contacts_of(number, site.accounts) {
            let stanza = format!(
                "<presence type='subscribe' to='{}@localhost'/>",
                user(contact)
            );
            clients.swarm.send(*link, stanza.as_bytes());
            missing += 1;
        }
    }
    let until = Instant::now() + SUBSCRIBE_LIMIT;
    while missing > 0 {
        if Instant::now() > until {
            return Err(format!("{missing} subscriptions were never answered").into());
        }
        clients.stanzas(Duration::from_secs(1), |swarm, link, stanza| {
            if !stanza.starts_with(b"<presence") {
                return Ok(());
            }
            match (
                scan::attribute(stanza, "type"),
                scan::attribute(stanza, "from"),
            ) {
                (Some("subscribe"), Some(from)) => {
                    let reply = format!("<presence type='subscribed' to='{from}'/>");
                    swarm.send(link, reply.as_bytes());
                }
                (Some("subscribed"), _) => missing -= 1,
                _ => {}
            }
            Ok(())
        })?;
    }
    Ok(())
}
