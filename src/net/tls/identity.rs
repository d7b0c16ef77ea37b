//! Who we are to TLS clients: a certificate chain with its key, and the rustls configurations made of them.
//!
//! rustls' unbuffered API neither exports keying material nor tells the server name: a key log and a certificate
//! resolver observe both. They run inside `process_tls_records`, and whoever called that takes what they saw at once.
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ServerConfig};
use zeroize::Zeroizing;

use super::binding::{self, Fingerprints};
use super::sessions::Sessions;
use crate::config::{StartError, file};

/// XEP-0368 §4.
const ALPN: &[u8] = b"xmpp-client";
/// Each is good once, and a phone may lose one together with its network.
const TICKETS: usize = 2;
/// Early data of one connection at most: a stream header, a login and what follows it at once.
const EARLY_BYTES_MAX: u32 = 16 << 10;
/// RFC 8446 §4.1.2 names no bound; a DNS name has at most 253 characters.
const SERVER_NAME_BYTES_MAX: usize = 255;

pub struct Identity {
    starttls: Arc<ServerConfig>,
    direct: Arc<ServerConfig>,
    pub(super) observed: Arc<Observed>,
    sessions: Arc<Sessions>,
    /// `tls-server-end-point`.
    pub(super) end_point: Option<Box<[u8]>>,
    pub fingerprints: Fingerprints,
}

const CERTIFICATE: &str = "CERTIFICATE";
const KEY: &str = "PRIVATE KEY";

/// What is wrong, in which line, and what was expected there.
fn told(text: &[u8], wanted: &str, error: pem::Error) -> String {
    if let Some(fault) = super::pem::fault(text, wanted) {
        return fault;
    }
    match error {
        pem::Error::NoItemsFound => format!(
            "there is no {} in it: no line says `-----BEGIN {wanted}-----`",
            wanted.to_lowercase()
        ),
        error => match super::pem::first_line(text, wanted) {
            Some(line) => format!("line {line}: what begins here is not whole ({error})"),
            None => error.to_string(),
        },
    }
}

/// Certificate chain and key as they were read.
pub struct Loaded {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Loaded {
    /// Reads PEM files.
    pub fn read(cert: &Path, key: &Path) -> Result<Loaded, StartError> {
        let bad = |path: &Path, reason: String| StartError::Certificate {
            path: path.to_path_buf(),
            reason,
        };
        let read = |path| file::read(path).map_err(|error| bad(path, error.to_string()));
        let of_chain = read(cert)?;
        let chain = CertificateDer::pem_slice_iter(&of_chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| bad(cert, told(&of_chain, CERTIFICATE, error)))?;
        if chain.is_empty() {
            return Err(bad(
                cert,
                told(&of_chain, CERTIFICATE, pem::Error::NoItemsFound),
            ));
        }
        let of_key = Zeroizing::new(read(key)?);
        let key = PrivateKeyDer::from_pem_slice(&of_key)
            .map_err(|error| bad(key, told(&of_key, KEY, error)))?;
        Ok(Loaded { chain, key })
    }
}

impl Identity {
    /// Reads the files and makes the configurations.
    pub fn load(cert: &Path, key: &Path, early_data: bool) -> Result<Identity, StartError> {
        let loaded = Loaded::read(cert, key)?;
        Identity::new(loaded, early_data).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => StartError::KeyMismatch {
                cert: cert.to_path_buf(),
                key: key.to_path_buf(),
            },
            // Of the key rustls has a sentence of its own.
            rustls::Error::General(reason) => StartError::Certificate {
                path: key.to_path_buf(),
                reason: format!(
                    "what stands under `-----BEGIN …{KEY}-----` is no key that can be used ({reason})"
                ),
            },
            error => StartError::Certificate {
                path: cert.to_path_buf(),
                reason: format!(
                    "what stands under `-----BEGIN {CERTIFICATE}-----` is no certificate that can be used ({error})"
                ),
            },
        })
    }

    /// `early_data`: TLS 1.3 early data is taken.
    pub fn new(loaded: Loaded, early_data: bool) -> Result<Identity, rustls::Error> {
        let provider = Arc::new(provider());
        let leaf = loaded.chain.first().map(AsRef::as_ref).unwrap_or_default();
        let end_point = binding::end_point(leaf);
        let fingerprints = Fingerprints::new(leaf);
        let certified = CertifiedKey::from_der(loaded.chain, loaded.key, &provider)?;
        let observed = Arc::new(Observed {
            certified: Arc::new(certified),
            seen: Mutex::default(),
        });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Observed>::clone(&observed));
        config.key_log = Arc::<Observed>::clone(&observed);
        // All suites are good; which one is cheap, this machine knows best.
        config.ignore_client_order = true;
        // After the handshake the records are ours.
        config.enable_secret_extraction = true;
        // Each identity has its own: a session of an older certificate is not resumed, so its bindings stay true.
        let sessions = Arc::new(Sessions::default());
        config.session_storage = Arc::<Sessions>::clone(&sessions);
        config.send_tls13_tickets = TICKETS;
        if early_data {
            config.max_early_data_size = EARLY_BYTES_MAX;
            // What answers early data leaves with the server's part of the handshake (RFC 8446 §4.4.4).
            config.send_half_rtt_data = true;
        }
        let mut direct = config.clone();
        direct.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Identity {
            starttls: Arc::new(config),
            direct: Arc::new(direct),
            observed,
            sessions,
            end_point,
            fingerprints,
        })
    }

    /// The certificate names this host: a name, or an address without brackets.
    pub fn covers(&self, host: &str) -> bool {
        let leaf = self.observed.certified.end_entity_cert();
        let leaf = leaf.and_then(ParsedCertificate::try_from);
        let name = ServerName::try_from(host);
        leaf.is_ok_and(|leaf| name.is_ok_and(|name| verify_server_name(&leaf, &name).is_ok()))
    }

    /// Bytes of the TLS sessions that may be resumed.
    pub fn session_bytes(&self) -> usize {
        self.sessions.bytes()
    }

    pub fn limit_sessions(&self, bytes_max: usize) {
        self.sessions.limit(bytes_max);
    }

    pub(super) fn server_config(&self, direct: bool) -> Arc<ServerConfig> {
        Arc::clone(if direct { &self.direct } else { &self.starttls })
    }
}

