//! RFC 6120 §4.9.3.19: accounts that moved to another server, and a server that is to be emptied. Only what came through TLS
//! is sent away; what may be resumed here stays, for whoever does not find what he looks for.
use std::net::IpAddr;

use crate::server::{Server, Step};
use crate::state::{ConnectionId, Moment};
use crate::store::{AccountId, StoreError};
use crate::xmpp::{StreamError, domainpart, quoted};

use super::answer::Answer;

/// RFC 1035 §2.3.4, with brackets and a port.
const HOST_BYTES_MAX: usize = 263;

impl Server {
    pub(super) fn move_user(
        &mut self,
        step: &mut Step<'_>,
        (name, host): (&str, Option<&str>),
    ) -> Result<Answer, StoreError> {
        let (name, account) = match self.known_user(name, step.tx)? {
            Ok(known) => known,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(Err(error)) = host.map(require_host) {
            return Ok(Err(error));
        }
        step.tx.set_moved(account, host)?;
        self.state.redirects.set_moved(account, host);
        let jid = self.user_jid(&name);
        let Some(host) = host else {
            return Ok(Ok(format!("{} is here", quoted(jid.as_str()))));
        };
        let told = self.send_away(step.now, Some(account), host);
        Ok(Ok(format!(
            "{} is at {host} now; {told} sessions were told",
            quoted(jid.as_str())
        )))
    }

    pub(super) fn drain(&mut self, now: Moment, host: Option<&str>) -> Answer {
        if let Some(host) = host {
            require_host(host)?;
        }
        self.state.redirects.set_drain(host);
        let Some(host) = host else {
            return Ok("whoever comes may stay".to_string());
        };
        let told = self.send_away(now, None, host);
        Ok(format!(
            "whoever comes is sent to {host}; {told} sessions were told"
        ))
    }

    /// Tells those who are here, of one account or all. Those who were told within a minute stay.
    fn send_away(&mut self, now: Moment, account: Option<AccountId>, host: &str) -> usize {
        let sessions = self.state.sessions.all();
        let here = sessions.filter(|session| account.is_none_or(|only| session.account == only));
        let here = here.filter_map(|session| Some((session.connection?, session.account)));
        let here: Vec<(ConnectionId, AccountId)> = here.collect();
        for (connection, account) in &here {
            if let Some(known) = self.connections.get(connection) {
                let (redirects, address) = (&mut self.state.redirects, known.address);
                redirects.note_told(*account, address, now.monotonic_ms);
            }
            let error = StreamError::see_other_host(host);
            self.state.effects.ending.push((*connection, error));
        }
        here.len()
    }

    /// True: it was sent away, and its stream ends. Asked when its header says whose it is, and when that was proved.
    pub(in crate::server) fn is_sent_away(
        &mut self,
        now: Moment,
        id: ConnectionId,
        account: Option<AccountId>,
    ) -> bool {
        if self.state.redirects.is_empty() {
            return false;
        }
        let Some((connection, account)) = self.connections.get(&id).zip(account) else {
            return false;
        };
        let redirects = &mut self.state.redirects;
        let Some(host) = redirects.tell(account, connection.address, now.monotonic_ms) else {
            return false;
        };
        log::info!(
            "stream.sent_away connection={} host={}",
            id.0,
            quoted(&host)
        );
        self.state
            .effects
            .ending
            .push((id, StreamError::see_other_host(&host)));
        true
    }
}

/// §4.9.3.19: a name or an address, IPv6 in brackets, and a port or none.
fn require_host(text: &str) -> Result<(), String> {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (
            address,
            rest.strip_prefix(':').or(match rest {
                "" => None,
                _ => Some(""),
            }),
        ),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_host = host.parse::<IpAddr>().is_ok() || domainpart(host).is_ok();
    match text.len() <= HOST_BYTES_MAX && is_host && port.is_none_or(is_port) {
        true => Ok(()),
        false => Err(format!(
            "{} is no place to go\n  write HOST, HOST:PORT or [ADDRESS]:PORT",
            quoted(text)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_go_are_names_and_addresses() {
        for good in [
            "b.example",
            "b.example:5222",
            "192.0.2.1:5223",
            "[2001:db8::1]:5222",
            "[::1]",
        ] {
            assert_eq!(require_host(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            ":5222",
            "b.example:",
            "b.example:0",
            "b.example:70000",
            "[::1]x",
            "a b",
            "<x/>",
        ] {
            assert!(require_host(bad).is_err(), "{bad}");
        }
    }
}
