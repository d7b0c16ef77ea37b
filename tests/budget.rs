//! The memory budget (`memory_bytes_max`), reached: who gives way, in which order, and that nothing is lost by it.
use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use stonechat::server::Input;
use stonechat::state::{MemoryAccount, Session};
use stonechat::xmpp::Jid;

use crate::transcript::core::Core;
use crate::transcript::simple::Simple;
use crate::transcript::tls::{Process, TestDir, operate};

const BYTES_MAX: usize = 256 << 10;

fn session<'c>(core: &'c Core, name: &str) -> &'c Session {
    let jid = Jid::parse(&format!("{name}@localhost/r")).expect("a JID");
    core.server()
        .state()
        .sessions
        .find(&jid)
        .expect("a session")
}

fn queue_bytes(core: &Core, name: &str) -> usize {
    let management = session(core, name).management.as_ref();
    management.map_or(0, |management| management.queue_bytes())
}

fn look(core: &mut Core, outside_bytes: usize) -> MemoryAccount {
    core.step(Input::Memory { outside_bytes });
    core.server().state().memory
}

#[test]
fn those_away_give_way_first_and_lose_nothing() {
    let accounts = ["juliet", "romeo", "nurse", "tybalt"];
    let mut core = Core::with_settings(&accounts, |settings| settings.memory_bytes_max = BYTES_MAX);
    core.bind("juliet/r");
    let mut names = Vec::new();
    for name in ["romeo", "nurse", "tybalt"] {
        let client = format!("{name}/r");
        core.bind(&client);
        names.push(core.enable(&client, 600));
        core.say(&client, "<presence/>");
    }
    core.cut("romeo/r");
    core.cut("nurse/r");
    for (name, kilobytes) in [("romeo", 50), ("nurse", 20), ("tybalt", 90)] {
        for _ in 0..kilobytes {
            let body = "x".repeat(1000);
            core.say(
                "juliet/r",
                &format!(
                    "<message to='{name}@localhost/r' type='chat'><body>{body}</body>\
                     <no-store xmlns='urn:xmpp:hints'/></message>"
                ),
            );
        }
    }
    let inside = look(&mut core, 0).inside();
    assert!((160_000..BYTES_MAX).contains(&inside), "{inside}");
    let is_asleep = |core: &Core, name: &str| session(core, name).is_asleep();
    // Exactly full is not too much.
    look(&mut core, BYTES_MAX - inside);
    assert!(!is_asleep(&core, "romeo"));
    // A little too much: the largest of those who are away.
    let account = look(&mut core, BYTES_MAX - inside + 1);
    assert!(account.total() < BYTES_MAX);
    assert!(is_asleep(&core, "romeo") && !is_asleep(&core, "nurse"));
    assert!(queue_bytes(&core, "tybalt") > 90_000);
    // Far too much: the other one, then the queue of somebody who is there.
    let account = look(&mut core, BYTES_MAX);
    assert!(is_asleep(&core, "nurse"));
    assert_eq!(queue_bytes(&core, "tybalt"), 0);
    assert_eq!(account.queues, 0);
    assert!(account.total() > BYTES_MAX, "nothing is left to give");
    // Everything is there still.
    for (name, id, count) in [("romeo", &names[0], 50), ("tybalt", &names[2], 90)] {
        core.log_in(name, name);
        core.say(
            name,
            &format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='1'/>"),
        );
        let mut came = 0;
        for element in core.all(name) {
            came += usize::from(element.root().name() == "message");
        }
        assert_eq!(came, count, "{name}");
    }
}

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

#[test]
fn who_does_not_read_is_ended_before_others_suffer() {
    let settings = "memory_bytes_max = 1572864\nsend_queue_bytes_max = 104857600\n";
    let (dir, process) = house("slow-reader", settings);
    let mut romeo = Simple::log_in(&process.access, "romeo", "secret", "r").expect("log in");
    romeo.send("<presence/>").expect("send");
    let mut juliet = Simple::log_in(&process.access, "juliet", "secret", "r").expect("log in");
    let body = "x".repeat(100_000);
    let message = format!(
        "<message to='romeo@localhost/r' type='chat'><body>{body}</body>\
         <no-store xmlns='urn:xmpp:hints'/></message>"
    );
    // The kernel takes some megabytes; then it is the server's memory.
    let is_ended = (0..60).any(|round| {
        let id = format!("p{round}");
        let ping = format!("<iq type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>");
        juliet.send(&message.repeat(5)).expect("send");
        juliet.send(&ping).expect("send");
        juliet.until_answer(&id).expect("juliet is served");
        let (_, status) = operate(&dir.0, &["status"], "");
        status.contains("sessions     1\n")
    });
    assert!(is_ended, "romeo is there still");
}

