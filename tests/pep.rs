//! What accounts have on the engine (XEP-0163) and cannot be seen in a transcript: what a database of before holds, and limits.
use stonechat::feature::{BOOKMARKS_SHOWN_MAX, SUBSCRIPTIONS_MAX};
use stonechat::state::CAPABILITIES_MAX;
use stonechat::store::{Contact, SubscribedTo, Subscription};
use stonechat::xmpp::BareJid;

use crate::transcript::core::Core;

const LIST: &str = "<storage xmlns='storage:bookmarks'><conference jid='Play@conf.lit' autojoin='1'><nick>J</nick>\
    </conference><url url='https://p.lit/'/></storage>";
const ROW: (&str, &str) = ("storage", "storage:bookmarks");

fn ask(core: &mut Core, payload: &str) -> String {
    core.say("romeo/a", &format!("<iq type='get' id='x'>{payload}</iq>"));
    core.expect("romeo/a", "iq").source().to_string()
}

/// XEP-0402 §5: bookmarks that were private XML when the database was of a version before.
#[test]
fn bookmarks_of_before_are_taken_over_in_whatever_form_they_are_asked_for() {
    for (asked, shown) in [
        (
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'/></pubsub>",
            "<item id='play@conf.lit'><conference xmlns='urn:xmpp:bookmarks:1' autojoin='true'><nick>J</nick></conference></item>",
        ),
        (
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='storage:bookmarks'/></pubsub>",
            LIST,
        ),
        (
            "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>",
            LIST,
        ),
    ] {
        let mut core = Core::with_accounts(&["romeo"]);
        core.stop_and(|tx| {
            let account = tx.account("romeo").unwrap().unwrap().id;
            tx.set_private_xml(account, ROW.0, ROW.1, Some(LIST))
                .unwrap();
        });

        core.bind("romeo/a");
        for _ in 0..2 {
            let answer = ask(&mut core, asked);
            assert!(answer.contains(shown), "{answer}");
        }
        core.stop_and(|tx| {
            let account = tx.account("romeo").unwrap().unwrap().id;
            let left = tx.private_xml(account, ROW.0, ROW.1).unwrap();
            assert_eq!(left, None, "it is taken over once");
        });
    }
}

/// XEP-0376 §3.2: what an account may be subscribed to elsewhere is bounded; what is on the list may be asked for again.
#[test]
fn a_list_of_subscriptions_ends_somewhere() {
    let mut core = Core::with_accounts(&["romeo"]);
    core.stop_and(|tx| {
        let account = tx.account("romeo").unwrap().unwrap().id;
        for n in 0..SUBSCRIPTIONS_MAX {
            let row = SubscribedTo {
                state: "subscribed".into(),
                ..SubscribedTo::default()
            };
            tx.set_subscribed_to(account, "pubsub.localhost", &n.to_string(), Some(&row))
                .unwrap();
        }
    });
    core.bind("romeo/a");
    let subscribe = |node: &str| {
        format!(
            "<iq type='set' id='x'><pam xmlns='urn:xmpp:pam:0' jid='pubsub.localhost'>\
             <subscribe xmlns='http://jabber.org/protocol/pubsub' node='{node}' jid='romeo@localhost'/></pam></iq>"
        )
    };
    for (node, condition) in [("new", "too-many-subscriptions"), ("7", "item-not-found")] {
        core.say("romeo/a", &subscribe(node));
        let answer = core.expect("romeo/a", "iq");
        assert!(answer.source().contains(condition), "{}", answer.source());
    }
    let all = ask(&mut core, "<subscriptions xmlns='urn:xmpp:pam:0'/>");
    assert_eq!(all.matches("<subscription ").count(), SUBSCRIPTIONS_MAX);
}

