//! `stonechat archive`, with and without a running server: long archives come whole, in pieces.
use std::path::Path;

use stonechat::server::{ArchiveAction, ArchiveAsk, Command};
use stonechat::store::{Direction, Owner, Record, Store};
use stonechat::xmpp::{Jid, Timestamp};

use crate::transcript::core::{Core, START};
use crate::transcript::tls::{Process, TestDir, operate};

const MESSAGES: i64 = 2_100;
const DAY_MS: i64 = 86_400_000;

fn fill(data: &Path) {
    let store = Store::open(&data.join("stonechat.redb"), 1 << 20).unwrap();
    let mut tx = store.begin();
    let account = tx.account("alice").unwrap().unwrap().id;
    let jid = |text: &str| Jid::parse(text).unwrap();
    let (own, bob, eve) = (
        jid("alice@localhost"),
        jid("bob@localhost/1"),
        jid("eve@localhost/1"),
    );
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let now = i64::try_from(now.as_millis()).unwrap();
    for n in 0..MESSAGES {
        let from = if n % 100 == 7 { &eve } else { &bob };
        // The last hundred are of today, and nobody has seen the first.
        let days = if n < MESSAGES - 100 { 40 } else { 0 };
        let owners = [Owner {
            account,
            direction: Direction::Received,
            unseen: n == 0,
        }];
        let xml = format!(
            "<message xmlns='jabber:client' from='{from}' to='{own}' id='m{n}' type='chat'><body>Line {n} &lt;of&gt; Many</body></message>"
        );
        tx.append(&Record {
            owners: &owners,
            from,
            to: &own,
            at: Timestamp(now - days * DAY_MS + n),
            xml: &xml,
            act: None,
        })
        .unwrap();
    }
    tx.finish().unwrap().run().unwrap();
}

#[test]
fn archives_are_shown_searched_exported_and_pruned() {
    for running in [false, true] {
        let dir = TestDir::new("archives");
        let data = &dir.0;
        std::fs::write(data.join("stonechat.toml"), "domain = 'localhost'").unwrap();
        let (code, text) = operate(data, &["user", "add", "alice", "--create"], "secret\n");
        assert_eq!(code, 0, "{text}");
        fill(data);
        let _process = running.then(|| Process::start(data));
        let ok = |words: &[&str]| {
            let (code, text) = operate(data, words, "");
            assert_eq!(code, 0, "{words:?}: {text}");
            text
        };
        let stats = ok(&["archive", "stats", "alice"]);
        assert!(stats.starts_with("messages: 2100\nbytes: "), "{stats}");
        assert!(
            stats.contains("\noldest: 2") && stats.contains("\nnewest: 2"),
            "{stats}"
        );
        let shown = ok(&["archive", "show", "alice@localhost"]);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 2100);
        assert!(
            lines[7].ends_with("\teve@localhost/1 -> alice@localhost\tLine 7 <of> Many"),
            "{}",
            lines[7]
        );
        assert_eq!(
            ok(&["archive", "show", "alice", "eve@localhost"])
                .lines()
                .count(),
            21
        );
        let found = ok(&["archive", "search", "alice", "line", "2099", "<OF>"]);
        assert_eq!(found.lines().count(), 1, "{found}");
        assert!(
            ok(&["archive", "search", "alice", "nothing of it"])
                .trim()
                .is_empty()
        );
        // Many pieces, and the last word may go on.
        let found = ok(&["archive", "search", "alice", "many", "LIN"]);
        assert_eq!(found.lines().count(), 2100);
        assert_eq!(
            ok(&["archive", "search", "alice", "of", "1"])
                .lines()
                .count(),
            1111
        );
        let export = ok(&["archive", "export", "alice"]);
        let element =
            stonechat::xml::parse_stored(export.split_once('\n').unwrap().1.trim(), "").unwrap();
        let path = ["host", "user"]
            .iter()
            .try_fold(element.root(), |at, name| at.child(name, "urn:xmpp:pie:0"));
        let archive = path
            .unwrap()
            .child("archive", "urn:xmpp:pie:0#mam")
            .unwrap();
        assert_eq!(archive.children().count(), 2100);
        // What nobody has received stays.
        assert_eq!(
            ok(&["archive", "prune", "alice", "30"]).trim(),
            "removed 1999 messages"
        );
        assert_eq!(ok(&["archive", "show", "alice"]).lines().count(), 101);
        for (words, told) in [
            (&["archive", "show", "nobody"][..], "nobody"),
            (&["archive", "prune", "alice", "many"], "no number of days"),
            (&["archive", "prune", "alice"], "how many days"),
            (&["archive", "search", "alice"], "which text"),
            (&["archive", "search", "alice", "<?>"], "no word"),
            (&["archive", "show", "alice", "@@"], "no address"),
            (&["archive", "show", "alice", "bbo"], "no user bbo"),
            (&["archive", "show", "alice", "bob", "eve"], "name one"),
            (&["archive", "stats", "alice", "bob"], "nothing is needed"),
            (&["archive", "show", "hall@chat.localhost"], "no channel"),
        ] {
            let (code, text) = operate(data, words, "");
            assert!(code == 1 && text.contains(told), "{words:?}: {text}");
        }
    }
}

