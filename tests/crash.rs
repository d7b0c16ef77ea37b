//! SIGKILL under load at random moments: everything acknowledged is there afterwards, and nothing twice.
use std::collections::HashMap;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use crate::transcript::prng::Prng;
use crate::transcript::simple::Simple;
use crate::transcript::tls::{Access, Process, TestDir, operate};

const ROUNDS: usize = 20;
const SENDERS: usize = 3;

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
    let ready = Arc::new(Barrier::new(SENDERS + 1));
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