/// XEP-0163 §4.3.4: somebody with many contacts whose items are large is told of all, and is sent no more than fits.
#[test]
fn last_items_beyond_a_limit_come_without_payload() {
    const CONTACTS: usize = 8;
    const BYTES: usize = 200 << 10;
    let names: Vec<String> = (0..CONTACTS).map(|n| format!("contact{n}")).collect();
    let mut accounts: Vec<&str> = names.iter().map(String::as_str).collect();
    accounts.push("romeo");
    let mut core = Core::with_accounts(&accounts);
    core.stop_and(|tx| {
        let both = Contact {
            subscription: Subscription::Both,
            listed: true,
            ..Contact::default()
        };
        let jid = |name: &str| BareJid::parse(&format!("{name}@localhost")).unwrap();
        let romeo = tx.account("romeo").unwrap().unwrap().id;
        for name in &names {
            let account = tx.account(name).unwrap().unwrap().id;
            tx.set_contact(account, &jid("romeo"), &both).unwrap();
            tx.set_contact(romeo, &jid(name), &both).unwrap();
        }
        tx.set_capabilities("QgayPKawpkPSDYmwT/WM94uAlu0=", &["urn:example:x".into()])
            .unwrap();
    });
    let payload = "x".repeat(BYTES);
    for name in &names {
        let full = format!("{name}/a");
        core.bind(&full);
        core.say(
            &full,
            &format!(
                "<iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:example:x'>\
                 <item id='i'><x xmlns='urn:example:x'>{payload}</x></item></publish></pubsub></iq>"
            ),
        );
        let done = core.expect(&full, "iq");
        assert!(done.source().contains("result"), "{}", done.source());
    }
    core.bind("romeo/a");
    core.say(
        "romeo/a",
        "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>",
    );
    let events = core.all("romeo/a");
    let events = events.iter().filter(|e| e.root().name() == "message");
    let whole: Vec<bool> = events.map(|e| e.source().len() > BYTES).collect();
    assert_eq!(whole.len(), CONTACTS);
    assert_eq!(whole.iter().filter(|whole| **whole).count(), 5);
}

/// XEP-0376: what an account is subscribed to moves with the domain: at accounts, and at the server's own service.
#[test]
fn a_list_of_subscriptions_moves_with_the_domain() {
    let mut core = Core::with_accounts(&["romeo"]);
    core.stop_and(|tx| {
        let account = tx.account("romeo").unwrap().unwrap().id;
        let row = SubscribedTo::default();
        for service in ["pubsub.localhost", "juliet@localhost", "feeds.localhost"] {
            tx.set_subscribed_to(account, service, "n", Some(&row))
                .unwrap();
        }
        tx.rename("localhost", "new.example").unwrap();
        let all = tx.all_subscribed_to(account).unwrap();
        let services: Vec<&str> = all.iter().map(|(service, ..)| service.as_str()).collect();
        assert_eq!(
            services,
            [
                "feeds.localhost",
                "juliet@new.example",
                "pubsub.new.example"
            ]
        );
    });
}

/// XEP-0398 §3.2: a picture that was in a vCard when the database was of a version before is the avatar from the first time
/// its owner is there.
#[test]
fn pictures_of_before_become_avatars() {
    const VCARD: &str = "<vCard xmlns='vcard-temp'><FN>R</FN><PHOTO><TYPE>image/png</TYPE>\
        <BINVAL>iVBORw0KGgo=</BINVAL></PHOTO></vCard>";
    const HASH: &str = "4caece539b039b16e16206ea2478f8c5ffb2ca05";
    let mut core = Core::with_accounts(&["romeo"]);
    core.stop_and(|tx| {
        let account = tx.account("romeo").unwrap().unwrap().id;
        tx.set_vcard(account, VCARD).unwrap();
    });
    core.bind("romeo/a");
    core.say("romeo/a", "<presence/>");
    let told = core.all("romeo/a");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].source().contains(HASH), "{told:?}");
    let items = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'/></pubsub>";
    assert!(ask(&mut core, items).contains(HASH));
    let vcard = ask(&mut core, "<vCard xmlns='vcard-temp'/>");
    assert!(vcard.contains("<BINVAL>iVBORw0KGgo=</BINVAL>"), "{vcard}");
}

fn set_list(core: &mut Core, rooms: std::ops::Range<usize>) {
    let rooms: String = rooms
        .map(|n| format!("<conference jid='r{n}@conf.lit'/>"))
        .collect();
    core.say(
        "romeo/a",
        &format!(
            "<iq type='set' id='s'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'>{rooms}</storage></query></iq>"
        ),
    );
    let done = core.expect("romeo/a", "iq");
    assert!(done.source().contains("result"), "{}", done.source());
}