#[test]
fn nobody_new_is_let_in_when_nothing_is_left_to_give() {
    // Less than the database's cache.
    let (dir, process) = house("no-memory", "memory_bytes_max = 100000\n");
    let (_, status) = operate(&dir.0, &["status"], "");
    assert!(status.contains("used of 100000\n"), "{status}");
    let mut refused = TcpStream::connect(process.access.c2s_tls).expect("connect");
    refused
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a time limit");
    let told = refused.read(&mut [0; 1]);
    let is_reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(
        matches!(&told, Ok(0)) || told.as_ref().is_err_and(is_reset),
        "{told:?}"
    );
    assert!(Simple::log_in(&process.access, "romeo", "secret", "r").is_err());
}

const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

/// Strangers that send halves go before anything of members does, those with most first and of these the oldest.
#[test]
fn halves_of_strangers_go_first() {
    let mut core =
        Core::with_settings(&["romeo"], |settings| settings.memory_bytes_max = BYTES_MAX);
    core.bind("romeo/r");
    let half = |bytes: usize| format!("{HEADER}<auth x='{}", "x".repeat(bytes));
    for (name, bytes) in [
        ("small", 1_000),
        ("first", 15_000),
        ("second", 15_000),
        ("third", 15_000),
    ] {
        core.connect(name, true);
        core.send(name, half(bytes).as_bytes());
    }
    let inside = look(&mut core, 0).inside();
    assert!((45_000..BYTES_MAX).contains(&inside), "{inside}");
    let is_gone = |core: &Core, name: &str| core.clients[name].1.closed;
    // A little too much: an eighth of all comes free.
    look(&mut core, BYTES_MAX - inside + 1);
    for (name, expected) in [
        ("first", true),
        ("second", true),
        ("small", false),
        ("romeo/r", false),
    ] {
        assert_eq!(is_gone(&core, name), expected, "{name}");
    }
    core.expect("first", "features");
    let error = core.expect("first", "error");
    assert!(
        error.source().contains("resource-constraint"),
        "{}",
        error.source()
    );
}

#[test]
fn halves_of_members_go_when_nothing_else_helps() {
    let mut core = Core::with_settings(&["romeo", "juliet"], |settings| {
        settings.memory_bytes_max = BYTES_MAX
    });
    for (client, bytes) in [("romeo/r", 200_000), ("juliet/r", 10_000)] {
        core.bind(client);
        core.send(
            client,
            format!("<message><body>{}", "x".repeat(bytes)).as_bytes(),
        );
    }
    look(&mut core, BYTES_MAX);
    assert!(!core.clients["romeo/r"].1.closed);
    // What the shell asks for when nobody is left who does not read.
    core.step(Input::MemoryOver { bytes: 1 });
    assert!(core.clients["romeo/r"].1.closed && !core.clients["juliet/r"].1.closed);
}

/// The same with the real process: halves of records, which never reach the core, and of elements.
#[test]
fn halves_are_bounded_by_the_budget() {
    const BYTES_MAX: usize = 4 << 20;
    let (dir, process) = house("halves", &format!("memory_bytes_max = {BYTES_MAX}\n"));
    let mut romeo = Simple::log_in(&process.access, "romeo", "secret", "r").expect("log in");
    let mut record = vec![22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3];
    record.resize(16_000, 0);
    let element = format!("{HEADER}<auth x='{}", "x".repeat(15_000)).into_bytes();
    let mut halves = Vec::new();
    for n in 0..600 {
        let (door, half) = match n % 2 {
            0 => (process.access.c2s_tls, &record),
            _ => (process.access.c2s, &element),
        };
        let mut tcp = TcpStream::connect(door).expect("connect");
        // It may have been sent away already.
        let _sent = std::io::Write::write_all(&mut tcp, half);
        halves.push(tcp);
        if n % 100 == 99 {
            let ping = format!("<iq type='get' id='p{n}'><ping xmlns='urn:xmpp:ping'/></iq>");
            romeo.send(&ping).expect("send");
            romeo
                .until_answer(&format!("p{n}"))
                .expect("romeo is served");
        }
    }
    let (_, status) = operate(&dir.0, &["status"], "");
    let budget = status.lines().find(|line| line.starts_with("budget bytes"));
    let used = budget.and_then(|line| line.split_whitespace().nth(2));
    let used: usize = used.expect("bytes").parse().expect("a number");
    assert!(used < BYTES_MAX + BYTES_MAX / 4, "{used}");
    Simple::log_in(&process.access, "juliet", "secret", "r").expect("others come in");
}
