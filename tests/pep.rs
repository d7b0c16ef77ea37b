//! What accounts have on the engine (XEP-0163) and cannot be seen in a transcript: what a database of before holds, and limits.
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
