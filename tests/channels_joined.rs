//! Channels that accounts take part in: how many, how many at a time are asked, and what of our own channels' archives is in
//! the accounts'.
use stonechat::feature::CHANNELS_JOINED_MAX;
use stonechat::state::ComponentSettings;
use stonechat::store::{AccountId, ArchiveId, Direction, Owner, Record};
use stonechat::xml::Element;
use stonechat::xmpp::{Jid, Timestamp};

use crate::transcript::computed;
use crate::transcript::core::Core;
use crate::transcript::run::secret;

const NAME: &str = "mix.localhost";
const MIX: &str = "urn:xmpp:mix:core:1";
/// Questions that may wait for one channel.
const ASKED_MAX: usize = 8;

fn with_mix(change: impl FnOnce(&mut stonechat::state::Settings)) -> Core {
    let mut core = Core::with_settings(&["hecate"], |settings| {
        settings.components.push(ComponentSettings {
            name: NAME.into(),
            secret: secret(NAME).into(),
        });
        change(settings);
    });
    core.connect_component("mix");
    core.say(
        "mix",
        "<stream:stream to='mix.localhost' xmlns='jabber:component:accept' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
    );
    let header = core.expect("mix", "stream");
    let id = header.root().attribute("id").expect("an id").into_owned();
    let proof = format!("<handshake>{{handshake {id} {}}}</handshake>", secret(NAME));
    core.say("mix", &computed::fill(&proof));
    core.expect("mix", "handshake");
    core.bind("hecate/a");
    core
}

fn ask(core: &mut Core, id: usize, channel: &str, command: &str) {
    core.say(
        "hecate/a",
        &format!(
            "<iq type='set' id='{id}'><client-{command} xmlns='urn:xmpp:mix:pam:2' channel='{channel}@{NAME}'>\
             <{command} xmlns='{MIX}'/></client-{command}></iq>"
        ),
    );
}

fn answer(core: &mut Core, id: usize, channel: &str, command: &str) {
    core.expect("mix", "iq");
    core.say(
        "mix",
        &format!(
            "<iq type='result' id='{id}' from='{channel}@{NAME}' to='hecate@localhost'><{command} xmlns='{MIX}' id='p{id}'/></iq>"
        ),
    );
}

/// `None`: it is no error.
fn condition(answer: &Element) -> Option<String> {
    let error = answer.root().child("error", "jabber:client")?;
    error
        .children()
        .next()
        .map(|child| child.name().to_string())
}

#[test]
fn an_account_is_in_so_many_channels() {
    let mut core = with_mix(|settings| settings.roster_contacts_max = 2 * CHANNELS_JOINED_MAX);
    for id in 0..CHANNELS_JOINED_MAX {
        let channel = format!("c{id}");
        ask(&mut core, id, &channel, "join");
        answer(&mut core, id, &channel, "join");
        assert_eq!(condition(&core.expect("hecate/a", "iq")), None);
    }
    let full = Some("resource-constraint".to_string());
    ask(&mut core, 1000, "more", "join");
    assert_eq!(condition(&core.expect("hecate/a", "iq")), full);
    // Again where it is already is none more.
    ask(&mut core, 1001, "c7", "join");
    answer(&mut core, 1001, "c7", "join");
    assert_eq!(condition(&core.expect("hecate/a", "iq")), None);
    ask(&mut core, 1002, "c8", "leave");
    answer(&mut core, 1002, "c8", "leave");
    core.expect("hecate/a", "iq");
    ask(&mut core, 1003, "more", "join");
    answer(&mut core, 1003, "more", "join");
    assert_eq!(condition(&core.expect("hecate/a", "iq")), None);
}

#[test]
fn a_roster_that_is_full_takes_no_channel() {
    let mut core = with_mix(|settings| settings.roster_contacts_max = 1);
    ask(&mut core, 1, "a", "join");
    answer(&mut core, 1, "a", "join");
    core.expect("hecate/a", "iq");
    ask(&mut core, 2, "b", "join");
    let full = Some("resource-constraint".to_string());
    assert_eq!(condition(&core.expect("hecate/a", "iq")), full);
}

#[test]
fn a_silent_channel_is_asked_so_often() {
    let mut core = with_mix(|_| {});
    for id in 0..ASKED_MAX {
        ask(&mut core, id, "c", "join");
        core.expect("mix", "iq");
    }
    ask(&mut core, 100, "c", "join");
    let full = Some("resource-constraint".to_string());
    assert_eq!(condition(&core.expect("hecate/a", "iq")), full);
    core.wait(300_000);
    for _ in 0..ASKED_MAX {
        let late = Some("remote-server-timeout".to_string());
        assert_eq!(condition(&core.expect("hecate/a", "iq")), late);
    }
}

