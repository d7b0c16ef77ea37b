//! `rename`: all that is stored moves to another domain, whole or not at all; without it no domain is changed by accident.
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use stonechat::net::Clock;
use stonechat::store::{
    AccountId, Affiliation, ArchiveQuery, JoinedChannel, NodeOwner, Store, Subscription,
};
use stonechat::xmpp::{BareJid, Jid};

use crate::transcript::core::Core;
use crate::transcript::simple::Simple;
use crate::transcript::tls::{Process, TestDir, operate, stonechat};

fn ok(data: &Path, words: &[&str]) -> String {
    let (code, text) = operate(data, words, "secret\n");
    assert_eq!(code, 0, "{words:?}: {text}");
    text
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no \"{word}\" in: {text}");
    }
}

/// Two users who are contacts and wrote to each other; one has a session that could be resumed, with something in it.
fn lived_in(data: &Path) {
    let mut process = Process::start(data);
    for name in ["alice", "bob"] {
        ok(data, &["user", "add", name]);
    }
    let log_in = |name| Simple::log_in(&process.access, name, "secret", "r").unwrap();
    let (mut alice, mut bob) = (log_in("alice"), log_in("bob"));
    for (from, to) in [(&mut alice, "bob"), (&mut bob, "alice")] {
        from.send("<presence/>").unwrap();
        from.send(&format!(
            "<presence type='subscribe' to='{to}@localhost'/><presence type='subscribed' to='{to}@localhost'/>"
        ))
        .unwrap();
    }
    bob.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        .unwrap();
    bob.expect("enabled").unwrap();
    alice
        .send(
            "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='carol@localhost'/></block></iq>\
             <iq type='get' id='a'><ping xmlns='urn:xmpp:ping'/></iq>",
        )
        .unwrap();
    alice.until_answer("a").unwrap();
    bob.cut();
    alice
        .send(
            "<message to='bob@localhost' type='chat'><body>to bob@localhost</body></message>\
             <iq type='get' id='z'><ping xmlns='urn:xmpp:ping'/></iq>",
        )
        .unwrap();
    alice.until_answer("z").unwrap();
    let pubsub = "http://jabber.org/protocol/pubsub";
    for (id, namespace, inside) in [
        ("n1", "", "<create node='n'/>"),
        (
            "n2",
            "",
            "<publish node='n'><item id='i'><x xmlns='n'/></item></publish>",
        ),
        (
            "n3",
            "#owner",
            "<affiliations node='n'><affiliation jid='bob@localhost' affiliation='member'/></affiliations>",
        ),
        ("n4", "", "<subscribe node='n' jid='alice@localhost/r'/>"),
    ] {
        alice
            .send(&format!(
                "<iq type='set' id='{id}' to='pubsub.localhost'><pubsub xmlns='{pubsub}{namespace}'>{inside}</pubsub></iq>"
            ))
            .unwrap();
        alice.until_answer(id).unwrap();
    }
    process.stop();
}

fn nodes_have_moved(tx: &stonechat::store::Tx) {
    let owner = NodeOwner::SERVICE;
    let node = tx.node(owner, "n").unwrap().unwrap();
    assert_eq!(&*node.creator, "alice@new.example");
    let item = tx.item(&node, "i").unwrap().unwrap();
    assert_eq!(&*item.publisher, "alice@new.example");
    let alice = tx.related(&node, "alice@new.example").unwrap();
    assert_eq!(alice.affiliation, Affiliation::Owner);
    assert_eq!(&*alice.subscriptions[0].jid, "alice@new.example/r");
    let bob = tx.related(&node, "bob@new.example").unwrap();
    assert_eq!(bob.affiliation, Affiliation::Member);
    let names = |jid| tx.related_nodes(owner, jid).unwrap();
    assert_eq!(names("bob@new.example"), ["n".into()]);
    assert!(names("bob@localhost").is_empty());
    assert_eq!(
        tx.related(&node, "bob@localhost").unwrap(),
        Default::default()
    );
}

