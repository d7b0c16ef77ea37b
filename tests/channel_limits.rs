//! What people can make large of rooms is bounded: tombstones, tokens, what one session watches. Lists that are long come in
//! pieces that join.
use stonechat::xml::Element;

use crate::transcript::core::Core;

const MUC: &str = "http://jabber.org/protocol/muc";

fn condition(element: &Element) -> Option<String> {
    let root = element.root();
    let error = root.children().find(|child| child.name() == "error")?;
    Some(error.children().next()?.name().to_string())
}

/// With the condition of the error, if it was refused.
fn enter(core: &mut Core, who: &str, room: &str, within: &str) -> (Vec<Element>, Option<String>) {
    let nick = who.split('/').next().unwrap();
    core.say(
        who,
        &format!(
            "<presence to='{room}@chat.localhost/{nick}'><x xmlns='{MUC}'>{within}</x></presence>"
        ),
    );
    let told = core.all(who);
    let refused = told.iter().find_map(condition);
    (told, refused)
}

fn leave(core: &mut Core, who: &str, room: &str) {
    core.say(
        who,
        &format!("<presence type='unavailable' to='{room}@chat.localhost/x'/>"),
    );
    core.all(who);
}

fn ask(core: &mut Core, who: &str, room: &str, payload: &str) -> Option<String> {
    core.say(
        who,
        &format!("<iq type='set' id='i' to='{room}@chat.localhost'>{payload}</iq>"),
    );
    let told = core.all(who);
    let answer = told.iter().find(|one| one.root().name() == "iq");
    condition(answer.expect("an answer"))
}

fn make(core: &mut Core, who: &str, room: &str) {
    assert_eq!(enter(core, who, room, "").1, None, "{who} {room}");
    let form = "<x xmlns='jabber:x:data' type='submit'/>";
    let made = ask(
        core,
        who,
        room,
        &format!("<query xmlns='{MUC}#owner'>{form}</query>"),
    );
    assert_eq!(made, None);
}

fn end(core: &mut Core, who: &str, room: &str) {
    let ended = ask(
        core,
        who,
        room,
        &format!("<query xmlns='{MUC}#owner'><destroy/></query>"),
    );
    assert_eq!(ended, None);
}

fn affiliate(core: &mut Core, who: &str, room: &str, items: &str) -> Option<String> {
    ask(
        core,
        who,
        room,
        &format!("<query xmlns='{MUC}#admin'>{items}</query>"),
    )
}

