//! XEP-0388 with what is inline in it, seen from the stream alone.
use super::*;

const AGENT: &str =
    "<user-agent id='D4565FA7-4d72-4749-b3d3-740edbf87770'><software>S</software></user-agent>";
const TOKEN: &str = "the-token";

fn header_of(from: &str) -> String {
    HEADER.replace(" to=", &format!(" from='{from}' to="))
}

fn authenticate(mechanism: &str, message: &[u8], more: &str) -> String {
    let message = base64(message);
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'>\
         <initial-response>{message}</initial-response>{AGENT}{more}</authenticate>"
    )
}

fn sasl2_failure(condition: &str) -> String {
    format!(
        "<failure xmlns='urn:xmpp:sasl:2'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
    )
}

/// What a client that holds `token` sends.
fn hashed(token: &str, binding: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    let tag = hmac::sign(&key, &[b"Initiator", binding].concat());
    [b"romeo\0", tag.as_ref()].concat()
}

fn fast(token: &str, more: &str) -> String {
    authenticate("HT-SHA-256-ENDP", &hashed(token, &END_POINT), more)
}

impl Peer {
    pub(super) fn answer_fast(
        &mut self,
        agent: &str,
        mechanism: &str,
        count: Option<u32>,
        early: bool,
    ) {
        assert_eq!(agent, "d4565fa7-4d72-4749-b3d3-740edbf87770");
        self.events.push(format!("{mechanism} {count:?} {early}"));
        self.stream.fast(std::mem::take(&mut self.tokens));
    }

    pub(super) fn complete(&mut self, login: super::Login) {
        assert_eq!(login.right, RIGHT);
        if let Err(condition) = self.standing {
            return self.stream.not_completed(condition);
        }
        let request = login.request.as_deref().cloned().unwrap_or_default();
        let outcome = match (&request.resume, &request.bind) {
            (Some(_), _) => Outcome::Resumed,
            (None, Some(_)) => Outcome::Bound { managed: false },
            (None, None) => Outcome::Authenticated,
        };
        self.stream.complete(
            &login.account,
            "romeo@localhost/r",
            b"<inline/>",
            outcome,
            &mut self.entropy,
            &mut self.written,
        );
        self.logins.push(login);
    }

    fn hold_token(&mut self, standing: FastStanding) {
        self.tokens.push(FastCandidate {
            token: TOKEN.into(),
            tag: 9,
            slot: Slot::New,
            right: RIGHT,
            standing,
        });
    }

    fn from_romeo(cut: usize) -> Peer {
        let mut peer = Peer::with_facts(cut, facts());
        peer.send(&header_of("romeo@localhost"));
        peer.events.clear();
        peer
    }
}

#[test]
fn offers_depend_on_the_header_and_have_a_version() {
    let features = |offer: Offer, header: &str| {
        let mut peer = Peer::with_facts(usize::MAX, facts());
        peer.offer = offer;
        let out = peer.send(header);
        let (_, features) = out.split_once("<stream:features>").unwrap();
        features.to_string()
    };
    let anonymous = features(Offer::default(), HEADER);
    for part in [
        "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>SCRAM-SHA-512-PLUS</mechanism>",
        "<inline><sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:xmpp:bind:0'><inline>\
         <feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:csi:0'/>\
         <feature var='urn:xmpp:sm:3'/></inline></bind>\
         <fast xmlns='urn:xmpp:fast:0' tls-0rtt='true'><mechanism>HT-SHA-512-EXPR</mechanism>",
        "<config-version xmlns='urn:xmpp:iap:0' scheme='opaque' value='",
    ] {
        assert_in(part, &anonymous);
    }
    assert!(!anonymous.contains("upgrade"));
    let named = header_of("romeo@localhost");
    assert_eq!(features(Offer::default(), &named), anonymous);
    let upgradable = Offer {
        hashes: [ScramHash::Sha1].into_iter().collect(),
        upgrades: [ScramHash::Sha256].into_iter().collect(),
        x_oauth: true,
    };
    let other = features(upgradable, &named);
    assert!(!other.contains(">SCRAM-SHA-256<"));
    assert_in("<mechanism>X-OAUTH</mechanism>", &other);
    assert_in(
        "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>",
        &other,
    );
    let version = |features: &str| {
        let (_, rest) = features.split_once("value='").unwrap();
        rest.split_once('\'').unwrap().0.to_string()
    };
    assert_ne!(version(&other), version(&anonymous));
}

