use super::hash::Answer;
use super::*;
use crate::xml::parse_stored;
use crate::xmpp::Stanza;

const FEATURES: &str = "<feature var='http://jabber.org/protocol/caps'/>\
    <feature var='http://jabber.org/protocol/muc'/>\
    <feature var='http://jabber.org/protocol/disco#info'/>\
    <feature var='http://jabber.org/protocol/disco#items'/>";

fn read_text(children: &str) -> Option<Answer> {
    let query = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{children}</query>");
    read(parse_stored(&query, "").unwrap().root())
}

fn form(fields: &str) -> String {
    format!("<x xmlns='jabber:x:data' type='result'>{fields}</x>")
}

#[test]
fn simple_example() {
    let identity = "<identity category='client' name='Exodus 0.9.1' type='pc'/>";
    let info = read_text(&format!("{identity}{FEATURES}")).unwrap();
    assert_eq!(
        verification_string(&info.info),
        "QgayPKawpkPSDYmwT/WM94uAlu0="
    );
}

#[test]
fn complex_example() {
    let identities = "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>\
        <identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>";
    let form = form(
        "<field var='os_version'><value>10.5.1</value></field>\
         <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
         <field var='ip_version' type='text-multi'><value>ipv6</value><value>ipv4</value></field>\
         <field var='os'><value>Mac</value></field>\
         <field var='software'><value>Psi</value></field>\
         <field var='software_version'><value>0.11</value></field>",
    );
    let info = read_text(&format!("{form}{identities}{FEATURES}")).unwrap();
    assert_eq!(
        verification_string(&info.info),
        "q07IKJEyjvHSyhy//CH0CxmKi8w="
    );
}

#[test]
fn ill_formed_answers_are_refused() {
    let form_type = |value| {
        form(&format!(
            "<field var='FORM_TYPE' type='hidden'><value>{value}</value></field>"
        ))
    };
    let two_types =
        form("<field var='FORM_TYPE' type='hidden'><value>a</value><value>b</value></field>");
    for (children, well_formed) in [
        ("<feature var='a'/><feature var='a'/>".to_string(), false),
        (
            "<identity category='a' type='b'/><identity category='a' type='b'/>".into(),
            false,
        ),
        (
            "<identity category='a' type='b'/><identity category='a' type='b' xml:lang='en'/>"
                .into(),
            true,
        ),
        (format!("{}{}", form_type("a"), form_type("a")), false),
        (format!("{}{}", form_type("a"), form_type("b")), true),
        (two_types, false),
    ] {
        assert_eq!(read_text(&children).is_some(), well_formed, "{children}");
    }
}

#[test]
fn forms_without_a_hidden_type_do_not_count() {
    for fields in [
        "<field var='a'><value>1</value></field>",
        "<field var='FORM_TYPE'><value>t</value></field>",
    ] {
        let info = read_text(&form(fields)).unwrap();
        assert_eq!(info.info.forms, Vec::new());
    }
}

fn announced_by(children: &str) -> Option<Announced> {
    let text = format!("<presence>{children}</presence>");
    announced(parse_stored(&text, ns::CLIENT).unwrap().root())
}

fn c(attributes: &str) -> String {
    format!("<c xmlns='{}' {attributes}/>", ns::CAPS)
}

/// A set of XEP-0390.
fn set(hashes: &[(&str, &str)]) -> String {
    let hashes = hashes.iter().map(|(algorithm, hash)| {
        format!("<hash xmlns='urn:xmpp:hashes:2' algo='{algorithm}'>{hash}</hash>")
    });
    let hashes: String = hashes.collect();
    format!("<c xmlns='urn:xmpp:caps'>{hashes}</c>")
}

const SIMPLE: &str = "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=";
const OLDER: &str = "hash='sha-1' node='n' ver='QgayPKawpkPSDYmwT/WM94uAlu0='";

