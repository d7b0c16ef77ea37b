//! RFC 8266: nicknames, and when two of them are the same.
use precis_core::profile::Profile;
use precis_profiles::Nickname;

/// §2.4: the form in which nicknames are compared, without regard to case or how spaces stand; `None`: it is no nickname.
pub fn folded(nick: &str) -> Option<String> {
    let profile = Nickname::new();
    // §2.4: the rules are applied until they change nothing.
    let mut folded = profile.enforce(nick).ok()?.to_lowercase();
    for _ in 0..3 {
        let again = profile.enforce(&*folded).ok()?.to_lowercase();
        if again == folded {
            return Some(folded);
        }
        folded = again;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_spaces_make_no_other_nick() {
        for (one, other) in [
            ("Foo", "foo"),
            (" Foo  Bar ", "foo bar"),
            ("ＦＯＯ", "foo"),
            ("ÆSIR", "æsir"),
        ] {
            assert_eq!(folded(one), folded(other), "{one}");
        }
        assert_ne!(folded("foo"), folded("fóo"));
        for nick in ["", "   ", "a\u{0}b", "a\u{7f}"] {
            assert_eq!(folded(nick), None, "{nick:?}");
        }
        assert!(folded("😀").is_some());
        // RFC 8264 §9.8, §9.13: what joins characters or chooses how one looks is no part of a nickname, nor of an address.
        for nick in ["❤\u{fe0f}", "👩\u{200d}👧"] {
            assert_eq!(folded(nick), None, "{nick:?}");
            let jid = format!("room@service/{nick}");
            assert!(crate::xmpp::Jid::parse(&jid).is_err(), "{nick:?}");
        }
    }
}