#[test]
fn plain_binds_later_inline_or_resumes() {
    for cut in CUTS {
        let mut peer = Peer::secured(cut);
        let out = peer.send(&authenticate("PLAIN", b"\0romeo\0pencil", ""));
        assert_in(
            "<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>romeo@localhost/r\
             </authorization-identifier><inline/></success><stream:features><bind xmlns=",
            &out,
        );
        // No new header: the stream goes on.
        assert_in("<jid>", &peer.send(BIND));
        assert!(peer.stream.is_bound());
        for (inline, features) in [
            ("<bind xmlns='urn:xmpp:bind:0'/>", true),
            (
                "<bind xmlns='urn:xmpp:bind:0'/><resume xmlns='urn:xmpp:sm:3' previd='x' h='1'/>",
                false,
            ),
        ] {
            let mut peer = Peer::secured(cut);
            let out = peer.send(&authenticate("PLAIN", b"\0romeo\0pencil", inline));
            let (_, after) = out.split_once("</success>").unwrap();
            assert_eq!(after.starts_with("<stream:features><ver"), features);
            assert_eq!(after.is_empty(), !features);
            assert!(peer.stream.is_bound());
            let again = peer.send(&authenticate("PLAIN", b"\0romeo\0pencil", ""));
            assert_fails(&again, "unsupported-stanza-type");
        }
    }
}

#[test]
fn scram_challenges_and_fails_in_its_own_words() {
    let mut peer = Peer::secured(usize::MAX);
    let out = peer.send(&authenticate("SCRAM-SHA-256", b"n,,n=romeo,r=abc", ""));
    assert_in("<challenge xmlns='urn:xmpp:sasl:2'>", &out);
    let out = peer.send("<response xmlns='urn:xmpp:sasl:2'>Yz1iaXdzLHI9eCxwPWFiYw==</response>");
    assert_in(&sasl2_failure("malformed-request"), &out);
    let out = peer.send(&authenticate("SCRAM-SHA-256", b"n,,n=romeo,r=abc", ""));
    assert_in("<challenge", &out);
    let out = peer.send("<abort xmlns='urn:xmpp:sasl:2'/>");
    assert_in(&sasl2_failure("aborted"), &out);
    let out = peer.send(&authenticate("NONE-SUCH", b"x", ""));
    assert_in(&sasl2_failure("invalid-mechanism"), &out);
}

#[test]
fn nothing_else_may_come_during_a_login() {
    for (other, condition) in [
        (" ", "policy-violation"),
        ("<presence/>", "policy-violation"),
        (
            "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
            "policy-violation",
        ),
    ] {
        let mut peer = Peer::secured(usize::MAX);
        peer.send(&authenticate("SCRAM-SHA-256", b"n,,n=romeo,r=abc", ""));
        assert_fails(&peer.send(other), condition);
    }
}

#[test]
fn a_token_proves_itself_and_the_server() {
    for cut in CUTS {
        let mut peer = Peer::from_romeo(cut);
        peer.hold_token(FastStanding::Good);
        let out = peer.send(&fast(
            TOKEN,
            "<bind xmlns='urn:xmpp:bind:0'><tag>T</tag></bind>\
             <fast xmlns='urn:xmpp:fast:0' count='7' invalidate='true'/>",
        ));
        let key = hmac::Key::new(hmac::HMAC_SHA256, TOKEN.as_bytes());
        let tag = hmac::sign(&key, &[&b"Responder"[..], &END_POINT].concat());
        let data = base64(tag);
        assert_in(&format!("<additional-data>{data}</additional-data>"), &out);
        assert_in("HT-SHA-256-ENDP Some(7) false", &peer.happened());
        let login = peer.logins.pop().unwrap();
        let proof = Proof::Fast {
            slot: Slot::New,
            tag: 9,
        };
        assert_eq!(login.proof, proof);
        let request = login.request.unwrap();
        assert_eq!(request.bind.unwrap().tag.as_deref(), Some("T"));
        assert!(request.fast.unwrap().invalidate);
        assert_eq!(&*request.agent.software, "S");
    }
}

