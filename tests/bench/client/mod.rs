//! The clients under whose load a server is measured: many sessions on one thread.

mod login;
pub mod trust;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::scram::Scram;
use crate::swarm::{LinkId, Swarm};
use crate::{Outcome, scan};

use login::Login;

const LOGIN_LIMIT: Duration = Duration::from_secs(60);

/// Where to connect: a server has both a STARTTLS and a direct TLS port.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    pub plain: SocketAddr,
    pub tls: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    StartTls,
    Direct,
}

/// A user name and a resource.
pub type Who = (String, String);

pub struct Clients {
    pub swarm: Swarm,
    pub security: Security,
    scram: Scram,
    with_alpn: Arc<ClientConfig>,
    without_alpn: Arc<ClientConfig>,
    logins: HashMap<LinkId, Login>,
    links: Vec<LinkId>,
    /// The server is to end it.
    leaving: Option<LinkId>,
    nonce: u64,
    /// The SASL mechanism of the last login.
    pub mechanism: &'static str,
}

impl Clients {
    pub fn new(password: &str) -> Outcome<Clients> {
        let without_alpn = trust::client_config()?;
        let mut with_alpn = without_alpn.clone();
        // XEP-0368 §3: direct TLS is told apart by ALPN.
        with_alpn.alpn_protocols = vec![b"xmpp-client".to_vec()];
        Ok(Clients {
            swarm: Swarm::new()?,
            security: Security::Direct,
            scram: Scram::new(password),
            with_alpn: Arc::new(with_alpn),
            without_alpn: Arc::new(without_alpn),
            logins: HashMap::new(),
            links: Vec::new(),
            leaving: None,
            nonce: 0,
            mechanism: "",
        })
    }

    /// Logs all in, so many at a time; their links are in the same order.
    pub fn log_in(&mut self, door: Door, who: &[Who], at_once: usize) -> Outcome<Vec<LinkId>> {
        let mut links = Vec::with_capacity(who.len());
        let mut waiting = who.iter();
        let mut progress = Instant::now();
        let mut bound = 0;
        while bound < who.len() {
            while self.logins.len() < at_once
                && let Some((user, resource)) = waiting.next()
            {
                links.push(self.begin_login(door, user, resource)?);
            }
            let now_bound = self.turn_logins()?;
            if now_bound > 0 {
                progress = Instant::now();
                bound += now_bound;
            } else if progress.elapsed() > LOGIN_LIMIT {
                return Err(format!("no login finished for {LOGIN_LIMIT:?}").into());
            }
        }
        Ok(links)
    }

    /// Gives every complete stanza that arrives within `wait` of now to `handle`; how many there were.
    pub fn stanzas<F>(&mut self, wait: Duration, mut handle: F) -> Outcome<usize>
    where
        F: FnMut(&mut Swarm, LinkId, &[u8]) -> Outcome<()>,
    {
        self.swarm.turn(wait)?;
        let mut count = 0;
        while let Some(news) = self.swarm.next_news() {
            let bytes = self.swarm.take(news.id);
            if self.leaving == Some(news.id) {
                self.let_go(news.id, news.ended);
                continue;
            }
            let mut used = 0;
            while let Some((stanza, length)) = scan::piece(&bytes[used..]) {
                refuse_stream_error(stanza)?;
                handle(&mut self.swarm, news.id, stanza)?;
                used += length;
                count += 1;
            }
            if news.ended {
                return Err("the server closed a connection".into());
            }
            self.swarm.keep(news.id, bytes, used);
        }
        Ok(count)
    }