#[test]
fn everything_moves_to_the_new_domain() {
    let dir = TestDir::new("rename");
    let data = &dir.0;
    lived_in(data);
    let certificate = std::fs::read(data.join("cert.pem")).unwrap();
    let text = ok(data, &["rename", "New.Example"]);
    says(
        &text,
        &[
            "localhost to new.example",
            "2 users",
            "2 contacts",
            "1 messages",
            "NAME@new.example",
            "certificate",
        ],
    );
    assert_eq!(
        std::fs::read_to_string(data.join("domain")).unwrap(),
        "new.example\n"
    );
    assert_ne!(std::fs::read(data.join("cert.pem")).unwrap(), certificate);
    says(
        &ok(data, &["user", "list"]),
        &["alice@new.example", "bob@new.example"],
    );
    says(&ok(data, &["check"]), &["is whole"]);
    let store = Store::open(&data.join("stonechat.redb"), 1 << 20).unwrap();
    let tx = store.begin();
    let [alice, bob] = ["alice", "bob"].map(|name| tx.account(name).unwrap().unwrap().id);
    let contact = |of: AccountId, jid: &str| tx.contact(of, &BareJid::parse(jid).unwrap()).unwrap();
    let moved = contact(alice, "bob@new.example").unwrap();
    assert_eq!(moved.subscription, Subscription::Both);
    assert!(contact(alice, "bob@localhost").is_none());
    assert_eq!(tx.blocked(alice).unwrap(), ["carol@new.example"]);
    let with = |jid| ArchiveQuery {
        with: Some(Jid::parse(jid).unwrap()),
        max: 10,
        ..ArchiveQuery::default()
    };
    let page = tx.page(bob, &with("alice@new.example")).unwrap();
    let [stanza] = page.stanzas.as_slice() else {
        panic!("{page:?}");
    };
    says(
        &stanza.xml,
        &[
            "'alice@new.example/r'",
            "'bob@new.example'",
            ">to bob@localhost<",
        ],
    );
    assert!(
        tx.page(bob, &with("alice@localhost"))
            .unwrap()
            .stanzas
            .is_empty()
    );
    assert!(
        tx.roster_changes(alice, 0).unwrap().is_none(),
        "nobody has this roster"
    );
    nodes_have_moved(&tx);
    drop((tx, store));
    // Once more is no harm.
    says(&ok(data, &["rename", "new.example"]), &["already"]);
}

/// Older than the index's tail: rows of the index by peer are in the table.
#[test]
fn the_index_by_peer_moves_too() {
    let dir = TestDir::new("rename-index");
    let data = &dir.0;
    lived_in(data);
    let path = data.join("stonechat.redb");
    let store = Store::open(&path, 1 << 20).unwrap();
    let mut tx = store.begin();
    let [alice, bob] = ["alice", "bob"].map(|name| tx.account(name).unwrap().unwrap().id);
    let [from, to] = ["alice@localhost/x", "bob@localhost"].map(|jid| Jid::parse(jid).unwrap());
    let owner = |account, direction| stonechat::store::Owner {
        account,
        direction,
        unseen: false,
    };
    for _ in 0..3000 {
        tx.append(&stonechat::store::Record {
            owners: &[
                owner(alice, stonechat::store::Direction::Sent),
                owner(bob, stonechat::store::Direction::Received),
            ],
            from: &from,
            to: &to,
            at: Clock::start().now().wall,
            xml: "<message xmlns='jabber:client' from='alice@localhost/x' to='bob@localhost'/>",
            act: None,
        })
        .unwrap();
    }
    tx.checkpoint().unwrap();
    tx.finish().unwrap().run().unwrap();
    drop(store);
    says(&ok(data, &["rename", "new.example"]), &["3001 messages"]);
    let store = Store::open(&path, 1 << 20).unwrap();
    let tx = store.begin();
    let query = |jid| ArchiveQuery {
        with: Some(Jid::parse(jid).unwrap()),
        max: 5000,
        ..ArchiveQuery::default()
    };
    let count = |jid| tx.page(bob, &query(jid)).unwrap().stanzas.len();
    assert_eq!(
        (count("alice@new.example"), count("alice@localhost")),
        (3001, 0)
    );
}