#[test]
fn a_token_is_refused_for_what_stands_against_it() {
    let element = "<fast xmlns='urn:xmpp:fast:0'/>";
    for (standing, token, condition) in [
        (FastStanding::Good, "another", "not-authorized"),
        (FastStanding::Expired, TOKEN, "credentials-expired"),
        (FastStanding::Replayed, TOKEN, "not-authorized"),
        (FastStanding::Disabled, TOKEN, "account-disabled"),
        // Only who holds the token hears what is wrong with it.
        (FastStanding::Expired, "another", "not-authorized"),
    ] {
        let mut peer = Peer::from_romeo(usize::MAX);
        peer.hold_token(standing);
        assert_in(&sasl2_failure(condition), &peer.send(&fast(token, element)));
    }
    let mut peer = Peer::from_romeo(usize::MAX);
    assert_in(
        &sasl2_failure("malformed-request"),
        &peer.send(&fast(TOKEN, "")),
    );
    // Tokens are for XEP-0388 alone.
    let out = peer.auth("HT-SHA-256-NONE", "romeo\0x");
    assert_in(&failure("invalid-mechanism"), &out);
}

#[test]
fn of_early_data_only_a_counted_token_counts() {
    let early = || {
        let facts = TlsFacts {
            early: true,
            ..facts()
        };
        let mut peer = Peer::with_facts(usize::MAX, facts);
        peer.send(&header_of("romeo@localhost"));
        peer.events.clear();
        peer
    };
    let counted = "<fast xmlns='urn:xmpp:fast:0' count='8'/><bind xmlns='urn:xmpp:bind:0'/>";
    let mut peer = early();
    peer.hold_token(FastStanding::Good);
    let out = peer.send(&format!("{}<presence/>", fast(TOKEN, counted)));
    assert_in("</success><stream:features>", &out);
    let happened = peer.happened();
    assert_in("HT-SHA-256-ENDP Some(8) true", &happened);
    assert!(!happened.contains("presence"), "{happened}");
    peer.send("<iq type='get' id='1'/>");
    assert_eq!(peer.happened(), "");
    peer.stream.handshake_done();
    peer.wake();
    assert_eq!(peer.happened(), "<presence/>; <iq type='get' id='1'/>");
    // Without a count, or by a password: refused, whatever it would prove, and nothing is asked about it.
    let uncounted = fast(TOKEN, "<fast xmlns='urn:xmpp:fast:0'/>");
    let exporter = authenticate(
        "HT-SHA-256-EXPR",
        &hashed(TOKEN, &EXPORTER),
        "<fast xmlns='urn:xmpp:fast:0' count='8'/>",
    );
    let password = authenticate("PLAIN", b"\0romeo\0pencil", "");
    let counted_password = authenticate("PLAIN", b"\0romeo\0pencil", counted);
    for login in [
        uncounted,
        password,
        counted_password,
        PLAIN_ROMEO.to_string(),
    ] {
        let mut peer = early();
        peer.hold_token(FastStanding::Good);
        let out = peer.send(&login);
        assert_in("<not-authorized", &out);
        assert_eq!(peer.happened(), "failed - not-authorized");
        peer.stream.handshake_done();
        assert_in("<success", &peer.send(&login));
    }
    // By an exporter: when the handshake is through.
    let mut peer = early();
    peer.hold_token(FastStanding::Good);
    assert_eq!(peer.send(&exporter), "");
    peer.stream.handshake_done();
    assert_in("<success", &peer.wake());
}

#[test]
fn another_config_version_is_refused_without_prejudice() {
    let mut peer = Peer::with_facts(usize::MAX, facts());
    let out = peer.send(&header_of("romeo@localhost"));
    let (_, rest) = out.split_once("scheme='opaque' value='").unwrap();
    let version = rest.split_once('\'').unwrap().0.to_string();
    let element = |version: &str| {
        format!(
            "<fast xmlns='urn:xmpp:fast:0' count='1'/>\
             <config-version xmlns='urn:xmpp:iap:0' scheme='opaque' value='{version}'/>"
        )
    };
    peer.events.clear();
    for _ in 0..4 {
        let out = peer.send(&fast(TOKEN, &element("other")));
        assert_in(&sasl2_failure("aborted"), &out);
        assert_in("<config-version-mismatch xmlns='urn:xmpp:iap:0'/>", &out);
    }
    assert_eq!(peer.happened(), "");
    peer.hold_token(FastStanding::Good);
    assert_in("<success", &peer.send(&fast(TOKEN, &element(&version))));
}

