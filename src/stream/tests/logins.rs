//! SASL: every mechanism, and every way a login fails.
use super::*;

const SHA512_PLUS: Scram = Scram {
    mechanism: "SCRAM-SHA-512-PLUS",
    gs2_header: "p=tls-exporter,,",
    channel_binding: &EXPORTER,
    ..LOGIN
};

#[test]
fn every_mechanism_logs_in() {
    for cut in CUTS {
        for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let mut peer = Peer::secured(cut);
            peer.scram(&Scram { mechanism, ..LOGIN });
            let end = format!(
                "credentials romeo@localhost; attempt romeo@localhost; authenticated romeo@localhost {mechanism}"
            );
            assert_eq!(peer.happened(), end);
            assert_in("<bind ", &peer.send(HEADER));
        }
        for mechanism in [
            "SCRAM-SHA-1-PLUS",
            "SCRAM-SHA-256-PLUS",
            "SCRAM-SHA-512-PLUS",
        ] {
            let exporter = Scram {
                mechanism,
                ..SHA512_PLUS
            };
            let end_point = Scram {
                gs2_header: "p=tls-server-end-point,,",
                channel_binding: &END_POINT,
                ..exporter
            };
            for login in [exporter, end_point] {
                let mut peer = Peer::secured(cut);
                let out = peer.scram(&login);
                assert_in("<success ", &out);
                assert_in("<bind ", &peer.send(HEADER));
            }
        }
    }
}

#[test]
fn a_changed_offer_is_proved() {
    let mut peer = Peer::secured(usize::MAX);
    let challenge = peer.auth("SCRAM-SHA-1", "n,,n=romeo,r=abc");
    let digest = sasl::mechanism::advertised_digest(&facts(), Offer::default(), ScramHash::Sha1);
    let first = payload(&challenge, "challenge").unwrap();
    assert!(first.ends_with(&format!(",i=10,h={digest}")), "{first}");
}

#[test]
fn channel_binding_that_does_not_hold() {
    for cut in CUTS {
        for (login, condition) in [
            (
                Scram {
                    channel_binding: b"another connection",
                    ..SHA512_PLUS
                },
                "not-authorized",
            ),
            (
                Scram {
                    gs2_header: "p=tls-server-end-point,,",
                    ..SHA512_PLUS
                },
                "not-authorized",
            ),
            (
                Scram {
                    gs2_header: "p=tls-unique,,",
                    ..SHA512_PLUS
                },
                "malformed-request",
            ),
            (
                Scram {
                    gs2_header: "n,,",
                    ..SHA512_PLUS
                },
                "malformed-request",
            ),
            (
                Scram {
                    mechanism: "SCRAM-SHA-512",
                    ..SHA512_PLUS
                },
                "malformed-request",
            ),
            // The downgrade of RFC 5802 §6.
            (
                Scram {
                    gs2_header: "y,,",
                    ..LOGIN
                },
                "not-authorized",
            ),
        ] {
            let mut peer = Peer::secured(cut);
            assert_in(&failure(condition), &peer.scram(&login));
        }
    }
}

#[test]
fn without_channel_binding_none_is_offered() {
    let mut peer = Peer::with_facts(7, TlsFacts::default());
    let features = peer.send(HEADER);
    assert!(
        !features.contains("PLUS") && !features.contains("sasl-cb"),
        "{features}"
    );
    assert_in(&failure("invalid-mechanism"), &peer.scram(&SHA512_PLUS));
    let login = Scram {
        gs2_header: "y,,",
        ..LOGIN
    };
    assert_in("<success ", &peer.scram(&login));
}

#[test]
fn authorization_identities() {
    for (authzid, works) in [
        ("", true),
        ("romeo@localhost", true),
        ("Romeo@LOCALHOST", true),
        ("juliet@localhost", false),
        ("romeo@capulet.lit", false),
        ("romeo@localhost/x", false),
        ("romeo", false),
        ("localhost", false),
        ("@", false),
    ] {
        let (plain, scram) = (
            format!("{authzid}\0romeo\0pencil"),
            match authzid {
                "" => "n,,n=romeo,r=abc".to_owned(),
                _ => format!("n,a={authzid},n=romeo,r=abc"),
            },
        );
        let mut peer = Peer::secured(7);
        let out = peer.auth("SCRAM-SHA-256", &scram);
        assert_eq!(out.starts_with("<challenge "), works, "{authzid}: {out}");
        let mut peer = Peer::secured(7);
        let out = peer.auth("PLAIN", &plain);
        assert_eq!(out.starts_with("<success "), works, "{authzid}: {out}");
        if !works {
            assert_in(&failure("invalid-authzid"), &out);
            assert_eq!(peer.happened(), "failed romeo@localhost invalid-authzid");
        }
    }
}