#[test]
fn announcements_of_other_kinds_are_passed_over() {
    let only = announced_by(&c(OLDER)).unwrap();
    assert_eq!(&*only.hash.id.0, "QgayPKawpkPSDYmwT/WM94uAlu0=");
    assert_eq!(only.hash.node, "n#QgayPKawpkPSDYmwT/WM94uAlu0=");
    for attributes in [
        "node='n' ver='QgayPKawpkPSDYmwT/WM94uAlu0='",
        "hash='md5' node='n' ver='QgayPKawpkPSDYmwT/WM94uAlu0='",
        "hash='sha-1' node='n' ver='0.9'",
        "hash='sha-1' node='n'",
    ] {
        assert!(announced_by(&c(attributes)).is_none(), "{attributes}");
    }
    for hashes in [
        &[][..],
        &[("sha3-256", SIMPLE)],
        &[("sha-256", "")],
        &[("sha-256", "****")],
        &[("sha-256", "QgayPKawpkPSDYmwT/WM94uAlu0=")],
    ] {
        assert!(announced_by(&set(hashes)).is_none(), "{hashes:?}");
    }
}

#[test]
fn of_two_announcements_the_newer_comes_first() {
    let hashes = [("sha3-256", SIMPLE), ("sha-256", SIMPLE)];
    let both = announced_by(&format!("{}{}", c(OLDER), set(&hashes))).unwrap();
    assert_eq!(*both.hash.id.0, *format!("sha-256.{SIMPLE}"));
    assert_eq!(both.hash.node, format!("urn:xmpp:caps#sha-256.{SIMPLE}"));
    assert_eq!(both.older.unwrap().node, "n#QgayPKawpkPSDYmwT/WM94uAlu0=");
    // None of its hashes is known here.
    let both = announced_by(&format!("{}{}", c(OLDER), set(&hashes[..1]))).unwrap();
    assert_eq!(&*both.hash.id.0, "QgayPKawpkPSDYmwT/WM94uAlu0=");
}

/// XEP-0390 §4.5.1, with a third hash worked out elsewhere.
#[test]
fn simple_set() {
    let features = [
        "http://jabber.org/protocol/si",
        "http://jabber.org/protocol/bytestreams",
        "http://jabber.org/protocol/chatstates",
        "http://jabber.org/protocol/disco#info",
        "http://jabber.org/protocol/disco#items",
        "urn:xmpp:ping",
        "jabber:iq:time",
        "jabber:iq:privacy",
        "jabber:iq:version",
        "http://jabber.org/protocol/rosterx",
        "urn:xmpp:time",
        "jabber:x:oob",
        "http://jabber.org/protocol/ibb",
        "http://jabber.org/protocol/si/profile/file-transfer",
        "urn:xmpp:receipts",
        "jabber:iq:roster",
        "jabber:iq:last",
    ];
    let features = features.map(|feature| format!("<feature var='{feature}'/>"));
    let identity = "<identity category='client' name='BombusMod' type='mobile'/>";
    let all = format!("{identity}{}", features.concat());
    let id = |text: &str| CapsId(text.into());
    let is_right = |children: &str, lang: &str| {
        let answer = read_text(children).unwrap();
        is_hash_of(&id(&format!("sha-256.{SIMPLE}")), &answer, lang)
    };
    assert!(is_right(&all, ""));
    // Most do not count in what an identity inherits.
    assert!(is_right(&all, "en"));
    assert!(!is_right(&format!("{all}<feature var='x'/>"), ""));
    // §4.1, steps 1 to 3.
    for refused in [
        "<other xmlns='urn:example'/>".to_string(),
        form("<field var='a'><value>1</value></field>"),
        form("<field var='FORM_TYPE' type='hidden'><value>a</value></field><reported/>"),
    ] {
        assert!(!is_right(&format!("{all}{refused}"), ""), "{refused}");
    }
    for unknown in ["", "sha3-256.x", "sha-256.", "md5."] {
        let answer = read_text(&all).unwrap();
        assert!(!is_hash_of(&id(unknown), &answer, ""), "{unknown}");
    }
}

