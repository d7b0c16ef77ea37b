//! Binding a resource, and what passes after it.
use super::*;

fn bind(resource: &str) -> String {
    let ns = crate::xmpp::ns::BIND;
    format!("<iq type='set' id='b'><bind xmlns='{ns}'><resource>{resource}</resource></bind></iq>")
}

#[test]
fn resources_are_prepared() {
    for (asked, event, made) in [
        ("balcony", "Some(\"balcony\")", "balcony"),
        ("a\u{A0}b", "Some(\"a b\")", "a b"),
        ("&lt;it&apos;s&gt;", "Some(\"<it's>\")", "&lt;it's&gt;"),
        ("", "None", "made"),
    ] {
        for cut in CUTS {
            let mut peer = Peer::authenticated(cut);
            let out = peer.send(&bind(asked));
            assert_in(&format!("<jid>romeo@localhost/{made}</jid>"), &out);
            assert_eq!(peer.happened(), format!("bind romeo@localhost {event}"));
            assert!(peer.stream.is_bound());
        }
    }
}

#[test]
fn requests_to_bind_that_are_refused() {
    let error = |condition: &str| format!("<{condition} xmlns='{}'/>", crate::xmpp::ns::STANZAS);
    let long = bind(&"x".repeat(1024));
    for (text, condition) in [
        (bind("taken"), "conflict"),
        (long, "bad-request"),
        (bind("\u{7F}"), "bad-request"),
        (BIND.replace("'set'", "'get'"), "bad-request"),
        (BIND.replace(" id='b'", ""), "bad-request"),
        (BIND.replace("</iq>", "<x/></iq>"), "bad-request"),
    ] {
        for cut in CUTS {
            let mut peer = Peer::authenticated(cut);
            let out = peer.send(&text);
            assert!(out.starts_with("<iq type='error'"), "{text}: {out}");
            assert_eq!(out.contains(" id='b'"), text.contains(" id='b'"));
            assert_in(&error(condition), &out);
            assert!(!peer.stream.is_bound());
            assert_in("<jid>romeo@localhost/home</jid>", &peer.send(&bind("home")));
        }
    }
    let mut peer = Peer::authenticated(7);
    for _ in 0..10 {
        assert_in(&error("conflict"), &peer.send(&bind("taken")));
    }
    assert_fails(&peer.send(&bind("taken")), "policy-violation");
}

#[test]
fn nothing_but_binding_before_it() {
    for (text, condition) in [
        ("<message/>", "not-authorized"),
        ("<presence/>", "not-authorized"),
        (
            "<iq type='set' id='1'><query xmlns='jabber:iq:roster'/></iq>",
            "not-authorized",
        ),
        (
            "<presence><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></presence>",
            "not-authorized",
        ),
        (PLAIN_ROMEO, "unsupported-stanza-type"),
        (
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            "unsupported-stanza-type",
        ),
    ] {
        let mut peer = Peer::authenticated(7);
        assert_fails(&peer.send(text), condition);
        assert_eq!(peer.happened(), format!("closed {condition}"));
    }
}

#[test]
fn stanzas_pass() {
    for cut in CUTS {
        let mut peer = Peer::bound(cut);
        let session =
            "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
        for stanza in [
            "<message a='1'>x<b/></message>",
            "<presence/>",
            "<iq/>",
            session,
        ] {
            assert_eq!(peer.send(stanza), "");
            assert_eq!(peer.happened(), stanza);
        }
        assert_eq!(peer.send(" "), "");
        assert_eq!(peer.happened(), "whitespace");
        let (first, second) = ("<message id='1'/>", "<message id='2'/>");
        peer.send(&format!("{first}{second}"));
        assert_eq!(peer.happened(), format!("{first}; {second}"));
        // Prefixes of the header are carried in.
        peer.send("<message><stream:x/></message>");
        assert_in("xmlns:stream=", &peer.happened());
    }
}

#[test]
fn what_is_no_stanza_ends_the_stream() {
    for (text, condition) in [
        ("<x/>", "unsupported-stanza-type"),
        (
            "<message xmlns='jabber:server'/>",
            "unsupported-stanza-type",
        ),
        ("<stream:features/>", "unsupported-stanza-type"),
        (PLAIN_ROMEO, "unsupported-stanza-type"),
        (
            "<c:message xmlns:c='jabber:client' xmlns='x'><y/></c:message>",
            "bad-namespace-prefix",
        ),
        (
            "<stream:stream to='localhost'></stream:stream>",
            "unsupported-stanza-type",
        ),
    ] {
        for cut in CUTS {
            let mut peer = Peer::bound(cut);
            assert_fails(&peer.send(text), condition);
            assert_eq!(peer.happened(), format!("closed {condition}"));
        }
    }
}

#[test]
fn limits_grow_with_the_login() {
    let message = |bytes: usize| format!("<message>{}</message>", "x".repeat(bytes));
    for cut in CUTS {
        let mut peer = Peer::bound(cut);
        assert_eq!(peer.send(&message(4000)), "");
        assert_eq!(peer.happened().len(), message(4000).len());
        assert_fails(&peer.send(&message(5000)), "policy-violation");
    }
}

#[test]
fn a_bound_stream_is_small() {
    assert!(size_of::<Stream>() <= 320, "{}", size_of::<Stream>());
    let mut peer = Peer::bound(7);
    assert_eq!(peer.stream.held_bytes(), 0);
    assert!(Rc::ptr_eq(&peer.stream.context, &header::usual_context()));
    peer.send("<message>abc");
    assert!(peer.stream.held_bytes() >= 12);
    peer.send("</message><presence/>");
    assert_eq!(peer.stream.held_bytes(), 0);
}
