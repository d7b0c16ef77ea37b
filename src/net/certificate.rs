//! The certificate made at first start: EC P-256, self-signed, its own trust anchor, valid for every name and address
//! the server may be reached by, at any time a clock may show.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use crate::config::{Config, StartError, file};
use crate::net::tls::self_signed::{self, Subject};
use crate::state::SERVICES;
use crate::xmpp::from_base64;

/// Addresses named at most: a host with hundreds needs a certificate of its own making.
const ADDRESSES_MAX: usize = 64;

/// Where certificate and key lie, making both if none is configured and none is there.
pub fn locate(
    config: &Config,
    domain: &str,
    hostname: &str,
) -> Result<(PathBuf, PathBuf), StartError> {
    if let (Some(cert), Some(key)) = (&config.cert, &config.key) {
        return Ok((cert.clone(), key.clone()));
    }
    let cert = config.data.join("cert.pem");
    let key = config.data.join("key.pem");
    match (cert.exists(), key.exists()) {
        (true, true) => {}
        (true, false) => {
            return Err(StartError::HalfCertificate {
                given: ("certificate", cert),
                missing: "key",
            });
        }
        // The key is written first, so a start that was cut short leaves it alone here.
        (false, has_key) => make(&cert, &key, has_key, domain, hostname)?,
    }
    Ok((cert, key))
}

/// Makes the certificate in the data directory anew, with the key it had, if it was made here. `None`: it was not, or one
/// is configured.
pub fn remake(
    config: &Config,
    domain: &str,
    hostname: &str,
) -> Result<Option<PathBuf>, StartError> {
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| config.data.join(name));
    let is_ours = config.cert.is_none() && key.exists() && is_self_made(&cert);
    if is_ours {
        make(&cert, &key, true, domain, hostname)?;
    }
    Ok(is_ours.then_some(cert))
}

/// No authority issues certificates that never end.
fn is_self_made(cert: &Path) -> bool {
    const NO_END: &[u8] = b"99991231";
    let text = file::read_text(cert).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    let octets = from_base64(lines.collect::<String>()).unwrap_or_default();
    octets.windows(NO_END.len()).any(|octets| octets == NO_END)
}

fn make(
    cert: &Path,
    key: &Path,
    has_key: bool,
    domain: &str,
    hostname: &str,
) -> Result<(), StartError> {
    let bad = |path: &Path, reason: String| StartError::Certificate {
        path: path.to_path_buf(),
        reason,
    };
    let pem = if has_key {
        file::read_text(key).map_err(|error| bad(key, error.to_string()))?
    } else {
        let no_key = || bad(key, "the system gives no random bytes".to_string());
        let pem = self_signed::new_key().ok_or_else(no_key)?;
        write(key, file::SECRET, &pem)?;
        pem
    };
    let mut addresses = local_addresses();
    addresses.extend(address_of(domain).filter(|address| !addresses.contains(address)));
    let subject = Subject {
        common_name: domain,
        names: &names(domain, hostname),
        addresses: &addresses,
    };
    let certificate =
        self_signed::certificate(&pem, &subject).map_err(|error| bad(key, error.to_string()))?;
    write(cert, 0o644, &certificate)
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), StartError> {
    file::write(path, mode, text.as_bytes()).map_err(|error| StartError::File {
        what: "write the certificate",
        path: path.to_path_buf(),
        error,
    })
}

/// A domain that is an address (RFC 7622 §3.2): clients look for it in the certificate, whosever it is, as behind a router.
fn address_of(domain: &str) -> Option<IpAddr> {
    let inner = domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(domain).parse().ok()
}

/// DNS names, as A-labels (RFC 6125 §6.4.2); an address literal as domain is among the addresses.
fn names(domain: &str, hostname: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: String| {
        let ascii = idna::domain_to_ascii(&name).unwrap_or(name);
        if !ascii.is_empty() && ascii.parse::<IpAddr>().is_err() && !names.contains(&ascii) {
            names.push(ascii);
        }
    };
    if address_of(domain).is_none() {
        add(domain.to_string());
        for service in SERVICES {
            add(service.domain(domain));
        }
    }
    let short = hostname.split('.').next().unwrap_or(hostname);
    add(hostname.to_string());
    if !short.is_empty() {
        add(short.to_string());
        add(format!("{short}.local"));
    }
    add("localhost".to_string());
    names
}

/// The addresses of this machine, loopback included, link-local ones not: they mean nothing without an interface.
fn local_addresses() -> Vec<IpAddr> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let mut addresses: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let found = ipv4_of_fib_trie(&read("/proc/net/fib_trie"))
        .into_iter()
        .map(IpAddr::from)
        .chain(
            ipv6_of_if_inet6(&read("/proc/net/if_inet6"))
                .into_iter()
                .map(IpAddr::from),
        );
    for address in found {
        if !addresses.contains(&address) && addresses.len() < ADDRESSES_MAX {
            addresses.push(address);
        }
    }
    addresses
}

/// The kernel's routing trie: an address line, then `/32 host LOCAL` for one's own.
fn ipv4_of_fib_trie(trie: &str) -> Vec<Ipv4Addr> {
    let mut addresses = Vec::new();
    let mut last = None;
    for line in trie.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL")
            && let Some(address) = last
            && !address.is_loopback()
            && !address.is_link_local()
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    addresses
}

/// proc(5): address in hexadecimal, index, prefix length, scope, flags, name.
fn ipv6_of_if_inet6(table: &str) -> Vec<Ipv6Addr> {
    table
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter_map(|hex| u128::from_str_radix(hex, 16).ok())
        .map(Ipv6Addr::from)
        .filter(|address| !address.is_loopback() && !address.is_unicast_link_local())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_read_from_the_kernels_tables() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
                    |-- 192.168.1.0\n        /24 link UNICAST\nLocal:\n           |-- 127.0.0.1\n              /32 host LOCAL\n     \
                    |-- 192.168.1.7\n        /32 host LOCAL\n     |-- 192.168.1.255\n        /32 link BROADCAST\n";
        assert_eq!(ipv4_of_fib_trie(trie), [Ipv4Addr::new(192, 168, 1, 7)]);
        let table = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     fd000000000000000000000000000007 02 40 00 80     eth0\n\
                     fe80000000000000021122fffe334455 02 40 20 80     eth0\n";
        assert_eq!(
            ipv6_of_if_inet6(table),
            ["fd00::7".parse::<Ipv6Addr>().unwrap()]
        );
    }

    #[test]
    fn the_certificate_names_domain_services_host_and_addresses() {
        assert_eq!(
            names("bücher.example", "Pi"),
            [
                "xn--bcher-kva.example",
                "chat.xn--bcher-kva.example",
                "pubsub.xn--bcher-kva.example",
                "upload.xn--bcher-kva.example",
                "proxy.xn--bcher-kva.example",
                "pi",
                "pi.local",
                "localhost"
            ]
        );
        assert_eq!(names("192.0.2.1", ""), ["localhost"]);
        for (domain, address) in [("192.0.2.1", "192.0.2.1"), ("[2001:db8::1]", "2001:db8::1")] {
            assert_eq!(address_of(domain), address.parse().ok());
        }
        assert_eq!(address_of("pi.local"), None);
    }
}