/// A channel's archive has what was said before the account came and after it left.
fn said_in_a_channel(core: &mut Core) {
    core.stop_and(|tx| {
        let hecate = tx.account("hecate").unwrap().unwrap().id;
        let channel = AccountId(7_777_777);
        let from = Jid::parse("coven@chat.localhost/p1").unwrap();
        for n in 0..4 {
            let next = tx.next_archive_id().unwrap();
            match n {
                1 => tx.begin_reading(hecate, channel, next).unwrap(),
                3 => tx.end_reading(hecate, channel, next).unwrap(),
                _ => {}
            }
            let xml = format!(
                "<message xmlns='jabber:client' from='coven@chat.localhost/p1' id='theirs{n}' type='groupchat'>\
                 <mix xmlns='{MIX}'><nick>first</nick></mix><body>{n}</body></message>"
            );
            let owner = |account| Owner {
                account,
                direction: Direction::Received,
                unseen: false,
            };
            let mut record = Record {
                owners: &[owner(channel)],
                from: &from,
                to: &from.to_bare(),
                at: Timestamp(1_000_000 + n),
                xml: &xml,
                act: None,
            };
            tx.append(&record).unwrap();
            // Something of its own between them.
            let own = "<message xmlns='jabber:client' from='nurse@localhost/x' to='hecate@localhost' type='chat'><body>own</body></message>";
            let (from, to) = (
                Jid::parse("nurse@localhost/x").unwrap(),
                Jid::parse("hecate@localhost").unwrap(),
            );
            let owners = [owner(hecate)];
            (record.owners, record.from, record.to, record.xml) = (&owners, &from, &to, own);
            tx.append(&record).unwrap();
        }
    });
    core.bind("hecate/a");
}

fn query(core: &mut Core, inside: &str) -> Vec<Element> {
    core.say(
        "hecate/a",
        &format!("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'>{inside}</query></iq>"),
    );
    let mut all = core.all("hecate/a");
    let fin = all.pop().expect("an answer");
    assert_eq!(fin.root().attribute("type").as_deref(), Some("result"));
    all
}

/// Id of the result, and of the message in it with its body.
fn read(results: &[Element]) -> Vec<(String, Option<String>, String)> {
    let read = results.iter().map(|result| {
        let result = result.root().child("result", "urn:xmpp:mam:2").unwrap();
        let forwarded = result.child("forwarded", "urn:xmpp:forward:0").unwrap();
        let message = forwarded.child("message", "jabber:client").unwrap();
        assert_eq!(message.attribute("to").as_deref(), Some("hecate@localhost"));
        let text = |name: &str| message.attribute(name).map(|text| text.into_owned());
        let body = message.child("body", "jabber:client").unwrap();
        let id = result.attribute("id").unwrap().into_owned();
        (id, text("id"), body.text().into_owned())
    });
    read.collect()
}

fn field(var: &str, value: &str) -> String {
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>\
         <field var='{var}'><value>{value}</value></field></x>"
    )
}

#[test]
fn what_was_said_while_it_was_in_a_channel_is_in_an_accounts_archive() {
    let mut core = with_mix(|_| {});
    said_in_a_channel(&mut core);
    let all = read(&query(&mut core, ""));
    let bodies: Vec<&str> = all.iter().map(|(.., body)| body.as_str()).collect();
    assert_eq!(bodies, ["own", "1", "own", "2", "own", "own"]);
    // XEP-0369 §7.1.3: the message has the id of the archive.
    let of_channel: Vec<_> = all.iter().filter(|(.., body)| body != "own").collect();
    for (result, id, _) in &of_channel {
        assert_eq!(Some(result), id.as_ref());
    }
    let with = read(&query(&mut core, &field("with", "coven@chat.localhost")));
    assert_eq!(with.iter().collect::<Vec<_>>(), of_channel);
    assert!(query(&mut core, &field("with", "coven@chat.localhost/p2")).is_empty());
    let none = read(&query(&mut core, &field("include-groupchat", "false")));
    assert!(none.iter().all(|(.., body)| body == "own") && none.len() == 4);
    let one = read(&query(&mut core, &field("ids", &of_channel[1].0)));
    assert_eq!(one.iter().collect::<Vec<_>>(), [of_channel[1]]);
    let rsm = "<set xmlns='http://jabber.org/protocol/rsm'><max>2</max><before/></set>";
    let last = read(&query(&mut core, rsm));
    assert_eq!(last, all[4..]);
    let rsm = format!(
        "<set xmlns='http://jabber.org/protocol/rsm'><max>2</max><after>{}</after></set>",
        of_channel[0].0
    );
    assert_eq!(read(&query(&mut core, &rsm)), all[2..4]);
    // None of it waits for anybody.
    core.say("hecate/a", "<presence/>");
    let heard = core.all("hecate/a");
    assert!(heard.iter().all(|stanza| stanza.root().name() != "message"));
    // What it was not there for is not its own.
    let tx = core.server().state().archive_ids.text(ArchiveId(1));
    core.say(
        "hecate/a",
        &format!(
            "<iq type='set' id='x'><query xmlns='urn:xmpp:mam:2'>{}</query></iq>",
            field("ids", &tx)
        ),
    );
    assert_eq!(
        condition(&core.expect("hecate/a", "iq")).as_deref(),
        Some("item-not-found")
    );
}

#[test]
fn an_account_that_goes_leaves_its_channels() {
    let mut core = with_mix(|_| {});
    ask(&mut core, 1, "c", "join");
    answer(&mut core, 1, "c", "join");
    core.expect("hecate/a", "iq");
    let (code, text) = core.command(stonechat::server::Command::UserDelete {
        name: "hecate".to_string(),
    });
    assert_eq!(code, 0, "{text}");
    let told = core.all("mix");
    let leaves = |iq: &Element| iq.root().child("leave", MIX).is_some();
    assert_eq!(told.iter().filter(|iq| leaves(iq)).count(), 1);
}