fn items_of_bookmarks(core: &mut Core) -> usize {
    let items = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'/></pubsub>";
    ask(core, items).matches("<item ").count()
}

/// XEP-0402 §5: a list shows so many rooms; those beyond stay in it, and more items than that are shown in none. A list that
/// showed no rooms takes none away.
#[test]
fn a_list_of_bookmarks_ends_somewhere_and_loses_nothing() {
    let list = "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>";
    let mut core = Core::with_accounts(&["romeo"]);
    core.bind("romeo/a");
    set_list(&mut core, 0..BOOKMARKS_SHOWN_MAX + 5);
    assert_eq!(items_of_bookmarks(&mut core), BOOKMARKS_SHOWN_MAX);
    let shown = ask(&mut core, list).matches("<conference ").count();
    assert_eq!(shown, BOOKMARKS_SHOWN_MAX + 5);
    core.say(
        "romeo/a",
        "<iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:bookmarks:1'>\
         <item id='more@conf.lit'><conference xmlns='urn:xmpp:bookmarks:1'/></item></publish></pubsub></iq>",
    );
    core.expect("romeo/a", "iq");
    let shown = ask(&mut core, list).matches("<conference ").count();
    assert_eq!(shown, 5, "what was beyond the limit");
    set_list(&mut core, 0..3);
    assert_eq!(items_of_bookmarks(&mut core), BOOKMARKS_SHOWN_MAX + 1);
}

/// XEP-0115 §8.1: what is known of clients is bounded in the store, too: the one not used for longest makes room.
#[test]
fn no_more_clients_are_known_than_fit() {
    let mut core = Core::with_accounts(&["romeo"]);
    core.stop_and(|tx| {
        for n in 0..CAPABILITIES_MAX {
            tx.set_capabilities(&format!("sha-256.{n}"), &[]).unwrap();
        }
    });
    core.bind("romeo/a");
    core.say(
        "romeo/a",
        "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>",
    );
    let question = core.expect("romeo/a", "iq");
    let id = question.root().attribute("id").unwrap().into_owned();
    core.say(
        "romeo/a",
        &format!(
            "<iq type='result' id='{id}' to='localhost'><query xmlns='http://jabber.org/protocol/disco#info'>\
             <identity category='client' name='Exodus 0.9.1' type='pc'/><feature var='http://jabber.org/protocol/caps'/>\
             <feature var='http://jabber.org/protocol/muc'/><feature var='http://jabber.org/protocol/disco#info'/>\
             <feature var='http://jabber.org/protocol/disco#items'/></query></iq>"
        ),
    );
    core.stop_and(|tx| {
        let known = tx.capabilities().unwrap();
        assert_eq!(known.len(), CAPABILITIES_MAX);
        assert!(known.iter().any(|(id, _)| id.starts_with("Qgay")));
    });
}

/// The same when there is no room for them: nothing is lost, and nothing hidden; and nothing that was there is taken away.
#[test]
fn bookmarks_of_before_stay_where_they_were_if_there_is_no_room() {
    let list = "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>";
    let new = "<iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:bookmarks:1'>\
         <item id='new@conf.lit'><conference xmlns='urn:xmpp:bookmarks:1'/></item></publish></pubsub></iq>";
    for (nodes, shown) in [
        (0, "Play@conf.lit"),
        (1, "Play@conf.lit"),
        (2, "play@conf.lit"),
    ] {
        let mut core = Core::with_settings(&["romeo"], |settings| {
            settings.pubsub_nodes_max = nodes;
        });
        core.stop_and(|tx| {
            let account = tx.account("romeo").unwrap().unwrap().id;
            tx.set_private_xml(account, ROW.0, ROW.1, Some(LIST))
                .unwrap();
        });
        core.bind("romeo/a");
        core.say("romeo/a", new);
        core.expect("romeo/a", "iq");
        for _ in 0..2 {
            let answer = ask(&mut core, list);
            assert!(answer.contains(shown), "{nodes}: {answer}");
            assert!(answer.contains("https://p.lit/"), "{nodes}: {answer}");
        }
        if nodes == 2 {
            assert_eq!(items_of_bookmarks(&mut core), 2);
        }
    }
}
