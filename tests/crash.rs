//! SIGKILL under load at random moments: everything acknowledged is there afterwards, and nothing twice.
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use stonechat::xml::Element;

use crate::transcript::client::{Client, Received};
use crate::transcript::computed;
use crate::transcript::prng::Prng;
use crate::transcript::run::secret;
use crate::transcript::simple::Simple;
use crate::transcript::tls::{Access, Process, TestDir, operate};

const ROUNDS: usize = 20;
const SENDERS: usize = 3;
const COMPONENT: &str = "bridge.localhost";

/// What the server answered for.
#[derive(Default)]
struct Acknowledged {
    messages: Vec<String>,
    contacts: Vec<String>,
    accounts: Vec<String>,
}

#[test]
fn kill_under_load_loses_nothing() {
    let dir = TestDir::new("crash");
    let component = format!(
        "component = \"{COMPONENT} {}\"\ncomponent_addresses = \"127.0.0.1:0\"\n",
        secret(COMPONENT)
    );
    std::fs::write(dir.0.join("stonechat.toml"), component).expect("write the settings");
    let mut process = Process::start(&dir.0);
    for number in 0..SENDERS {
        add(&dir, &format!("sender{number}"));
    }
    add(&dir, "receiver");
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let mut prng = Prng(20);
    for round in 0..ROUNDS {
        let load_ms = 20 + prng.below(250) as u64;
        // In every other round the receiver is absent, so that messages wait.
        put_under_load(
            &mut process,
            &dir,
            round,
            load_ms,
            round % 2 == 0,
            &acknowledged,
        );
        process = Process::start(&dir.0);
    }
    let acknowledged = acknowledged.lock().unwrap();
    assert!(
        acknowledged.messages.len() > ROUNDS,
        "only {} messages",
        acknowledged.messages.len()
    );
    assert!(!acknowledged.contacts.is_empty());
    let of_bridge = |body: &&String| body.contains("bridge");
    assert!(acknowledged.messages.iter().any(|body| of_bridge(&body)));
    check(&process, &dir, &acknowledged);
}

fn add(dir: &TestDir, name: &str) {
    let (code, text) = operate(&dir.0, &["user", "add", name], "secret\n");
    assert_eq!(code, 0, "{text}");
}

fn put_under_load(
    process: &mut Process,
    dir: &TestDir,
    round: usize,
    load_ms: u64,
    present: bool,
    acknowledged: &Arc<Mutex<Acknowledged>>,
) {
    let mut threads = Vec::new();
    let ready = Arc::new(Barrier::new(SENDERS + 2));
    let address = process.access.components.expect("a component may connect");
    let (bridged, start_together) = (Arc::clone(acknowledged), Arc::clone(&ready));
    threads.push(std::thread::spawn(move || {
        let bridge = Bridge::come(address);
        start_together.wait();
        bridge.expect("connect").load(round, &bridged);
    }));
    for number in 0..SENDERS {
        let (access, acknowledged, ready) = (
            process.access.clone(),
            Arc::clone(acknowledged),
            Arc::clone(&ready),
        );
        threads.push(std::thread::spawn(move || {
            let sender = Simple::log_in(&access, &format!("sender{number}"), "secret", "crash");
            ready.wait();
            load(sender.expect("log in"), round, number, &acknowledged);
        }));
    }
    if present {
        let access = process.access.clone();
        threads.push(std::thread::spawn(move || receive(&access)));
    }
    ready.wait();
    let start = Instant::now();
    let name = format!("late{round}");
    // An account that is added while messages flow; acknowledged by the exit code.
    if operate(&dir.0, &["user", "add", &name], "secret\n").0 == 0 {
        acknowledged.lock().unwrap().accounts.push(name);
    }
    while start.elapsed() < Duration::from_millis(load_ms) {
        std::thread::yield_now();
    }
    process.kill();
    for thread in threads {
        thread.join().expect("a client");
    }
}

/// Takes what comes until the connection breaks.
fn receive(access: &Access) {
    let Ok(mut receiver) = Simple::log_in(access, "receiver", "secret", "crash") else {
        return;
    };
    if receiver.send("<presence/>").is_ok() {
        while receiver.next().is_ok() {}
    }
}

