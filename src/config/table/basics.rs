//! What a server is: its domain, where it listens, its certificate, what it logs.
use log::LevelFilter;

use crate::config::kind::Kind;
use crate::state::AddressRange;
use crate::xmpp::domainpart;

use super::Setting;

pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "domain",
        kind: Kind::Text {
            default: "`<hostname>.local`, remembered",
            limits: "a domain name or IP address",
            set: |config, text| {
                let domain = domainpart(text).map_err(|_| format!("\"{text}\" is no domain"))?;
                config.domain = Some(domain.into_owned());
                Ok(())
            },
        },
        doc: "The domain served: what stands behind the @ of every address.",
    },
    Setting {
        key: "c2s",
        kind: Kind::Addresses {
            get: |config| &config.c2s,
            get_mut: |config| &mut config.c2s,
        },
        doc: "Where clients connect with STARTTLS. `[::]` takes IPv4 too.",
    },
    Setting {
        key: "c2s_tls",
        kind: Kind::Addresses {
            get: |config| &config.c2s_tls,
            get_mut: |config| &mut config.c2s_tls,
        },
        doc: "Where clients connect with TLS from the first byte (XEP-0368).",
    },
    Setting {
        key: "proxy_addresses",
        kind: Kind::List {
            limits: "a list of addresses or ranges such as \"127.0.0.1\" or \"10.0.0.0/8\"",
            set: |config, texts| {
                let parse = |text: String| {
                    let wrong = || format!("\"{text}\" is no address or range");
                    AddressRange::parse(&text).ok_or_else(wrong)
                };
                config.proxy_addresses = texts.into_iter().map(parse).collect::<Result<_, _>>()?;
                Ok(())
            },
        },
        doc: "Proxies in front of the clients' ports: whoever connects from there has to say whose connection it is (PROXY protocol, 1 or 2), and is believed.",
    },
    Setting {
        key: "cert",
        kind: Kind::Text {
            default: "`cert.pem` in the data directory, made at first start",
            limits: "a PEM file",
            set: |config, text| {
                config.cert = Some(text.into());
                Ok(())
            },
        },
        doc: "Certificate chain. Read again on SIGHUP and when the file changes.",
    },
    Setting {
        key: "key",
        kind: Kind::Text {
            default: "`key.pem` in the data directory, made at first start",
            limits: "a PEM file",
            set: |config, text| {
                config.key = Some(text.into());
                Ok(())
            },
        },
        doc: "Private key of the certificate.",
    },
    Setting {
        key: "log",
        kind: Kind::Text {
            default: "`info`",
            limits: "error, warn, info, debug or trace",
            set: |config, text| {
                config.log = match text {
                    "error" => LevelFilter::Error,
                    "warn" => LevelFilter::Warn,
                    "info" => LevelFilter::Info,
                    "debug" => LevelFilter::Debug,
                    "trace" => LevelFilter::Trace,
                    _ => return Err(format!("\"{text}\" is no level")),
                };
                Ok(())
            },
        },
        doc: "How much is logged to standard error.",
    },
];