#[test]
fn user_names_are_prepared() {
    for (username, account) in [
        ("ROMEO", "romeo@localhost"),
        ("ro\u{AD}meo", "romeo@localhost"),
        ("\u{E9}t\u{E9}", "\u{E9}t\u{E9}@localhost"),
        ("e\u{301}te\u{301}", "\u{E9}t\u{E9}@localhost"),
        ("a=2Cb", "a,b@localhost"),
    ] {
        let mut peer = Peer::secured(7);
        peer.auth("SCRAM-SHA-1", &format!("n,,n={username},r=abc"));
        assert_eq!(peer.happened(), format!("credentials {account}"));
    }
    let mut peer = Peer::secured(7);
    let out = peer.auth("SCRAM-SHA-1", "n,,n=romeo@localhost,r=abc");
    assert_in(&failure("not-authorized"), &out);
}

#[test]
fn the_address_of_the_header_is_checked() {
    let header = |from: &str| HEADER.replace(" to=", &format!(" from='{from}' to="));
    for cut in CUTS {
        let mut peer = Peer::with_facts(cut, facts());
        assert_in(
            " to='juliet@localhost'",
            &peer.send(&header("juliet@localhost")),
        );
        let refusal = failure("not-authorized");
        assert_in(&refusal, &peer.scram(&LOGIN));
        assert_eq!(
            peer.happened(),
            "peer juliet@localhost; failed romeo@localhost not-authorized"
        );

        let mut peer = Peer::with_facts(cut, facts());
        peer.send(&header("Romeo@localhost/x"));
        assert_in("<success ", &peer.scram(&LOGIN));
        assert_in(
            " to='romeo@localhost'",
            &peer.send(&header("romeo@localhost")),
        );
        assert!(peer.send(BIND).contains("type='result'"));

        let mut peer = Peer::secured(cut);
        peer.scram(&LOGIN);
        let out = peer.send(&header("juliet@localhost"));
        assert_in(" to='juliet@localhost'", &out);
        assert_fails(&out, "invalid-from");
    }
}

#[test]
fn wrong_passwords_and_unknown_accounts_look_alike() {
    for cut in CUTS {
        let tried = |login: &Scram| {
            let mut peer = Peer::secured(cut);
            let out = peer.scram(login);
            (out, peer.happened().replace(login.username, "?"))
        };
        let wrong = Scram {
            password: "pen",
            ..LOGIN
        };
        let unknown = Scram {
            username: "nobody",
            ..LOGIN
        };
        assert_eq!(tried(&wrong), tried(&unknown));
        assert_in(&failure("not-authorized"), &tried(&wrong).0);
        let tried = |username: &str, password: &str| {
            let mut peer = Peer::secured(cut);
            let out = peer.auth("PLAIN", &format!("\0{username}\0{password}"));
            (out, peer.happened().replace(username, "?"))
        };
        assert_eq!(tried("romeo", "pen"), tried("nobody", "pen"));
        assert_in("derive pen; failed", &tried("romeo", "pen").1);
        assert_in(&failure("not-authorized"), &tried("romeo", "pen").0);
        // Passwords are prepared, and those that cannot be are wrong.
        assert_in("<success", &tried("romeo", "pen\u{AD}cil").0);
        assert_in(&failure("not-authorized"), &tried("romeo", "\u{7}").0);
    }
}