/// Messages and roster changes until the connection breaks; each is acknowledged by the answer to what follows it.
fn load(mut sender: Simple, round: usize, number: usize, acknowledged: &Mutex<Acknowledged>) {
    for count in 0..100_000 {
        let body = format!("{round}-{number}-{count}");
        let contact = format!("c{round}-{number}-{count}@localhost");
        let ping = format!("p{count}");
        let sent = sender.send(&format!(
            "<message to='receiver@localhost' type='chat'><body>{body}</body></message>\
             <iq type='get' id='{ping}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ));
        if sent.is_err() || sender.until_answer(&ping).is_err() {
            return;
        }
        acknowledged.lock().unwrap().messages.push(body);
        if count % 10 == 0 {
            let id = format!("r{count}");
            let set = format!(
                "<iq type='set' id='{id}'><query xmlns='jabber:iq:roster'><item jid='{contact}'/></query></iq>"
            );
            if sender.send(&set).is_err() || sender.until_answer(&id).is_err() {
                return;
            }
            acknowledged
                .lock()
                .unwrap()
                .contacts
                .push(format!("sender{number} {contact}"));
        }
    }
}

/// An external component, which has no acknowledgements but the answers to what it asks.
struct Bridge {
    tcp: TcpStream,
    client: Client,
}

impl Bridge {
    fn come(address: SocketAddr) -> std::io::Result<Bridge> {
        let mut bridge = Bridge {
            tcp: TcpStream::connect(address)?,
            client: Client::new(),
        };
        bridge.send(&format!(
            "<stream:stream to='{COMPONENT}' xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>"
        ))?;
        let header = bridge.next()?;
        let id = header.root().attribute("id").unwrap_or_default();
        bridge.send(&computed::fill(&format!(
            "<handshake>{{handshake {id} {}}}</handshake>",
            secret(COMPONENT)
        )))?;
        bridge.next()?;
        Ok(bridge)
    }

    fn send(&mut self, text: &str) -> std::io::Result<()> {
        self.tcp.write_all(text.as_bytes())
    }

    fn next(&mut self) -> std::io::Result<Element> {
        loop {
            match self.client.received.pop_front() {
                Some(Received::Element(element)) => return Ok(element),
                Some(Received::EndOfStream) => return Err(ErrorKind::UnexpectedEof.into()),
                None => {}
            }
            let mut buffer = [0; 16 << 10];
            match self.tcp.read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length => self.client.take(&buffer[..length]),
            }
        }
    }

    fn load(mut self, round: usize, acknowledged: &Mutex<Acknowledged>) {
        for count in 0..100_000 {
            let (body, ping) = (format!("{round}-bridge-{count}"), format!("p{count}"));
            let sent = self.send(&format!(
                "<message from='a@{COMPONENT}' to='receiver@localhost' type='chat'><body>{body}</body></message>\
                 <iq type='get' id='{ping}' from='{COMPONENT}' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"
            ));
            let is_answer =
                |element: &Element| element.root().attribute("id").as_deref() == Some(&*ping);
            if sent.is_err() {
                return;
            }
            loop {
                match self.next() {
                    Ok(element) if is_answer(&element) => break,
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
            acknowledged.lock().unwrap().messages.push(body);
        }
    }
}

fn check(process: &Process, dir: &TestDir, acknowledged: &Acknowledged) {
    let mut receiver =
        Simple::log_in(&process.access, "receiver", "secret", "check").expect("log in");
    let mut counts: HashMap<String, usize> = HashMap::new();
    for body in receiver.archive().expect("the archive") {
        *counts.entry(body).or_default() += 1;
    }
    for body in &acknowledged.messages {
        assert_eq!(counts.get(body), Some(&1), "message {body}");
    }
    assert!(
        counts.values().all(|count| *count == 1),
        "something is there twice"
    );
    for number in 0..SENDERS {
        let name = format!("sender{number}");
        let mut sender = Simple::log_in(&process.access, &name, "secret", "check").expect("log in");
        sender
            .send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
            .expect("send");
        let roster = sender
            .until_answer("r")
            .expect("a roster")
            .pop()
            .expect("the answer");
        for line in acknowledged
            .contacts
            .iter()
            .filter(|line| line.starts_with(&format!("{name} ")))
        {
            let contact = line.split(' ').nth(1).expect("a contact");
            assert_eq!(
                roster.source().matches(&format!("jid='{contact}'")).count(),
                1,
                "{line}"
            );
        }
    }
    let (_, users) = operate(&dir.0, &["user", "list"], "");
    for account in &acknowledged.accounts {
        assert_eq!(
            users.matches(&format!("{account}@localhost")).count(),
            1,
            "account {account}"
        );
    }
}