/// Whatever is cheapest on this processor.
fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.secure_random = &super::random::Fetched;
    provider
        .cipher_suites
        .sort_by_key(|suite| cost(suite.suite()));
    for suite in &mut provider.cipher_suites {
        *suite = super::finished::observed(*suite);
    }
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if let Some(x25519) = super::key_exchange::x25519() {
        provider
            .kx_groups
            .retain(|group| group.name() != x25519.name());
        provider.kx_groups.insert(0, x25519);
    }
    provider
}

/// Cheapest first: AES only where the processor has it; SHA-256 before SHA-384, which few processors have and every key of
/// a handshake needs.
fn cost(suite: CipherSuite) -> u8 {
    let name = suite.as_str().unwrap_or_default();
    match (name.contains("CHACHA20"), has_aes()) {
        (true, false) => 0,
        (true, true) => 2,
        (false, _) if name.contains("AES_128") => 1,
        (false, _) => 3,
    }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn has_aes() -> bool {
    std::arch::is_x86_feature_detected!("aes")
}

#[cfg(target_arch = "aarch64")]
fn has_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes() -> bool {
    false
}

/// Sees secrets and the server name of the handshake that is being processed.
pub struct Observed {
    certified: Arc<CertifiedKey>,
    seen: Mutex<Seen>,
}

/// What was seen since it was last taken.
#[derive(Default)]
pub struct Seen {
    pub exporter_secret: Option<Zeroizing<Box<[u8]>>>,
    pub client_secret: Option<Zeroizing<Box<[u8]>>>,
    pub server_secret: Option<Zeroizing<Box<[u8]>>>,
    pub server_name: Option<Box<str>>,
}

impl Seen {
    /// By the labels of the key log.
    fn secret(&mut self, label: &str) -> Option<&mut Option<Zeroizing<Box<[u8]>>>> {
        match label {
            "EXPORTER_SECRET" => Some(&mut self.exporter_secret),
            "CLIENT_TRAFFIC_SECRET_0" => Some(&mut self.client_secret),
            "SERVER_TRAFFIC_SECRET_0" => Some(&mut self.server_secret),
            _ => None,
        }
    }
}

impl Observed {
    pub fn take(&self) -> Seen {
        self.seen
            .lock()
            .map_or_else(|_| Seen::default(), |mut seen| std::mem::take(&mut *seen))
    }
}

impl std::fmt::Debug for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observed")
    }
}

impl rustls::KeyLog for Observed {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if let Ok(mut seen) = self.seen.lock()
            && let Some(kept) = seen.secret(label)
        {
            *kept = Some(Zeroizing::new(secret.into()));
        }
    }

    fn will_log(&self, label: &str) -> bool {
        Seen::default().secret(label).is_some()
    }
}

impl ResolvesServerCert for Observed {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(name) = hello.server_name()
            && name.len() <= SERVER_NAME_BYTES_MAX
            && let Ok(mut seen) = self.seen.lock()
        {
            seen.server_name = Some(name.into());
        }
        Some(Arc::clone(&self.certified))
    }
}

#[cfg(test)]
impl Identity {
    pub(super) fn observed_certificate(&self) -> CertificateDer<'static> {
        self.observed.certified.cert.first().cloned().unwrap()
    }
}