#[test]
fn salts_of_unknown_accounts_are_stable() {
    let salt = |username: &str, mechanism: &str| {
        let mut peer = Peer::secured(usize::MAX);
        let out = peer.auth(mechanism, &format!("n,,n={username},r=abc"));
        let first = payload(&out, "challenge").unwrap();
        first.split(',').nth(1).unwrap().to_owned()
    };
    assert_eq!(salt("nobody", "SCRAM-SHA-1"), salt("nobody", "SCRAM-SHA-1"));
    // As those of accounts do.
    for name in ["nobody", "romeo"] {
        assert_ne!(salt(name, "SCRAM-SHA-1"), salt(name, "SCRAM-SHA-512"));
    }
    assert_ne!(
        salt("nobody", "SCRAM-SHA-1"),
        salt("somebody", "SCRAM-SHA-1")
    );
    assert_eq!(
        salt("nobody", "SCRAM-SHA-1").len(),
        salt("romeo", "SCRAM-SHA-1").len()
    );
}

#[test]
fn disabled_accounts_are_told_the_owner_only() {
    let wrong = Scram {
        password: "pen",
        ..LOGIN
    };
    for (login, condition) in [(LOGIN, "account-disabled"), (wrong, "not-authorized")] {
        let mut peer = Peer::secured(7);
        peer.disabled = true;
        assert_in(&failure(condition), &peer.scram(&login));
        let out = peer.auth("PLAIN", &format!("\0romeo\0{}", login.password));
        assert_in(&failure(condition), &out);
    }
}

#[test]
fn too_many_failures_end_the_stream() {
    for cut in CUTS {
        let mut peer = Peer::secured(cut);
        let wrong = Scram {
            password: "pen",
            ..LOGIN
        };
        for _ in 0..2 {
            let out = peer.scram(&wrong);
            assert!(out.starts_with(&failure("not-authorized")), "{out}");
            assert!(out.ends_with("</failure>"), "{out}");
        }
        peer.events.clear();
        let out = peer.scram(&wrong);
        assert!(out.starts_with(&failure("not-authorized")), "{out}");
        assert_fails(&out, "policy-violation");
        assert!(
            peer.happened()
                .ends_with("not-authorized; closed policy-violation")
        );
    }
}

#[test]
fn giving_up_is_no_failure_but_counted() {
    let abort = "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    let mut peer = Peer::secured(7);
    for _ in 0..10 {
        assert_in("<challenge ", &peer.auth("SCRAM-SHA-1", "n,,n=romeo,r=abc"));
        assert_in(&failure("aborted"), &peer.send(abort));
    }
    assert!(!peer.happened().contains("failed"));
    assert_fails(&peer.send(abort), "policy-violation");
    let mut peer = Peer::secured(7);
    peer.auth("SCRAM-SHA-1", "n,,n=romeo,r=abc");
    peer.send(abort);
    assert_in("<success ", &peer.scram(&LOGIN));
}

#[test]
fn requests_that_are_wrong() {
    for (mechanism, text, condition) in [
        ("X-NONE", "", "invalid-mechanism"),
        ("plain", "", "invalid-mechanism"),
        ("PLAIN", "AHJvbWVvAHBlbmNpbA", "incorrect-encoding"),
        ("PLAIN", "AHJvbWVv AHBlbmNpbA==", "incorrect-encoding"),
        ("PLAIN", "AHJvbWVvAHBlbmNpbB==", "incorrect-encoding"),
        ("PLAIN", "****", "incorrect-encoding"),
        ("PLAIN", "=", "malformed-request"),
        ("PLAIN", "AAAA", "malformed-request"),
        ("SCRAM-SHA-1", "=", "malformed-request"),
        ("SCRAM-SHA-1", "AHJvbWVvAHBlbmNpbA==", "malformed-request"),
    ] {
        let mut peer = Peer::secured(7);
        assert_in(&failure(condition), &peer.auth_raw(mechanism, text));
        assert_eq!(peer.happened(), format!("failed - {condition}"));
        // The stream goes on.
        assert_in("<success ", &peer.scram(&LOGIN));
    }
    let mut peer = Peer::secured(7);
    assert_in(&failure("malformed-request"), &peer.respond("x"));
    let mut peer = Peer::secured(7);
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    assert_in(&failure("invalid-mechanism"), &peer.send(auth));
    let mut peer = Peer::secured(7);
    peer.auth("SCRAM-SHA-1", "n,,n=romeo,r=abc");
    assert_in(&failure("malformed-request"), &peer.send(PLAIN_ROMEO));
}