/// What a start that must not be says.
fn refused(data: &Path, arguments: &[&str]) -> String {
    let ports = ["--c2s", "127.0.0.1:0", "--c2s-tls", "127.0.0.1:0"];
    let mut child = stonechat(data)
        .args(ports)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut banner = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut banner)
        .unwrap();
    if !banner.is_empty() {
        child.kill().unwrap();
        panic!("it started: {banner}");
    }
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn no_domain_is_changed_by_accident() {
    let dir = TestDir::new("domain-gone");
    let data = &dir.0;
    lived_in(data);
    says(
        &refused(data, &["--domain", "b.example"]),
        &["localhost", "stonechat rename b.example"],
    );
    std::fs::write(data.join("domain"), "c.example\n").unwrap();
    says(
        &refused(data, &[]),
        &["localhost", "says c.example", "stonechat rename c.example"],
    );
    std::fs::remove_file(data.join("domain")).unwrap();
    says(
        &refused(data, &[]),
        &["localhost", "is gone", "stonechat rename"],
    );
    says(
        &refused(data, &["--domain", "b.example"]),
        &["localhost", "is gone", "stonechat rename b.example"],
    );
    // Nor offline.
    says(&ok(data, &["user", "list"]), &["alice@localhost"]);
    // The right one heals it.
    drop(Process::start(data));
    assert_eq!(
        std::fs::read_to_string(data.join("domain")).unwrap(),
        "localhost\n"
    );
}

/// The power fails between the commit and the file.
#[test]
fn a_rename_that_was_cut_short_is_finished_at_the_next_start() {
    let dir = TestDir::new("rename-cut");
    let data = &dir.0;
    lived_in(data);
    ok(data, &["rename", "new.example"]);
    std::fs::write(data.join("domain"), "localhost\n").unwrap();
    says(&ok(data, &["user", "list"]), &["alice@new.example"]);
    assert_eq!(
        std::fs::read_to_string(data.join("domain")).unwrap(),
        "new.example\n"
    );
    // And back.
    ok(data, &["rename", "localhost"]);
    let process = Process::start(data);
    let mut bob = Simple::log_in(&process.access, "bob", "secret", "r").unwrap();
    assert_eq!(bob.archive().unwrap(), ["to bob@localhost"]);
    let (code, text) = operate(data, &["rename", "b.example"], "");
    assert_eq!(code, 1);
    says(&text, &["another stonechat", "stop that one"]);
}

#[test]
fn a_name_that_is_none_is_refused() {
    let dir = TestDir::new("rename-none");
    lived_in(&dir.0);
    for name in ["a b", "a@b", ""] {
        let (code, text) = operate(&dir.0, &["rename", name], "");
        assert_eq!(code, 1, "{name}: {text}");
        says(&text, &["no domain"]);
    }
}

/// XEP-0369 §4.6: ids are worked out from addresses, so that they are others after a rename; what accounts know of theirs follows.
#[test]
fn people_know_who_they_are_in_channels() {
    let mut core = Core::with_accounts(&["romeo"]);
    core.bind("romeo/r");
    let mix = "urn:xmpp:mix:core:1";
    core.say(
        "romeo/r",
        &format!(
            "<iq type='set' id='1' to='chat.localhost'><create xmlns='{mix}' channel='coven'/></iq>"
        ),
    );
    core.expect("romeo/r", "iq");
    core.say(
        "romeo/r",
        &format!(
            "<iq type='set' id='2'><client-join xmlns='urn:xmpp:mix:pam:2' channel='coven@chat.localhost'>\
             <join xmlns='{mix}'><nick>romeo</nick></join></client-join></iq>"
        ),
    );
    let joined = core.expect("romeo/r", "iq");
    let own = joined.root().children().next().unwrap();
    let own = own.child("join", mix).unwrap();
    let own = own.attribute("id").unwrap().into_owned();
    core.stop_and(|tx| {
        let account = tx.account("romeo").unwrap().unwrap().id;
        let channel = BareJid::parse("coven@chat.localhost").unwrap();
        let before = JoinedChannel {
            participant: "before".to_string(),
        };
        tx.set_joined_channel(account, &channel, Some(&before))
            .unwrap();
        tx.rename("localhost", "away.example").unwrap();
        tx.rename("away.example", "localhost").unwrap();
    });
    core.bind("romeo/r");
    core.say(
        "romeo/r",
        "<iq type='get' id='3'><query xmlns='jabber:iq:roster'><annotate xmlns='urn:xmpp:mix:roster:0'/></query></iq>",
    );
    let roster = core.expect("romeo/r", "iq");
    let text = format!("participant-id='{own}'");
    assert!(roster.source().contains(&text), "{}", roster.source());
}
