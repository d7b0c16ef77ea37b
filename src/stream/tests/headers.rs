//! Headers, STARTTLS, closing, and XML that is refused.
use super::*;

#[test]
fn from_plain_text_to_a_bound_resource() {
    for cut in CUTS {
        let mut peer = Peer::plain(cut);
        let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
            from='romeo@localhost/x' to='LOCALHOST.' version='1.0' xml:lang='de'>";
        assert_eq!(
            peer.send(header),
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
            xmlns:stream='http://etherx.jabber.org/streams' from='localhost' to='romeo@localhost' \
            id='AQEBAQEBAQEBAQEBAQEBAQ' version='1.0' xml:lang='en'><stream:features>\
            <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
        );
        assert_eq!(peer.stream.lang(), Some("de".into()));
        let proceed = peer.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        assert_eq!(
            proceed,
            "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
        );
        assert_eq!(peer.happened(), "starttls");
        peer.stream.secured(facts());
        let out = peer.send(HEADER);
        assert_in(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
            xmlns:stream='http://etherx.jabber.org/streams' from='localhost' \
            id='AgICAgICAgICAgICAgICAg' version='1.0' xml:lang='en'><stream:features>\
            <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
            <mechanism>SCRAM-SHA-512-PLUS</mechanism><mechanism>SCRAM-SHA-256-PLUS</mechanism>\
            <mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-512</mechanism>\
            <mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism>\
            <mechanism>PLAIN</mechanism><mechanism>OAUTHBEARER</mechanism></mechanisms>\
            <authentication xmlns='urn:xmpp:sasl:2'>",
            &out,
        );
        assert_in(
            "</authentication><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>\
            <channel-binding type='tls-server-end-point'/></sasl-channel-binding>\
            <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>1000</max-bytes></limits>\
            <config-version ",
            &out,
        );
        assert_eq!(peer.stream.lang(), None);
        let success = peer.send(PLAIN_ROMEO);
        assert_eq!(
            success,
            "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
        );
        assert_eq!(
            peer.happened(),
            "attempt romeo@localhost; credentials romeo@localhost; derive pencil; authenticated romeo@localhost PLAIN"
        );
        let features = peer.send(HEADER);
        assert_in(
            "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
            <session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>\
            <ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/><sm xmlns='urn:xmpp:sm:3'/><csi xmlns='urn:xmpp:csi:0'/>\
            <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>5000</max-bytes>\
            <idle-seconds>600</idle-seconds></limits>\
            <c xmlns='http://jabber.org/protocol/caps' ver='x'/></stream:features>",
            &features,
        );
        assert_eq!(
            peer.send(BIND),
            "<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
            <jid>romeo@localhost/made</jid></bind></iq>"
        );
        assert_eq!(peer.happened(), "bind romeo@localhost None");
        assert_eq!(peer.send("<presence/>"), "");
        assert_eq!(peer.happened(), "<presence/>");
    }
}

#[test]
fn headers_that_are_refused() {
    let good = [
        ("root", "stream:stream"),
        ("ns", "jabber:client"),
        ("streams", "http://etherx.jabber.org/streams"),
        ("rest", "to='localhost' version='1.0'"),
    ];
    for (changed, value, condition) in [
        ("root", "stream:error", "bad-format"),
        ("root", "stream", "invalid-namespace"),
        ("ns", "jabber:server", "invalid-namespace"),
        ("ns", "", "invalid-namespace"),
        (
            "streams",
            "http://etherx.jabber.org/other",
            "invalid-namespace",
        ),
        ("rest", "to='localhost'", "unsupported-version"),
        (
            "rest",
            "to='localhost' version='0.9'",
            "unsupported-version",
        ),
        ("rest", "to='localhost' version='x'", "unsupported-version"),
        ("rest", "version='1.0'", "host-unknown"),
        ("rest", "to='' version='1.0'", "improper-addressing"),
        (
            "rest",
            "to='a@localhost' version='1.0'",
            "improper-addressing",
        ),
        ("rest", "to='capulet.lit' version='1.0'", "host-unknown"),
        (
            "rest",
            "to='localhost' version='1.0' from='@x'",
            "improper-addressing",
        ),
        (
            "rest",
            "to='localhost' version='1.0' from='romeo@capulet.lit'",
            "invalid-from",
        ),
        ("rest", "to='localhost' to='localhost'", "not-well-formed"),
        ("rest", "x:to='localhost'", "not-well-formed"),
    ] {
        let [root, ns, streams, rest] =
            good.map(|(name, usual)| if name == changed { value } else { usual });
        for cut in CUTS {
            let mut peer = Peer::plain(cut);
            let text = format!("<{root} xmlns='{ns}' xmlns:stream='{streams}' {rest}>");
            let out = peer.send(&text);
            let ours = "<?xml version='1.0'?><stream:stream ";
            assert!(out.starts_with(ours), "{text}: {out}");
            assert_eq!(out.matches(ours).count(), 1, "{out}");
            assert_fails(&out, condition);
            assert_eq!(peer.happened(), format!("closed {condition}"), "{text}");
            assert_eq!(peer.send(HEADER), "");
            assert_eq!(peer.happened(), "");
        }
    }
}

