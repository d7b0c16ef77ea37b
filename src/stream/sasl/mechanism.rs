//! Which mechanisms and channel bindings there are (RFC 5802 §4, RFC 9266, RFC 5929 §4), and the digest by which
//! XEP-0474 proves that nobody took any away.
pub(super) mod bearer;
pub(super) mod fast;
pub(super) mod plain;
pub(super) mod scram;

use super::{Offer, ScramHash, TlsFacts};
use crate::xmpp::base64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Scram {
        hash: ScramHash,
        /// With channel binding.
        plus: bool,
    },
    Plain,
    /// RFC 7628.
    OauthBearer,
    /// MongooseIM's token authentication.
    Oauth,
    /// A token of XEP-0484.
    Hashed {
        hash: ScramHash,
        binding: HashedBinding,
    },
}

/// What an HT mechanism binds its proof to (draft-schmaus-kitten-sasl-ht §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashedBinding {
    EndPoint,
    Exporter,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mechanism {
    pub name: &'static str,
    pub kind: Kind,
}

const fn scram(name: &'static str, hash: ScramHash, plus: bool) -> Mechanism {
    Mechanism {
        name,
        kind: Kind::Scram { hash, plus },
    }
}

const fn hashed(name: &'static str, hash: ScramHash, binding: HashedBinding) -> Mechanism {
    Mechanism {
        name,
        kind: Kind::Hashed { hash, binding },
    }
}

/// Strongest first.
const MECHANISMS: [Mechanism; 9] = [
    scram("SCRAM-SHA-512-PLUS", ScramHash::Sha512, true),
    scram("SCRAM-SHA-256-PLUS", ScramHash::Sha256, true),
    scram("SCRAM-SHA-1-PLUS", ScramHash::Sha1, true),
    scram("SCRAM-SHA-512", ScramHash::Sha512, false),
    scram("SCRAM-SHA-256", ScramHash::Sha256, false),
    scram("SCRAM-SHA-1", ScramHash::Sha1, false),
    Mechanism {
        name: "PLAIN",
        kind: Kind::Plain,
    },
    Mechanism {
        name: "OAUTHBEARER",
        kind: Kind::OauthBearer,
    },
    Mechanism {
        name: "X-OAUTH",
        kind: Kind::Oauth,
    },
];

/// Strongest first.
pub const FAST: [Mechanism; 6] = [
    hashed(
        "HT-SHA-512-EXPR",
        ScramHash::Sha512,
        HashedBinding::Exporter,
    ),
    hashed(
        "HT-SHA-256-EXPR",
        ScramHash::Sha256,
        HashedBinding::Exporter,
    ),
    hashed(
        "HT-SHA-512-ENDP",
        ScramHash::Sha512,
        HashedBinding::EndPoint,
    ),
    hashed(
        "HT-SHA-256-ENDP",
        ScramHash::Sha256,
        HashedBinding::EndPoint,
    ),
    hashed("HT-SHA-512-NONE", ScramHash::Sha512, HashedBinding::None),
    hashed("HT-SHA-256-NONE", ScramHash::Sha256, HashedBinding::None),
];

/// What can be offered to this peer on this connection, strongest first.
pub fn offered(facts: &TlsFacts, offer: Offer) -> impl Iterator<Item = Mechanism> {
    let can_bind = can_bind(facts);
    let possible = move |mechanism: &Mechanism| match mechanism.kind {
        Kind::Scram { hash, plus } => offer.hashes.contains(hash) && (can_bind || !plus),
        Kind::Oauth => offer.x_oauth,
        Kind::Plain | Kind::OauthBearer | Kind::Hashed { .. } => true,
    };
    MECHANISMS.into_iter().filter(possible)
}

/// The mechanisms for tokens (XEP-0484 §3.1), strongest first.
pub fn fast(facts: &TlsFacts) -> impl Iterator<Item = Mechanism> {
    let possible = |mechanism: &Mechanism| match mechanism.kind {
        Kind::Hashed { binding, .. } => hashed_data(facts, binding).is_some(),
        _ => false,
    };
    FAST.into_iter().filter(possible)
}

/// What an HT mechanism signs of the connection; `None`: it is not to be had.
pub fn hashed_data(facts: &TlsFacts, binding: HashedBinding) -> Option<&[u8]> {
    match binding {
        HashedBinding::EndPoint => facts.end_point.as_deref(),
        HashedBinding::Exporter => facts.exporter.as_ref().map(<[u8; 32]>::as_slice),
        HashedBinding::None => Some(&[]),
    }
}

