//! Who reads slowly gets everything, who sends fast loses nothing: the real process, real sockets.
use std::time::{Duration, Instant};

use crate::transcript::simple::Simple;
use crate::transcript::tls::{Access, Process, TestDir, operate};

fn house(name: &str, settings: &str) -> (TestDir, Process) {
    let dir = TestDir::new(name);
    std::fs::write(dir.0.join("stonechat.toml"), settings).expect("write the settings");
    let process = Process::start(&dir.0);
    for account in ["romeo", "juliet"] {
        let (code, text) = operate(&dir.0, &["user", "add", account], "secret\n");
        assert_eq!(code, 0, "{text}");
    }
    (dir, process)
}

fn log_in(access: &Access, account: &str) -> Simple {
    let mut client = Simple::log_in(access, account, "secret", "r").expect("log in");
    client.send("<presence/>").expect("send");
    client.expect("presence").expect("its own");
    client
}

fn message(n: usize, bytes: usize) -> String {
    let body = "x".repeat(bytes);
    format!(
        "<message to='romeo@localhost/r' type='chat' id='m{n}'><body>{body}</body><no-store xmlns='urn:xmpp:hints'/></message>"
    )
}

/// Until the kernel holds as much as it will, and the server the rest.
fn until_unsent(dir: &TestDir, wanted: usize) {
    loop {
        let (_, status) = operate(&dir.0, &["status"], "");
        let line = status.lines().find(|line| line.starts_with("queue bytes"));
        let out = line.and_then(|line| line.split_whitespace().nth_back(1));
        if out.expect("bytes out").parse::<usize>().expect("a number") > wanted {
            return;
        }
    }
}

#[test]
fn a_burst_does_not_throw_a_slow_reader_off() {
    const MESSAGES: usize = 3000;
    let (dir, process) = house("burst", "send_queue_bytes_max = 1048576\n");
    let mut romeo = log_in(&process.access, "romeo");
    let access = process.access.clone();
    let sender = std::thread::spawn(move || {
        let mut juliet = log_in(&access, "juliet");
        (0..MESSAGES).for_each(|n| juliet.send(&message(n, 4000)).expect("send"));
        let ping = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";
        juliet.send(ping).expect("send");
        juliet.until_answer("p").expect("juliet is there still");
    });
    until_unsent(&dir, 300 << 10);
    for n in 0..MESSAGES {
        let message = romeo.expect("message").expect("romeo is there still");
        let id = message.root().attribute("id").expect("an id").into_owned();
        assert_eq!(id, format!("m{n}"));
    }
    sender.join().expect("all is sent");
}

#[test]
fn a_large_answer_comes_whole_however_late_it_is_read() {
    const GETS: usize = 40;
    let (dir, process) = house("answer", "send_queue_bytes_max = 65536\n");
    let (mut romeo, mut juliet) = (
        log_in(&process.access, "romeo"),
        log_in(&process.access, "juliet"),
    );
    let name = "x".repeat(1000);
    for n in 0..300 {
        romeo.send(&format!("<iq type='set' id='s{n}'><query xmlns='jabber:iq:roster'><item jid='c{n}@localhost' name='{name}'/></query></iq>")).expect("send");
    }
    romeo.until_answer("s299").expect("a roster");
    let get = |n| format!("<iq type='get' id='g{n}'><query xmlns='jabber:iq:roster'/></iq>");
    romeo
        .send(&(0..GETS).map(get).collect::<String>())
        .expect("send");
    until_unsent(&dir, 65_536);
    // More than may wait for it beside that, but not at once.
    (0..10).for_each(|n| juliet.send(&message(n, 1000)).expect("send"));
    let mut messages = 0;
    for n in 0..GETS {
        let seen = romeo
            .until_answer(&format!("g{n}"))
            .expect("romeo is there still");
        let roster = seen.last().expect("the answer");
        assert_eq!(
            roster
                .root()
                .children()
                .next()
                .expect("a query")
                .children()
                .count(),
            300
        );
        messages += seen
            .iter()
            .filter(|element| element.root().name() == "message")
            .count();
    }
    while messages < 10 {
        romeo.expect("message").expect("what juliet sent");
        messages += 1;
    }
}

#[test]
fn who_sends_faster_than_allowed_is_read_more_slowly() {
    let (_dir, process) = house("pace", "read_stanzas_per_second_max = 20\n");
    let mut romeo = log_in(&process.access, "romeo");
    let ping = |n| format!("<iq type='get' id='p{n}'><ping xmlns='urn:xmpp:ping'/></iq>");
    let start = Instant::now();
    romeo
        .send(&(0..64).map(ping).collect::<String>())
        .expect("send");
    // Two seconds' worth is free.
    romeo.until_answer("p63").expect("all are answered");
    romeo.send(&ping(64)).expect("send");
    romeo.until_answer("p64").expect("nothing is lost");
    assert!(
        start.elapsed() > Duration::from_millis(700),
        "{:?}",
        start.elapsed()
    );
}

/// What somebody says takes longer than a turn, and the end of the connection is there already: it does not overtake.
#[test]
fn what_was_said_before_the_end_is_done_before_it() {
    let (_dir, process) = house("end", "");
    let mut romeo = log_in(&process.access, "romeo");
    let get = |n| format!("<iq type='get' id='g{n}'><query xmlns='jabber:iq:roster'/></iq>");
    for round in 0..20 {
        let mut juliet = log_in(&process.access, "juliet");
        let mut all: String = (0..100).map(get).collect();
        all.extend((0..20).map(|n| message(round * 20 + n, 10)));
        juliet.send(&all).expect("send");
        // Whoever ends it, nobody is answered any more.
        let _ended = juliet.hang_up();
        for n in 0..20 {
            let message = romeo.expect("message").expect("what was said");
            let id = message.root().attribute("id").expect("an id").into_owned();
            assert_eq!(id, format!("m{}", round * 20 + n));
        }
    }
}