/// Whoever reads an export has to know that it is whole.
#[test]
fn what_is_not_written_is_told_of() {
    let dir = TestDir::new("archives-cut");
    let data = &dir.0;
    std::fs::write(data.join("stonechat.toml"), "domain = 'localhost'").unwrap();
    let (code, text) = operate(data, &["user", "add", "alice", "--create"], "secret\n");
    assert_eq!(code, 0, "{text}");
    fill(data);
    let run = |words: &str, out: std::process::Stdio| {
        std::process::Command::new(env!("CARGO_BIN_EXE_stonechat"))
            .args(words.split(' '))
            .arg("--data")
            .arg(data)
            .stdout(out)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    for action in [
        "archive export alice",
        "archive show alice",
        "archive stats alice",
        "user list",
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let ended = run(action, full.unwrap().into())
            .wait_with_output()
            .unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(errors.contains("not written"), "{action}: {errors}");
        assert_eq!(ended.status.code(), Some(1));
        // Who reads the first line only (`| head -1`) is told nothing.
        let mut ends = run(action, std::process::Stdio::piped());
        drop(ends.stdout.take());
        let ended = ends.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{action}");
        assert_eq!(ended.status.code(), Some(0));
    }
}

#[test]
fn what_is_damaged_is_told_of() {
    let dir = TestDir::new("archives-damaged");
    let data = &dir.0;
    std::fs::write(data.join("stonechat.toml"), "domain = 'localhost'").unwrap();
    let (code, text) = operate(data, &["user", "add", "alice", "--create"], "secret\n");
    assert_eq!(code, 0, "{text}");
    fill(data);
    // What is not in the index yet, is not missed there.
    operate(data, &["archive", "search", "alice", "Line"], "");
    let path = data.join("stonechat.redb");
    // The journal would bring it back.
    Store::open(&path, 1 << 20).unwrap().settle().unwrap();
    let mut file = std::fs::read(&path).unwrap();
    let needle = b"Line 1234 &lt;";
    let places = (0..file.len() - needle.len()).filter(|at| file[*at..].starts_with(needle));
    for at in places.collect::<Vec<_>>() {
        file[at] ^= 1;
    }
    std::fs::write(&path, &file).unwrap();
    for words in [&["export", "alice"][..], &["show", "alice"]] {
        let (code, text) = operate(data, &[&["archive"], words].concat(), "");
        assert_eq!(code, 1);
        assert!(
            text.contains("1 messages are damaged and left out"),
            "{}",
            text.len()
        );
        assert!(text.contains("Line 1233") && text.contains("Line 1235"));
    }
}

/// The text of the answers, all pieces of it, without the times.
fn shown(core: &mut Core, user: &str, about: &str) -> Vec<String> {
    let ask = ArchiveAsk {
        action: ArchiveAction::Show,
        user: user.to_string(),
        about: about.to_string(),
        after: String::new(),
    };
    let (code, text) = core.command(Command::Archive(ask));
    assert_eq!(code, 0, "{text}");
    let lines = text.lines().skip(1);
    lines
        .map(|line| line.split_once('\t').unwrap().1.replace('\t', ": "))
        .collect()
}

#[test]
fn what_messages_do_to_each_other_is_shown() {
    let mut core = Core::with_settings(&["alice", "bob"], |_| {});
    core.bind("alice/1");
    core.bind("bob/1");
    let mut say = |who: &str, id: &str, children: &str| {
        let to = if who == "bob/1" { "alice" } else { "bob" };
        let message =
            format!("<message to='{to}@localhost' type='chat' id='{id}'>{children}</message>");
        core.say(who, &message);
    };
    say("alice/1", "m1", "<body>hello\nBob\u{9b}31m</body>");
    say(
        "alice/1",
        "m2",
        "<body>a long one, of which no more is repeated than so much</body>",
    );
    say("alice/1", "m3", "<body>secret</body>");
    say(
        "alice/1",
        "m4",
        "<body>right</body><replace xmlns='urn:xmpp:message-correct:0' id='m2'/>",
    );
    say(
        "alice/1",
        "m5",
        "<retract xmlns='urn:xmpp:message-retract:1' id='m3'/><store xmlns='urn:xmpp:hints'/>",
    );
    for (id, inside) in [
        ("r1", "<reaction>+</reaction><reaction>-</reaction>"),
        ("r2", ""),
    ] {
        let reactions =
            format!("<reactions xmlns='urn:xmpp:reactions:0' id='m1'>{inside}</reactions>");
        say(
            "bob/1",
            id,
            &format!("{reactions}<store xmlns='urn:xmpp:hints'/>"),
        );
    }
    say(
        "bob/1",
        "d1",
        "<displayed xmlns='urn:xmpp:chat-markers:0' id='m2'/>",
    );
    say(
        "bob/1",
        "d2",
        "<received xmlns='urn:xmpp:receipts' id='m9'/>",
    );
    say(
        "bob/1",
        "e1",
        "<encrypted xmlns='eu.siacs.conversations.axolotl'/><body>I sent you an OMEMO encrypted message</body>",
    );
    say(
        "bob/1",
        "y1",
        "<body>&gt; hello\nyes</body><reply xmlns='urn:xmpp:reply:0' to='alice@localhost' id='m1'/>\
         <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='8'/></fallback>",
    );
    let (there, back) = (
        "alice@localhost/1 -> bob@localhost: ",
        "bob@localhost/1 -> alice@localhost: ",
    );
    let expected = [
        (there, r"hello Bob\u{9b}31m"),
        (
            there,
            "a long one, of which no more is repeated than so much",
        ),
        (there, "[retracted]"),
        (
            there,
            "[corrects \"a long one, of which no more is repeated…\"] right",
        ),
        (there, "[retracts m3]"),
        (back, r#"[reacts to "hello Bob\\u{9b}31m"] + -"#),
        (back, r#"[reacts to "hello Bob\\u{9b}31m"] [no more]"#),
        (
            back,
            "[has seen \"a long one, of which no more is repeated…\"]",
        ),
        (back, "[has received m9]"),
        (back, "[encrypted]"),
        (back, r#"[replies to "hello Bob\\u{9b}31m"] yes"#),
    ];
    let expected = expected.map(|(who, what)| format!("{who}{what}"));
    for (user, with) in [
        ("alice", ""),
        ("bob@localhost", "alice"),
        ("bob", "alice@localhost"),
    ] {
        assert_eq!(shown(&mut core, user, with), expected);
    }
}

#[test]
fn a_channels_archive_is_shown_counted_and_pruned() {
    let mut core = Core::with_settings(&["alice"], |_| {});
    core.bind("alice/1");
    core.say(
        "alice/1",
        "<presence to='coven@chat.localhost/Witch'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
    );
    core.say(
        "alice/1",
        "<iq type='set' id='c' to='coven@chat.localhost'><query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'/></query></iq>",
    );
    core.say(
        "alice/1",
        "<message to='coven@chat.localhost' type='groupchat' id='g1'><body>when shall we</body></message>",
    );
    let channel = "coven@chat.localhost";
    let line = format!("{channel}/Witch -> {channel}: when shall we");
    assert_eq!(shown(&mut core, channel, ""), [line]);
    core.wait(3 * 86_400_000);
    let mut ask = |action, about: &str| {
        core.command(Command::Archive(ArchiveAsk {
            action,
            user: channel.to_string(),
            about: about.to_string(),
            after: String::new(),
        }))
    };
    let (code, text) = ask(ArchiveAction::Export, "");
    assert!(code == 1 && text.contains("of users"), "{text}");
    let (_, text) = ask(ArchiveAction::Search, "shall");
    assert!(text.contains("when shall we"), "{text}");
    let (_, text) = ask(ArchiveAction::Stats, "");
    assert!(text.starts_with("\n1\nbytes: "), "{text}");
    let (_, text) = ask(ArchiveAction::Prune, "1");
    assert!(text.ends_with("\n1"), "{text}");
    let (_, text) = ask(ArchiveAction::Stats, "");
    assert_eq!(text.trim(), "0\nbytes: 0");
}

/// Nor are its words, and what others have stays.
#[test]
fn what_is_pruned_is_not_in_the_file() {
    let mut core = Core::with_settings(&["alice"], |_| {});
    core.stop_and(|tx| {
        let account = tx.account("alice").unwrap().unwrap().id;
        let (own, bob) = (
            Jid::parse("alice@localhost").unwrap(),
            Jid::parse("bob@localhost/1").unwrap(),
        );
        for n in 0..6_400 {
            let (word, days) = if n < 6_200 { ("Mantua", 40) } else { ("Verona", 0) };
            let xml = format!("<message xmlns='jabber:client' from='{bob}' to='{own}' id='m{n}' type='chat'><body>{word} {n}</body></message>");
            let owners = [Owner {
                account,
                direction: Direction::Received,
                unseen: false,
            }];
            tx.append(&Record {
                owners: &owners,
                from: &bob,
                to: &own,
                at: Timestamp(START.0 - days * DAY_MS + n),
                xml: &xml,
                act: None,
            })
            .unwrap();
        }
        tx.checkpoint().unwrap();
    });
    core.wait(120_000);
    for text in ["Mantua", "mantua", "Verona", "verona"] {
        assert!(core.holds(text), "{text} was never there");
    }
    let mut ask = ArchiveAsk {
        action: ArchiveAction::Prune,
        user: "alice".to_string(),
        about: "30".to_string(),
        after: String::new(),
    };
    loop {
        let (code, text) = core.command(Command::Archive(ask.clone()));
        assert_eq!(code, 0, "{text}");
        let (next, _) = text.split_once('\n').unwrap();
        if next.is_empty() {
            break;
        }
        ask.after = next.to_string();
    }
    core.wait(300_000);
    for text in ["Mantua", "mantua"] {
        assert!(!core.holds(text), "{text} is still there");
    }
    for text in ["Verona", "verona"] {
        assert!(core.holds(text), "{text} is gone");
    }
}
