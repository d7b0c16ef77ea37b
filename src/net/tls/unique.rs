//! `tls-unique` of TLS 1.2 (RFC 5929 §3): the first Finished message, which RFC 5802 §6.1 has every server know that binds
//! at all. rustls does not tell it, but has the cipher suite work it out: here its pseudorandom function is looked at.
use std::cell::Cell;
use std::sync::LazyLock;

use rustls::crypto::ActiveKeyExchange;
use rustls::crypto::CipherSuiteCommon;
use rustls::crypto::tls12::Prf;
use rustls::{Error, SupportedCipherSuite, Tls12CipherSuite};

/// RFC 5246 §7.4.9.
pub const FINISHED_BYTES: usize = 12;

/// What was seen of the handshake that is processed on this thread, since it was last taken.
#[derive(Clone, Copy, Default)]
pub struct Seen {
    /// The master secret is of this handshake alone (RFC 7627); without that, nothing is.
    pub extended: bool,
    pub finished: Option<[u8; FINISHED_BYTES]>,
}

thread_local! {
    static SEEN: Cell<Seen> = Cell::default();
}

pub fn take() -> Seen {
    SEEN.take()
}

/// The same suite, looked at; those of TLS 1.3 as they are.
pub fn observed(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    /// They live as long as the process, as those of rustls do.
    static OBSERVED: LazyLock<Vec<Tls12CipherSuite>> = LazyLock::new(|| {
        let all = rustls::crypto::ring::ALL_CIPHER_SUITES.iter();
        all.filter_map(|suite| match suite {
            SupportedCipherSuite::Tls12(suite) => Some(looked_at(suite)),
            SupportedCipherSuite::Tls13(_) => None,
        })
        .collect()
    });
    let same = |observed: &&'static Tls12CipherSuite| observed.common.suite == suite.suite();
    OBSERVED
        .iter()
        .find(same)
        .map_or(suite, SupportedCipherSuite::Tls12)
}

fn looked_at(suite: &Tls12CipherSuite) -> Tls12CipherSuite {
    Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: suite.common.suite,
            hash_provider: suite.common.hash_provider,
            confidentiality_limit: suite.common.confidentiality_limit,
        },
        prf_provider: Box::leak(Box::new(ObservedPrf(suite.prf_provider))),
        kx: suite.kx,
        sign: suite.sign,
        aead_alg: suite.aead_alg,
    }
}

struct ObservedPrf(&'static dyn Prf);

impl Prf for ObservedPrf {
    fn for_key_exchange(
        &self,
        output: &mut [u8; 48],
        kx: Box<dyn ActiveKeyExchange>,
        peer_pub_key: &[u8],
        label: &[u8],
        seed: &[u8],
    ) -> Result<(), Error> {
        let extended = label == b"extended master secret";
        SEEN.set(Seen {
            extended,
            ..SEEN.get()
        });
        self.0
            .for_key_exchange(output, kx, peer_pub_key, label, seed)
    }

    fn for_secret(&self, output: &mut [u8], secret: &[u8], label: &[u8], seed: &[u8]) {
        self.0.for_secret(output, secret, label, seed);
        let mut seen = SEEN.get();
        if label.ends_with(b" finished") && seen.finished.is_none() {
            seen.finished = (&*output).try_into().ok();
            SEEN.set(seen);
        }
    }
}
