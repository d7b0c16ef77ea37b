//! XEP-0313, XEP-0431: what one query of an archive looks through, however it is answered, in one archive and in many.
use stonechat::store::{AccountId, ArchiveId, Direction, Owner, READINGS_MAX, Record, Tx};
use stonechat::xml::Element;
use stonechat::xmpp::{Jid, Timestamp};

use crate::transcript::core::Core;

const MAM: &str = "urn:xmpp:mam:2";
const RSM: &str = "http://jabber.org/protocol/rsm";
/// Of a resource.
const FROM: &str = "nurse@localhost/hall";
const WORDS: &str = "come hither nurse what is yon gentleman";

fn say(tx: &mut Tx, archive: AccountId, from: &str) {
    let owner = Owner {
        account: archive,
        direction: Direction::Received,
        unseen: false,
    };
    let (from, to) = (Jid::parse(from).unwrap(), Jid::parse("romeo@localhost"));
    let xml = format!(
        "<message xmlns='jabber:client' from='{from}' to='romeo@localhost'><body>{WORDS}</body></message>"
    );
    let record = Record {
        owners: &[owner],
        from: &from,
        to: &to.unwrap(),
        at: Timestamp(1_000),
        xml: &xml,
        act: None,
    };
    tx.append(&record).unwrap();
}

fn core_with(fill: impl FnOnce(&mut Tx, AccountId)) -> Core {
    let mut core = Core::with_settings(&["romeo"], |_| {});
    core.stop_and(|tx| {
        let romeo = tx.account("romeo").unwrap().unwrap().id;
        fill(tx, romeo);
    });
    core.bind("romeo/1");
    core
}

/// The results and the answer.
fn ask(core: &mut Core, fields: &[(&str, &str)], rsm: &str) -> (usize, Element) {
    let fields = fields
        .iter()
        .map(|(name, value)| format!("<field var='{name}'><value>{value}</value></field>"));
    let query = format!(
        "<iq type='set' id='q'><query xmlns='{MAM}'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>{MAM}</value></field>{}</x><set xmlns='{RSM}'>{rsm}</set></query></iq>",
        fields.collect::<String>()
    );
    core.say("romeo/1", &query);
    let mut answer = core.all("romeo/1");
    let iq = answer.pop().unwrap();
    (answer.len(), iq)
}

#[test]
fn a_page_and_what_is_sent_with_it_is_one_look() {
    let mut core = core_with(|tx, romeo| {
        for n in 0..3_500 {
            let resource = match n % 1_000 {
                0..20 => "hall",
                _ => "street",
            };
            say(tx, romeo, &format!("nurse@localhost/{resource}"));
        }
    });
    for with in [
        &[("with", FROM)][..],
        &[
            ("with", FROM),
            ("{urn:stonechat:archive:0}complete", "true"),
        ],
        &[("with", FROM), ("{urn:xmpp:mamfc:0}summary", "collate")],
    ] {
        // Of four times twenty, what lies within 20,000 steps; one that is read and passed over is eleven.
        let (count, iq) = ask(&mut core, with, "<max>100</max>");
        let fin = iq.root().child("fin", MAM).unwrap();
        assert_eq!((count, fin.attribute("complete")), (40, None));
        let last = fin.child("set", RSM).unwrap().child("last", RSM).unwrap();
        let rest = format!("<max>100</max><after>{}</after>", last.text());
        let (count, iq) = ask(&mut core, with, &rest);
        let fin = iq.root().child("fin", MAM).unwrap();
        assert_eq!(
            (count, fin.attribute("complete").as_deref()),
            (40, Some("true"))
        );
    }
}

/// What lies on one page need not be counted anywhere else.
#[test]
fn all_that_is_on_the_page_is_counted() {
    let mut core = core_with(|tx, romeo| {
        for _ in 0..200 {
            say(tx, romeo, FROM);
        }
    });
    for (fields, rsm) in [
        (&[][..], "<max>250</max>"),
        (&[], "<max>200</max><before/>"),
        (&[("with", FROM)], "<max>250</max>"),
    ] {
        let (count, iq) = ask(&mut core, fields, rsm);
        let fin = iq.root().child("fin", MAM).unwrap();
        let set = fin.child("set", RSM).unwrap();
        let told = set
            .child("count", RSM)
            .map(|count| count.text().into_owned());
        assert_eq!((count, told.as_deref()), (200, Some("200")), "{rsm}");
    }
}

/// Each archive is looked at before it is known which message is the latest: many words in all of them are more than one look.
#[test]
fn so_many_words_are_looked_for_in_so_many_channels() {
    let mut core = core_with(|tx, romeo| {
        for n in 0..READINGS_MAX {
            let channel = AccountId(1_000 + u32::try_from(n).unwrap());
            tx.begin_reading(romeo, channel, ArchiveId(0)).unwrap();
            say(tx, channel, "capulet@channels.localhost/nurse");
        }
        while tx.index_words_step(true, 1_000).unwrap() {}
        tx.checkpoint().unwrap();
    });
    const FIELD: &str = "{urn:xmpp:fulltext:0}fulltext";
    for rsm in ["<max>10</max>", "<max>10</max><before/>"] {
        let (count, iq) = ask(&mut core, &[(FIELD, "gentleman")], rsm);
        assert!(
            iq.root().child("fin", MAM).is_some() && count > 0,
            "{count}"
        );
        let (count, iq) = ask(&mut core, &[(FIELD, WORDS)], rsm);
        let error = iq.root().to_xml();
        assert!(
            count == 0 && error.contains("<resource-constraint "),
            "{error}"
        );
    }
}