#[test]
fn hashes_are_upgraded_after_a_password() {
    let mut peer = Peer::with_facts(usize::MAX, facts());
    peer.offer.upgrades = [ScramHash::Sha256, ScramHash::Sha512].into_iter().collect();
    peer.send(&header_of("romeo@localhost"));
    let wanted = "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>\
         <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-1</upgrade>";
    let out = peer.send(&authenticate("PLAIN", b"\0romeo\0pencil", wanted));
    assert_eq!(
        out,
        "<continue xmlns='urn:xmpp:sasl:2'><tasks><task>UPGR-SCRAM-SHA-256</task></tasks></continue>"
    );
    let out = peer.send("<next xmlns='urn:xmpp:sasl:2' task='UPGR-SCRAM-SHA-256'/>");
    let salt = out
        .strip_prefix(
            "<task-data xmlns='urn:xmpp:sasl:2'><salt xmlns='urn:xmpp:scram-upgrade:0' iterations='10'>",
        )
        .and_then(|rest| rest.strip_suffix("</salt></task-data>"))
        .unwrap();
    let salt: [u8; 16] = from_base64(salt).unwrap().try_into().unwrap();
    let mut salted = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        NonZeroU32::new(10).unwrap(),
        &salt,
        b"pencil",
        &mut salted,
    );
    let out = peer.send(&format!(
        "<task-data xmlns='urn:xmpp:sasl:2'><hash xmlns='urn:xmpp:scram-upgrade:0'>{}</hash></task-data>",
        base64(salted)
    ));
    assert_in("<success xmlns='urn:xmpp:sasl:2'>", &out);
    let login = peer.logins.pop().unwrap();
    let [upgrade] = login.upgrades.as_slice() else {
        panic!("{login:?}");
    };
    assert_eq!(upgrade.hash, ScramHash::Sha256);
    let keys = sasl::derive("pencil", &salt, 10, ScramHash::Sha256);
    assert_eq!(upgrade.hashed.keys, keys);
}

#[test]
fn upgrades_are_refused_when_they_are_not_as_asked() {
    let begin = || {
        let mut peer = Peer::with_facts(usize::MAX, facts());
        peer.offer.upgrades = [ScramHash::Sha256].into_iter().collect();
        peer.send(&header_of("romeo@localhost"));
        let wanted = "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>";
        peer.send(&authenticate("PLAIN", b"\0romeo\0pencil", wanted));
        peer
    };
    let mut peer = begin();
    let out = peer.send("<next xmlns='urn:xmpp:sasl:2' task='UPGR-SCRAM-SHA-512'/>");
    assert_in(&sasl2_failure("malformed-request"), &out);
    let mut peer = begin();
    peer.send("<next xmlns='urn:xmpp:sasl:2' task='UPGR-SCRAM-SHA-256'/>");
    let out = peer.send(
        "<task-data xmlns='urn:xmpp:sasl:2'><hash xmlns='urn:xmpp:scram-upgrade:0'>AAAA</hash></task-data>",
    );
    assert_in(&sasl2_failure("malformed-request"), &out);
    assert!(peer.logins.is_empty());
}

#[test]
fn bearers_hear_why_they_are_refused() {
    let message = |token: &str| format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}");
    let mut peer = Peer::secured(usize::MAX);
    let told = peer.auth("OAUTHBEARER", &message("bad"));
    assert_eq!(
        payload(&told, "challenge").as_deref(),
        Some(r#"{"status":"invalid_token"}"#)
    );
    assert_in(&failure("not-authorized"), &peer.respond("\u{1}"));
    peer.auth("OAUTHBEARER", &message("sct_old"));
    assert_in(&failure("credentials-expired"), &peer.respond("\u{1}"));
    assert_in("<success", &peer.auth("OAUTHBEARER", &message("sct_good")));
    let login = peer.logins.pop().unwrap();
    assert!(matches!(login.proof, Proof::Token(grant) if grant.restricted));
    // As the password of PLAIN, and nobody else's.
    let mut peer = Peer::secured(usize::MAX);
    let out = peer.auth("PLAIN", "\0juliet\0sct_good");
    assert_in(&failure("not-authorized"), &out);
    assert_in("<success", &peer.auth("PLAIN", "\0romeo\0sct_good"));
    let mut peer = Peer::secured(usize::MAX);
    let out = peer.auth("X-OAUTH", "sct_good");
    assert_in(&failure("invalid-mechanism"), &out);
}