#[test]
fn headers_that_are_accepted() {
    for header in [
        "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client' to='localhost' version='1.0'>",
        // Prefix-free, RFC 6120 §4.8.3.
        "<stream xmlns='http://etherx.jabber.org/streams' to='localhost' version='1.1'>",
        "\n<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>",
    ] {
        for cut in CUTS {
            let mut peer = Peer::with_facts(cut, facts());
            assert_in("<mechanism>PLAIN", &peer.send(header));
            peer.send(PLAIN_ROMEO);
            peer.send(header);
            peer.send("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
            peer.events.clear();
            peer.send("<message xmlns='jabber:client'/>");
            assert_eq!(peer.happened(), "<message xmlns='jabber:client'/>");
        }
    }
}

#[test]
fn nothing_sent_before_the_handshake_counts_after_it() {
    for cut in CUTS {
        let mut peer = Peer::plain(cut);
        peer.send(HEADER);
        let injected =
            format!("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{HEADER}{PLAIN_ROMEO}");
        let out = peer.send(&injected);
        assert_eq!(out, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        assert_eq!(peer.happened(), "starttls");
        peer.stream.secured(facts());
        assert_eq!(peer.wake(), "");
        assert_eq!(peer.send(PLAIN_ROMEO).matches("<mechanism>").count(), 0);
        assert_eq!(peer.happened(), "closed invalid-namespace");
    }
}

#[test]
fn plain_text_is_for_starttls_only() {
    for cut in CUTS {
        let mut peer = Peer::plain(cut);
        peer.send(HEADER);
        assert_in(&failure("encryption-required"), &peer.send(PLAIN_ROMEO));
        assert_eq!(peer.happened(), "");
        for (text, condition) in [
            ("<message/>", "not-authorized"),
            (BIND, "not-authorized"),
            ("<x/>", "unsupported-stanza-type"),
            (
                "<message xmlns='jabber:server'/>",
                "unsupported-stanza-type",
            ),
        ] {
            let mut peer = Peer::plain(cut);
            peer.send(HEADER);
            assert_fails(&peer.send(text), condition);
            assert_eq!(peer.happened(), format!("closed {condition}"));
        }
    }
}

#[test]
fn xml_that_is_refused() {
    let oversized = format!("<auth>{}</auth>", "x".repeat(1000));
    for (text, condition) in [
        ("<a></b>", "not-well-formed"),
        ("text", "not-well-formed"),
        ("<a:b/>", "not-well-formed"),
        ("<a>\u{1}</a>", "not-well-formed"),
        ("<!-- x -->", "restricted-xml"),
        ("<?php ?>", "restricted-xml"),
        ("<a>&x;</a>", "restricted-xml"),
        (
            "<a a='1' b='1' c='1' d='1' e='1' f='1' g='1' h='1' i='1'/>",
            "policy-violation",
        ),
        (&oversized, "policy-violation"),
    ] {
        for cut in CUTS {
            let mut peer = Peer::secured(cut);
            let out = peer.send(text);
            assert_fails(&out, condition);
            assert!(!out.contains("<?xml"), "{out}");
        }
    }
    for cut in CUTS {
        let mut peer = Peer::plain(cut);
        let out = peer.send("<?xml version='1.0' encoding='latin1'?><a>");
        assert_fails(&out, "unsupported-encoding");
        assert!(out.starts_with("<?xml version='1.0'?><stream:stream "));
    }
}

#[test]
fn closing_from_either_side() {
    for cut in CUTS {
        for mut peer in [
            Peer::secured(cut),
            Peer::authenticated(cut),
            Peer::bound(cut),
        ] {
            assert_eq!(peer.send("</stream:stream>"), "</stream:stream>");
            assert_eq!(peer.happened(), "closed regularly");
            assert_eq!(peer.send("<message/>"), "");
            assert_eq!(peer.happened(), "");
        }
        let mut peer = Peer::bound(cut);
        let mut out = Vec::new();
        peer.stream.close(&mut out);
        peer.stream.close(&mut out);
        assert_eq!(out, b"</stream:stream>");
        assert!(!peer.stream.is_bound());
        assert_eq!(peer.send("<message/> </stream:stream>"), "");
        assert_eq!(peer.happened(), "closed regularly");
        // RFC 6120 §4.9.1.1: an error is not answered with an error.
        let mut peer = Peer::bound(cut);
        let text = error("conflict") + "</stream:error></stream:stream>";
        assert_eq!(peer.send(&text), "</stream:stream>");
        assert_eq!(peer.happened(), "closed regularly");
    }
}

#[test]
fn closing_before_there_is_a_stream() {
    let mut peer = Peer::plain(1);
    let mut out = Vec::new();
    peer.stream.close(&mut out);
    assert_eq!(peer.wake(), "");
    assert_eq!(peer.happened(), "closed regularly");
    assert_eq!(out, b"");
}

#[test]
fn failing_at_every_stage() {
    let fail = |mut peer: Peer| {
        let mut out = Vec::new();
        let error = StreamError::from(StreamCondition::SystemShutdown);
        peer.stream.fail(error.clone(), &mut peer.entropy, &mut out);
        peer.stream.fail(error, &mut peer.entropy, &mut out);
        assert_eq!(peer.send("<message/>"), "");
        assert_eq!(peer.happened(), "");
        String::from_utf8(out).unwrap()
    };
    let header = "<?xml version='1.0'?><stream:stream ";
    let out = fail(Peer::plain(1));
    assert!(out.starts_with(header), "{out}");
    assert_fails(&out, "system-shutdown");
    for peer in [Peer::secured(1), Peer::authenticated(1), Peer::bound(1)] {
        let out = fail(peer);
        assert!(out.starts_with("<stream:error>"), "{out}");
        assert_fails(&out, "system-shutdown");
    }
    let mut peer = Peer::secured(1);
    peer.send(PLAIN_ROMEO);
    peer.events.clear();
    assert!(fail(peer).starts_with(header));
    // TLS is up, the peer silent since.
    let out = fail(Peer::with_facts(1, facts()));
    assert!(out.starts_with(header), "{out}");
    // No stream to tell it in.
    let mut peer = Peer::plain(1);
    peer.stream = Stream::new(settings(), true);
    assert_eq!(fail(peer), "");
}
