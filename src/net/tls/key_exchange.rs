//! X25519 (RFC 7748) where the processor has what graviola's code for it needs. It takes half of the time that ring's
//! takes, and is the dearest step of a handshake.
use graviola::Error as Refused;
use graviola::key_agreement::x25519::{PublicKey, StaticPrivateKey};
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};

/// A board has no room for the table of the base point's multiples (55 KiB), which makes this step of a handshake faster.
const SMALL: bool = cfg!(target_arch = "aarch64");

/// For one TLS handshake after the other. `None`: not on this processor.
pub fn x25519() -> Option<&'static dyn SupportedKxGroup> {
    graviola::util::is_cpu_supported().then_some(&X25519)
}

#[derive(Debug)]
struct X25519;

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let failed = |_| Error::FailedToGetRandomBytes;
        let key = StaticPrivateKey::new_random().map_err(failed)?;
        let public = match SMALL {
            true => public_key(&key).map_err(failed)?,
            false => key.public_key().as_bytes(),
        };
        Ok(Box::new(Exchange { key, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// RFC 7748 §5: the public key is the base point, multiplied as any other.
fn public_key(key: &StaticPrivateKey) -> Result<[u8; 32], Refused> {
    let mut base = [0; 32];
    base[0] = 9;
    Ok(key.diffie_hellman(&PublicKey::try_from_slice(&base)?)?.0)
}

struct Exchange {
    key: StaticPrivateKey,
    public: [u8; 32],
}

impl ActiveKeyExchange for Exchange {
    /// RFC 8446 §7.4.2: a secret of nothing but zeros is refused.
    fn complete(self: Box<Exchange>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let misbehaved = || Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
        let peer = PublicKey::try_from_slice(peer).map_err(|_| misbehaved())?;
        let secret = self.key.diffie_hellman(&peer).map_err(|_| misbehaved())?;
        Ok(SharedSecret::from(&secret.0[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::kx_group;

    use super::*;

    #[test]
    fn both_implementations_agree() {
        let Some(group) = x25519() else {
            return;
        };
        let (ours, theirs) = (group.start().unwrap(), kx_group::X25519.start().unwrap());
        let (our_key, their_key) = (ours.pub_key().to_vec(), theirs.pub_key().to_vec());
        let secret = ours.complete(&their_key).unwrap();
        assert_eq!(
            secret.secret_bytes(),
            theirs.complete(&our_key).unwrap().secret_bytes()
        );
        assert!(secret.secret_bytes().iter().any(|octet| *octet != 0));
    }

    #[test]
    fn a_public_key_is_the_same_without_the_table() {
        if x25519().is_some() {
            let key = StaticPrivateKey::new_random().unwrap();
            assert_eq!(public_key(&key).unwrap(), key.public_key().as_bytes());
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let Some(group) = x25519() else {
            return;
        };
        // RFC 7748 §6.1: points of small order, whose secret is all zeros, and what has not 32 octets.
        let mut one = [0; 32];
        one[0] = 1;
        for key in [&[0; 32][..], &one, &[7; 31], &[7; 33], &[]] {
            let refused = group.start().unwrap().complete(key);
            assert!(matches!(refused, Err(Error::PeerMisbehaved(_))), "{key:?}");
        }
    }
}