    /// Reads and forgets until nothing has come for `quiet`.
    pub fn settle(&mut self, quiet: Duration, limit: Duration) -> Outcome<()> {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if self.stanzas(quiet, |_, _, _| Ok(()))? == 0 {
                return Ok(());
            }
        }
        Err(format!("the server still sends after {limit:?}").into())
    }

    /// Sends a stanza and waits for the answer with that id; what else arrives is forgotten.
    pub fn ask(&mut self, link: LinkId, stanza: &str, id: &str) -> Outcome<()> {
        self.answer(link, stanza, id).map(|_| ())
    }

    /// The same, for who wants to know what the answer says.
    pub fn answer(&mut self, link: LinkId, stanza: &str, id: &str) -> Outcome<Vec<u8>> {
        self.swarm.send(link, stanza.as_bytes());
        let until = Instant::now() + Duration::from_secs(60);
        let mut answer = None;
        loop {
            if let Some(answer) = answer {
                return Ok(answer);
            }
            if Instant::now() > until {
                return Err(format!("no answer to {id}").into());
            }
            self.stanzas(Duration::from_secs(1), |_, from, stanza| {
                if from == link && scan::attribute(stanza, "id") == Some(id) {
                    refuse_error(stanza)?;
                    answer = Some(stanza.to_vec());
                }
                Ok(())
            })?;
        }
    }

    /// A connection with TLS and no more: for the relay.
    pub fn connect_bare(&mut self, door: Door) -> Outcome<LinkId> {
        let link = self.swarm.connect(door.tls)?;
        self.swarm.start_tls(link, &self.without_alpn)?;
        self.links.push(link);
        Ok(link)
    }

    /// Reads a link to its end, which the server was asked for.
    pub fn leave(&mut self, link: LinkId) -> Outcome<()> {
        let until = Instant::now() + LOGIN_LIMIT;
        let mut left = false;
        while !left {
            if Instant::now() > until {
                return Err("the server does not end a stream".into());
            }
            self.swarm.turn(Duration::from_millis(100))?;
            while let Some(news) = self.swarm.next_news() {
                let bytes = self.swarm.take(news.id);
                match news.id == link {
                    true => left |= news.ended || scan::has(&bytes, "</stream:stream>"),
                    false => self.swarm.keep(news.id, bytes, 0),
                }
            }
        }
        self.swarm.close(link);
        self.links.retain(|known| *known != link);
        Ok(())
    }

    /// Sends what makes the server end this link, and does not wait for it.
    pub fn send_last(&mut self, link: LinkId, stanza: &str) {
        self.swarm.send(link, stanza.as_bytes());
        self.leaving = Some(link);
    }

    fn let_go(&mut self, link: LinkId, ended: bool) {
        if ended {
            self.swarm.close(link);
            self.links.retain(|known| *known != link);
            self.leaving = None;
        }
    }

    /// Ends every session as a client does, by ending the stream.
    pub fn close_all(&mut self) {
        let links = std::mem::take(&mut self.links);
        for link in &links {
            self.swarm.send(*link, b"</stream:stream>");
        }
        // The end of the stream should leave; the sockets are closed whether or not it is answered.
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until && self.swarm.turn(Duration::from_millis(50)).is_ok() {
            let mut heard = false;
            while let Some(news) = self.swarm.next_news() {
                self.swarm.take(news.id);
                heard |= !news.ended;
            }
            if !heard {
                break;
            }
        }
        for link in links {
            self.swarm.close(link);
        }
        self.leaving = None;
        self.logins.clear();
    }

    /// Drops all connections at once, after something went wrong.
    pub fn forget_all(&mut self) {
        for link in std::mem::take(&mut self.links) {
            self.swarm.close(link);
        }
        self.leaving = None;
        self.logins.clear();
    }

    fn begin_login(&mut self, door: Door, user: &str, resource: &str) -> Outcome<LinkId> {
        self.nonce += 1;
        let link = match self.security {
            Security::Direct => {
                let link = self.swarm.connect(door.tls)?;
                self.swarm.start_tls(link, &self.with_alpn)?;
                link
            }
            Security::StartTls => self.swarm.connect(door.plain)?,
        };
        self.links.push(link);
        self.swarm.send(link, login::HEADER);
        let login = Login::new(self.security, user, resource, self.nonce);
        self.logins.insert(link, login);
        Ok(link)
    }

    /// Moves the logins under way; how many have got their resource now.
    fn turn_logins(&mut self) -> Outcome<usize> {
        self.swarm.turn(Duration::from_millis(100))?;
        let mut bound = 0;
        while let Some(news) = self.swarm.next_news() {
            let bytes = self.swarm.take(news.id);
            let mut used = 0;
            while let Some((stanza, length)) = scan::piece(&bytes[used..]) {
                refuse_stream_error(stanza)?;
                used += length;
                bound += usize::from(self.advance(news.id, stanza)?);
            }
            if news.ended {
                return Err("the server closed a connection during login".into());
            }
            self.swarm.keep(news.id, bytes, used);
        }
        Ok(bound)
    }

    /// True when this stanza completed the link's login.
    fn advance(&mut self, link: LinkId, stanza: &[u8]) -> Outcome<bool> {
        let Some(login) = self.logins.get_mut(&link) else {
            return Ok(false);
        };
        let reply = login.on(stanza, &mut self.scram)?;
        self.swarm.send(link, reply.bytes.as_bytes());
        if reply.start_tls {
            self.swarm.start_tls(link, &self.without_alpn)?;
            self.swarm.send(link, login::HEADER);
        }
        if reply.bound {
            self.mechanism = login.mechanism();
            self.logins.remove(&link);
        }
        Ok(reply.bound)
    }
}

fn refuse_stream_error(stanza: &[u8]) -> Outcome<()> {
    if stanza.starts_with(b"<stream:error") {
        return Err(String::from_utf8_lossy(stanza).into());
    }
    Ok(())
}

/// An error stanza where there should be none makes the figures worthless.
pub fn refuse_error(stanza: &[u8]) -> Outcome<()> {
    if scan::attribute(stanza, "type") == Some("error") {
        return Err(format!("the server refused: {}", String::from_utf8_lossy(stanza)).into());
    }
    Ok(())
}