#[test]
fn tombstones_of_one_and_of_all_are_so_many() {
    const OF_ONE_MAX: usize = 20;
    const ALL_MAX: usize = 500;
    let people = ALL_MAX / OF_ONE_MAX + 1;
    let names: Vec<String> = (0..people).map(|n| format!("u{n}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push("stranger");
    let mut core = Core::with_settings(&names, |_| {});
    for name in &names {
        core.bind(&format!("{name}/r"));
        core.say(&format!("{name}/r"), "<presence/>");
        core.all(&format!("{name}/r"));
    }
    let make_and_end = |core: &mut Core, person: usize, room: usize| {
        let (who, room) = (format!("u{person}/r"), format!("r{person}-{room}"));
        make(core, &who, &room);
        end(core, &who, &room);
        core.wait(10);
    };
    let takes = |core: &mut Core, room: &str| enter(core, "stranger/r", room, "").1.is_none();
    for room in 0..=OF_ONE_MAX {
        make_and_end(&mut core, 0, room);
    }
    // One too many: their own oldest went.
    assert!(takes(&mut core, "r0-0"));
    assert!(!takes(&mut core, "r0-1"));
    for person in 1..people {
        for room in 0..OF_ONE_MAX {
            make_and_end(&mut core, person, room);
        }
    }
    // Of all, the oldest went.
    assert!(takes(&mut core, "r0-5"));
    assert!(!takes(&mut core, "r1-0"));
    assert!(!takes(&mut core, &format!("r{}-0", people - 1)));
}

#[test]
fn tokens_of_one_person_are_so_many() {
    let mut core = Core::with_settings(&["romeo"], |_| {});
    core.bind("romeo/r");
    make(&mut core, "romeo/r", "den");
    let mut request = |payload| ask(&mut core, "romeo/r", "den", payload);
    let token = "<request xmlns='urn:xmpp:muc-token-invite:0' delay='60'/>";
    for n in 0..20 {
        assert_eq!(request(token), None, "{n}");
    }
    assert_eq!(request(token).as_deref(), Some("resource-constraint"));
    // Those that are too old make room.
    core.wait(61_000);
    core.all("romeo/r");
    assert_eq!(ask(&mut core, "romeo/r", "den", token), None);
}

#[test]
fn a_long_list_of_affiliations_comes_in_pieces_that_join() {
    let mut core = Core::with_settings(&["romeo", "juliet"], |_| {});
    for who in ["romeo/r", "juliet/r"] {
        core.bind(who);
    }
    make(&mut core, "romeo/r", "den");
    let juliet = "<item jid='juliet@localhost' affiliation='member'/>";
    assert_eq!(affiliate(&mut core, "romeo/r", "den", juliet), None);
    for batch in 0..3 {
        let item = |n| format!("<item jid='m{batch}-{n}@localhost' affiliation='member'/>");
        let items: String = (0..80).map(item).collect();
        assert_eq!(affiliate(&mut core, "romeo/r", "den", &items), None);
    }
    let mav = "<mav xmlns='urn:xmpp:muc:affiliations:1'/>";
    let (told, refused) = enter(&mut core, "juliet/r", "den", mav);
    assert_eq!(refused, None);
    let mut known = None;
    let mut people = 0;
    let lists = told.iter().take_while(|one| one.root().name() == "message");
    let mut count = 0;
    for list in lists {
        let x = list.root().child("x", &format!("{MUC}#user")).unwrap();
        let mav = x.child("mav", "urn:xmpp:muc:affiliations:1").unwrap();
        assert_eq!(mav.attribute("since").map(|it| it.into_owned()), known);
        known = Some(mav.attribute("until").unwrap().into_owned());
        people += x.children().filter(|child| child.name() == "item").count();
        count += 1;
    }
    assert_eq!((people, count), (3 * 80 + 2, 3));
    // What somebody knows of the first piece, they are told of the rest from there on.
    leave(&mut core, "juliet/r", "den");
    let since = format!(
        "<mav xmlns='urn:xmpp:muc:affiliations:1' since='{}'/>",
        known.unwrap()
    );
    let (told, _) = enter(&mut core, "juliet/r", "den", &since);
    assert_eq!(told.first().unwrap().root().name(), "presence");
}

#[test]
fn one_session_watches_so_many_rooms() {
    const WATCHED_MAX: usize = 250;
    let mut core = Core::with_settings(&["romeo", "juliet"], |settings| {
        settings.channels_per_user_max = 1_000;
    });
    for who in ["romeo/r", "juliet/r"] {
        core.bind(who);
    }
    let rooms = WATCHED_MAX + 10;
    for n in 0..rooms {
        let room = format!("r{n}");
        make(&mut core, "romeo/r", &room);
        let juliet = "<item jid='juliet@localhost' affiliation='member'/>";
        assert_eq!(affiliate(&mut core, "romeo/r", &room, juliet), None);
        leave(&mut core, "romeo/r", &room);
    }
    core.say(
        "juliet/r",
        "<presence to='chat.localhost'><rai xmlns='urn:xmpp:rai:0'/></presence>",
    );
    core.all("juliet/r");
    for n in 0..rooms {
        let room = format!("r{n}");
        enter(&mut core, "romeo/r", &room, "");
        core.say(
            "romeo/r",
            &format!(
                "<message to='{room}@chat.localhost' type='groupchat'><body>x</body></message>"
            ),
        );
        leave(&mut core, "romeo/r", &room);
    }
    assert_eq!(core.all("juliet/r").len(), WATCHED_MAX);
}

/// RFC 6120 §8.2.3: nothing is passed on that nobody waits for.
#[test]
fn one_occupant_asks_others_so_much_at_a_time() {
    const OF_ONE_MAX: usize = 32;
    let mut core = Core::with_settings(&["romeo", "juliet"], |settings| {
        settings.channels_open = true;
    });
    for who in ["romeo/r", "juliet/r"] {
        core.bind(who);
    }
    make(&mut core, "romeo/r", "lounge");
    enter(&mut core, "juliet/r", "lounge", "");
    let asked = |core: &mut Core, n: usize| {
        let to = "lounge@chat.localhost/juliet";
        let payload = "<query xmlns='jabber:iq:version'/>";
        core.all("romeo/r");
        core.say(
            "romeo/r",
            &format!("<iq type='get' id='{n}' to='{to}'>{payload}</iq>"),
        );
        let refused = core.all("romeo/r").iter().find_map(condition);
        (core.all("juliet/r").len(), refused)
    };
    core.all("juliet/r");
    for n in 0..OF_ONE_MAX {
        assert_eq!(asked(&mut core, n), (1, None));
    }
    let full = Some("resource-constraint".to_string());
    assert_eq!(asked(&mut core, OF_ONE_MAX), (0, full));
    core.wait(60_000);
    let late = core.all("romeo/r");
    assert_eq!(late.len(), OF_ONE_MAX);
    let over = Some("remote-server-timeout".to_string());
    assert!(late.iter().all(|one| condition(one) == over));
    assert_eq!(asked(&mut core, OF_ONE_MAX), (1, None));
}

/// XEP-0059: of more rooms than are looked at for a page nobody counts, and pages go forwards.
#[test]
fn very_many_rooms_are_listed_forwards_only() {
    const LOOK_MAX: usize = 2_000;
    const PAGE_MAX: usize = 250;
    let mut core = Core::with_settings(&["romeo"], |settings| {
        settings.channels_per_user_max = 2 * LOOK_MAX;
    });
    core.bind("romeo/r");
    let made = |core: &mut Core, n: usize| {
        let create = format!("<create xmlns='urn:xmpp:mix:core:1' channel='r{n:05}'/>");
        core.say(
            "romeo/r",
            &format!("<iq type='set' id='c' to='chat.localhost'>{create}</iq>"),
        );
        assert_eq!(core.all("romeo/r").iter().find_map(condition), None);
    };
    let listed = |core: &mut Core, set: &str| {
        let set = format!("<set xmlns='http://jabber.org/protocol/rsm'>{set}</set>");
        let query = format!("<query xmlns='http://jabber.org/protocol/disco#items'>{set}</query>");
        core.say(
            "romeo/r",
            &format!("<iq type='get' id='l' to='chat.localhost'>{query}</iq>"),
        );
        let answer = core.all("romeo/r").remove(0);
        let refused = condition(&answer);
        (answer.source().matches("<item ").count(), refused)
    };
    for n in 0..LOOK_MAX - 1 {
        made(&mut core, n);
    }
    assert_eq!(listed(&mut core, "<before/>"), (PAGE_MAX, None));
    for n in LOOK_MAX..LOOK_MAX + 10 {
        made(&mut core, n);
    }
    let refused = Some("feature-not-implemented".to_string());
    assert_eq!(listed(&mut core, "<before/>"), (0, refused));
    assert_eq!(listed(&mut core, ""), (PAGE_MAX, None));
    assert_eq!(listed(&mut core, "<after>r02004</after>"), (5, None));
}