#[test]
fn a_first_message_may_come_after_an_empty_challenge() {
    for cut in CUTS {
        let mut peer = Peer::secured(cut);
        let challenge = peer.auth_raw("PLAIN", "");
        assert_eq!(
            challenge,
            "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
        );
        assert_in(
            "<success ",
            &format!("{} ", peer.respond("\0romeo\0pencil").replace("/>", " />")),
        );
    }
}

#[test]
fn nothing_but_sasl_before_the_login() {
    for (text, condition) in [
        ("<presence/>", "not-authorized"),
        (BIND, "not-authorized"),
        (
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            "policy-violation",
        ),
        (
            "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
            "unsupported-stanza-type",
        ),
        ("<x/>", "unsupported-stanza-type"),
    ] {
        let mut peer = Peer::secured(7);
        assert_fails(&peer.send(text), condition);
        assert_eq!(peer.happened(), format!("closed {condition}"));
    }
}

#[test]
fn input_waits_while_an_answer_is_outstanding() {
    let mut peer = Peer::secured(7);
    peer.slow = true;
    // PLAIN is answered at leisure; the next header and the request to bind are here already.
    assert_eq!(
        peer.send(&format!("{PLAIN_ROMEO}{HEADER}{BIND}<presence/>")),
        ""
    );
    assert_eq!(peer.happened(), "attempt romeo@localhost");
    assert!(peer.stream.held_bytes() > HEADER.len());
    for event in ["credentials romeo@localhost", "derive pencil"] {
        let held = peer.held.take().unwrap();
        peer.answer(held);
        assert_eq!(peer.wake(), "");
        assert_eq!(peer.happened(), event);
    }
    peer.slow = false;
    let held = peer.held.take().unwrap();
    peer.answer(held);
    let out = peer.wake();
    assert!(
        out.starts_with("<success ") && out.ends_with("</iq>"),
        "{out}"
    );
    assert_eq!(
        peer.happened(),
        "authenticated romeo@localhost PLAIN; bind romeo@localhost None; <presence/>"
    );
    assert_eq!(peer.stream.held_bytes(), 0);
}

/// Nothing is compared before its turn, and where too many are before it nothing is told of the account.
#[test]
fn an_attempt_that_has_no_turn_is_put_off() {
    for username in ["romeo", "nobody"] {
        let mut peer = Peer::secured(usize::MAX);
        peer.turn = false;
        let out = peer.auth("PLAIN", &format!("\0{username}\0pencil"));
        assert_in(&failure("temporary-auth-failure"), &out);
        let account = format!("{username}@localhost");
        let end = format!("attempt {account}; failed {account} temporary-auth-failure");
        assert_eq!(peer.happened(), end);
        let out = peer.scram(&Scram { username, ..LOGIN });
        assert_in(&failure("temporary-auth-failure"), &out);
        assert_eq!(peer.happened(), format!("credentials {account}; {end}"));
    }
}

#[test]
fn too_much_sent_ahead_ends_the_stream() {
    let mut peer = Peer::secured(7);
    peer.slow = true;
    peer.send(PLAIN_ROMEO);
    assert_eq!(peer.send(&" ".repeat(2000)), "");
    assert_eq!(peer.happened(), "attempt romeo@localhost");
    assert_fails(&peer.send(" "), "policy-violation");
    assert_eq!(peer.happened(), "closed policy-violation");
    assert_eq!(peer.stream.held_bytes(), 0);
    // The answer comes too late.
    let held = peer.held.take().unwrap();
    peer.answer(held);
    assert_eq!(peer.wake(), "");
    assert_eq!(peer.happened(), "");
}

#[test]
fn a_failure_is_told_when_it_is_released() {
    let mut peer = Peer::secured(7);
    peer.slow = true;
    assert_eq!(peer.auth("X", ""), "");
    assert_eq!(peer.happened(), "failed - invalid-mechanism");
    // An answer nobody asked for changes nothing.
    peer.stream
        .credentials(AccountAnswer::Unknown(super::usual()));
    assert_eq!(peer.wake(), "");
    peer.stream.release_failure();
    assert_in(&failure("invalid-mechanism"), &peer.wake());
}
