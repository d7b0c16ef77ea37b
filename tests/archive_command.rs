//! `stonechat archive`, with and without a running server: long archives come whole, in pieces.
use std::path::Path;

use stonechat::server::{ArchiveAction, ArchiveAsk, Command};
use stonechat::store::{Direction, Owner, Record, Store};
use stonechat::xmpp::{Jid, Timestamp};

use crate::transcript::core::{Core, START};
use crate::transcript::tls::{Process, TestDir, operate};

const MESSAGES: i64 = 1_100;
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
        assert!(stats.starts_with("messages: 1100\nbytes: "), "{stats}");
        assert!(
            stats.contains("\noldest: 2") && stats.contains("\nnewest: 2"),
            "{stats}"
        );
        let shown = ok(&["archive", "show", "alice@localhost"]);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 1100);
        assert!(
            lines[7].ends_with("\teve@localhost/1 -> alice@localhost\tLine 7 <of> Many"),
            "{}",
            lines[7]
        );
        assert_eq!(
            ok(&["archive", "show", "alice", "eve@localhost"])
                .lines()
                .count(),
            11
        );
        let found = ok(&["archive", "search", "alice", "line", "1099", "<OF>"]);
        assert_eq!(found.lines().count(), 1, "{found}");
        assert!(
            ok(&["archive", "search", "alice", "nothing of it"])
                .trim()
                .is_empty()
        );
        // Many pieces, and the last word may go on.
        let found = ok(&["archive", "search", "alice", "many", "LIN"]);
        assert_eq!(found.lines().count(), 1100);
        assert_eq!(
            ok(&["archive", "search", "alice", "of", "1"])
                .lines()
                .count(),
            211
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
        assert_eq!(archive.children().count(), 1100);
        // What nobody has received stays.
        assert_eq!(
            ok(&["archive", "prune", "alice", "30"]).trim(),
            "removed 999 messages"
        );
        assert_eq!(ok(&["archive", "show", "alice"]).lines().count(), 101);
        for (words, told) in [
            (&["archive", "show", "nobody"][..], "nobody"),
            (&["archive", "prune", "alice", "many"], "no number of days"),
            (&["archive", "prune", "alice"], "how many days"),
            (&["archive", "search", "alice"], "which text"),
            (&["archive", "search", "alice", "<?>"], "no word"),
            (&["archive", "show", "alice", "@@"], "no address"),
        ] {
            let (code, text) = operate(data, words, "");
            assert!(code == 1 && text.contains(told), "{words:?}: {text}");
        }
    }
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
        tx.checkpoint_if_due().unwrap();
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