/// Types and data of the channel bindings of this connection, strongest first.
pub fn channel_bindings(facts: &TlsFacts) -> impl Iterator<Item = (&'static str, &[u8])> {
    let exporter = facts.exporter.as_ref().map(<[u8; 32]>::as_slice);
    let exporter = exporter.map(|data| ("tls-exporter", data));
    let unique = facts.unique.as_ref().map(<[u8; 12]>::as_slice);
    let unique = unique.map(|data| ("tls-unique", data));
    let end_point = facts.end_point.as_deref();
    let end_point = end_point.map(|data| ("tls-server-end-point", data));
    exporter.into_iter().chain(unique).chain(end_point)
}

/// What the type of channel binding stands for that a peer names.
pub fn binding_data<'f>(facts: &'f TlsFacts, kind: &str) -> Option<&'f [u8]> {
    let mut offered = channel_bindings(facts);
    let offered = offered.find(|(offered, _)| *offered == kind);
    let offered = offered.map(|(_, data)| data);
    // COMPAT(slixmpp, 1.8): takes the client's Finished message in TLS 1.3 too, where RFC 9266 §3 has no `tls-unique`.
    let finished = || facts.finished.as_deref().filter(|_| kind == "tls-unique");
    offered.or_else(finished)
}

/// RFC 5802 §6.1, RFC 9266 §3: there is the binding that clients take which do not ask what there is (XEP-0440).
pub fn can_bind(facts: &TlsFacts) -> bool {
    facts.exporter.is_some() || facts.unique.is_some()
}

/// XEP-0474 §5.1: digest of all that was advertised.
pub fn advertised_digest(facts: &TlsFacts, offer: Offer, hash: ScramHash) -> String {
    let mechanisms = offered(facts, offer).map(|mechanism| mechanism.name);
    let bindings = channel_bindings(facts).map(|(kind, _)| kind);
    digest(mechanisms.collect(), bindings.collect(), hash)
}

fn digest(mut mechanisms: Vec<&str>, mut bindings: Vec<&str>, hash: ScramHash) -> String {
    mechanisms.sort_unstable();
    bindings.sort_unstable();
    let mut text = mechanisms.join("\x1e");
    if !bindings.is_empty() {
        text.push('\x1f');
        text.push_str(&bindings.join("\x1e"));
    }
    base64(hash.digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_the_example() {
        // XEP-0474 §5.3
        let mechanisms = vec!["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"];
        let bindings = vec!["tls-server-end-point", "tls-exporter"];
        let digest = digest(mechanisms, bindings, ScramHash::Sha1);
        assert_eq!(digest, "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    }

    #[test]
    fn offers_follow_what_tls_can_do() {
        let names = |facts: &TlsFacts| {
            let offer = Offer::default();
            let names: Vec<_> = offered(facts, offer)
                .map(|mechanism| mechanism.name)
                .collect();
            names.join(" ")
        };
        let bindings = |facts: &TlsFacts| {
            let kinds: Vec<_> = channel_bindings(facts).map(|(kind, _)| kind).collect();
            kinds.join(" ")
        };
        let mut facts = TlsFacts::default();
        assert_eq!(
            names(&facts),
            "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN OAUTHBEARER"
        );
        assert_eq!(bindings(&facts), "");
        // Clients that do not know XEP-0440 would bind to what is not there.
        facts.end_point = Some([1; 32].into());
        assert_eq!(
            names(&facts),
            "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN OAUTHBEARER"
        );
        facts.unique = Some([3; 12]);
        assert_eq!(
            names(&facts),
            "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN OAUTHBEARER"
        );
        assert_eq!(bindings(&facts), "tls-unique tls-server-end-point");
        let fast = |facts: &TlsFacts| fast(facts).map(|fast| fast.name).collect::<Vec<_>>();
        assert_eq!(
            fast(&facts).join(" "),
            "HT-SHA-512-ENDP HT-SHA-256-ENDP HT-SHA-512-NONE HT-SHA-256-NONE"
        );
        (facts.unique, facts.exporter) = (None, Some([2; 32]));
        assert_eq!(fast(&facts).len(), 6);
        assert_eq!(bindings(&facts), "tls-exporter tls-server-end-point");
        // Taken, but not told.
        facts.finished = Some([4; 32].into());
        assert_eq!(bindings(&facts), "tls-exporter tls-server-end-point");
        assert_eq!(binding_data(&facts, "tls-unique"), Some(&[4; 32][..]));
        assert_eq!(binding_data(&facts, "tls-exporter"), Some(&[2; 32][..]));
        assert_eq!(binding_data(&facts, "tls-none"), None);
    }
}