/// XEP-0390 §4.5.2: two languages and a form; also when one is inherited.
#[test]
fn complex_set() {
    let features = "games:board http://jabber.org/protocol/activity \
        http://jabber.org/protocol/activity+notify http://jabber.org/protocol/bytestreams \
        http://jabber.org/protocol/chatstates http://jabber.org/protocol/commands \
        http://jabber.org/protocol/disco#info http://jabber.org/protocol/disco#items \
        http://jabber.org/protocol/evil http://jabber.org/protocol/feature-neg \
        http://jabber.org/protocol/geoloc http://jabber.org/protocol/geoloc+notify \
        http://jabber.org/protocol/ibb http://jabber.org/protocol/iqibb \
        http://jabber.org/protocol/mood http://jabber.org/protocol/mood+notify \
        http://jabber.org/protocol/rosterx http://jabber.org/protocol/si \
        http://jabber.org/protocol/si/profile/file-transfer http://jabber.org/protocol/tune \
        http://www.facebook.com/xmpp/messages \
        http://www.xmpp.org/extensions/xep-0084.html#ns-metadata+notify jabber:iq:avatar \
        jabber:iq:browse jabber:iq:dtcp jabber:iq:filexfer jabber:iq:ibb jabber:iq:inband \
        jabber:iq:jidlink jabber:iq:last jabber:iq:oob jabber:iq:privacy jabber:iq:roster \
        jabber:iq:time jabber:iq:version jabber:x:data jabber:x:event jabber:x:oob \
        urn:xmpp:avatar:metadata+notify urn:xmpp:ping urn:xmpp:receipts urn:xmpp:time";
    let features = features.split_whitespace();
    let features: String = features
        .map(|feature| format!("<feature var='{feature}'/>"))
        .collect();
    let form = form(
        "<field type='hidden' var='FORM_TYPE'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
         <field var='software'><value>Tkabber</value></field>\
         <field var='software_version'><value>0.11.1-svn-20111216-mod (Tcl/Tk 8.6b2)</value></field>\
         <field var='os'><value>Windows</value></field><field var='os_version'><value>XP</value></field>",
    );
    let id = CapsId("sha-256.u79ZroNJbdSWhdSp311mddz44oHHPsEBntQ5b1jqBSY=".into());
    for (of_first, around) in [(" xml:lang='en'", ""), ("", "en")] {
        let identities = format!(
            "<identity category='client' name='Tkabber' type='pc'{of_first}/>\
             <identity category='client' name='Ткаббер' type='pc' xml:lang='ru'/>"
        );
        let answer = read_text(&format!("{identities}{features}{form}")).unwrap();
        assert!(is_hash_of(&id, &answer, around));
    }
}

#[test]
fn own_caps_and_nodes_name_the_same_hashes() {
    let settings = Settings::new("localhost");
    let nodes = own_nodes(&server_info(&settings));
    let announced = announced_by(&own_caps(&settings)).unwrap();
    assert_eq!(nodes, [announced.older.unwrap().node, announced.hash.node]);
}

fn result(children: &str) -> Iq {
    let text = format!(
        "<iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#info'>{children}</query></iq>"
    );
    match Stanza::from_element(parse_stored(&text, ns::CLIENT).unwrap()) {
        Some(Ok(Stanza::Iq(iq))) => iq,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_client_wants_is_bounded() {
    let many = |bytes: usize| {
        let features = (0..2 * CLIENT_NODES_MAX)
            .map(|n| format!("<feature var='{n:0bytes$}+notify'/><feature var='{n}'/>"));
        features.collect::<String>()
    };
    for (bytes, kept) in [(4, CLIENT_NODES_MAX), (1000, CLIENT_NODES_BYTES_MAX / 1000)] {
        let answer = read_text(&many(bytes)).unwrap();
        let id = CapsId(verification_string(&answer.info).into());
        let verified = verified(&id, None, &result(&many(bytes)));
        assert_eq!(verified[0].wanted().len(), kept);
        assert!(verified[0].wants(&format!("{:0bytes$}", 1)));
    }
}
