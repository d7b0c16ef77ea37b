//! How a setting is written, checked and shown.
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use super::Config;

/// A value as it was written.
pub enum Raw {
    Text(String),
    Number(i128),
    Flag(bool),
    List(Vec<String>),
}

/// How a setting is written, and where it goes.
pub enum Kind {
    Number {
        range: RangeInclusive<u64>,
        get: fn(&Config) -> u64,
        set: fn(&mut Config, u64) -> Option<()>,
    },
    /// A number or `unlimited`.
    Limit {
        range: RangeInclusive<u64>,
        get: fn(&Config) -> Option<u64>,
        set: fn(&mut Config, Option<u64>) -> Option<()>,
    },
    /// On or off.
    Switch {
        get: fn(&Config) -> bool,
        set: fn(&mut Config, bool),
    },
    Text {
        default: &'static str,
        limits: &'static str,
        set: fn(&mut Config, &str) -> Result<(), String>,
    },
    /// Texts, each of which is checked.
    List {
        limits: &'static str,
        set: fn(&mut Config, Vec<String>) -> Result<(), String>,
    },
    Addresses {
        get: fn(&Config) -> &Vec<SocketAddr>,
        get_mut: fn(&mut Config) -> &mut Vec<SocketAddr>,
    },
    /// XEP-0157: URIs of the named field.
    Contact(&'static str),
}

const UNLIMITED: &str = "unlimited";

impl Kind {
    pub fn apply(&self, config: &mut Config, value: Raw) -> Result<(), String> {
        match self {
            Kind::Number { range, set, .. } => set(config, number(&value, range)?)
                .ok_or_else(|| "too large for this machine".into()),
            Kind::Limit { range, set, .. } => {
                let number = match &value {
                    Raw::Text(text) if text == UNLIMITED => None,
                    value => Some(number(value, range)?),
                };
                set(config, number).ok_or_else(|| "too large for this machine".into())
            }
            Kind::Switch { set, .. } => {
                let on = match &value {
                    Raw::Flag(on) => *on,
                    Raw::Text(text) if text == "on" => true,
                    Raw::Text(text) if text == "off" => false,
                    _ => return Err("\"on\" or \"off\" is wanted".into()),
                };
                set(config, on);
                Ok(())
            }
            Kind::Text { set, .. } => match value {
                Raw::Text(text) if !text.is_empty() => set(config, &text),
                _ => Err("one text is wanted".into()),
            },
            Kind::List { set, .. } => set(config, list(value)?),
            Kind::Addresses { get_mut, .. } => {
                *get_mut(config) = addresses(list(value)?)?;
                Ok(())
            }
            Kind::Contact(field) => {
                let uris = list(value)?;
                if let Some(bad) = uris.iter().find(|uri| !uri.contains(':')) {
                    return Err(format!("\"{bad}\" is no URI"));
                }
                let contacts = &mut config.settings.contact_addresses;
                contacts.retain(|(known, _)| known != field);
                contacts.push((field.to_string(), uris));
                Ok(())
            }
        }
    }

    pub fn limits(&self) -> String {
        match self {
            Kind::Number { range, .. } => format!("{} to {}", range.start(), range.end()),
            Kind::Limit { range, .. } => {
                format!("{} to {}, or \"{UNLIMITED}\"", range.start(), range.end())
            }
            Kind::Switch { .. } => "on or off".to_string(),
            Kind::Text { limits, .. } | Kind::List { limits, .. } => (*limits).to_string(),
            Kind::Addresses { .. } => {
                "a list of ADDRESS:PORT, :PORT or localhost:PORT (port 0: any free one), or \"none\"".to_string()
            }
            Kind::Contact(_) => "a list of URIs such as \"mailto:admin@example.org\"".to_string(),
        }
    }

    pub fn default_text(&self, config: &Config) -> String {
        match self {
            Kind::Number { get, .. } => get(config).to_string(),
            Kind::Limit { get, .. } => {
                get(config).map_or_else(|| UNLIMITED.to_string(), |number| number.to_string())
            }
            Kind::Switch { get, .. } => if get(config) { "on" } else { "off" }.to_string(),
            Kind::Text { default, .. } => (*default).to_string(),
            Kind::Addresses { get, .. } => {
                let all: Vec<String> = get(config)
                    .iter()
                    .map(|address| format!("`{address}`"))
                    .collect();
                all.join(", ")
            }
            Kind::Contact(_) | Kind::List { .. } => "none".to_string(),
        }
    }

    /// The default as the setting would be written; `None` where it is made at start.
    #[cfg(test)]
    pub fn default_raw(&self, config: &Config) -> Option<Raw> {
        match self {
            Kind::Text { .. } | Kind::List { .. } | Kind::Contact(_) => None,
            Kind::Addresses { get, .. } => Some(Raw::List(
                get(config).iter().map(SocketAddr::to_string).collect(),
            )),
            _ => Some(Raw::Text(self.default_text(config))),
        }
    }
}

fn number(value: &Raw, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let number = match value {
        Raw::Number(number) => *number,
        Raw::Text(text) => text
            .parse()
            .map_err(|_| format!("\"{text}\" is no number"))?,
        Raw::Flag(_) => return Err("a number is wanted, no boolean".into()),
        Raw::List(_) => return Err("one number is wanted".into()),
    };
    u64::try_from(number)
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("{number} is out of range"))
}

fn list(value: Raw) -> Result<Vec<String>, String> {
    match value {
        Raw::List(items) => Ok(items),
        Raw::Text(text) => Ok(vec![text]),
        Raw::Number(_) | Raw::Flag(_) => Err("texts are wanted".into()),
    }
}

fn addresses(texts: Vec<String>) -> Result<Vec<SocketAddr>, String> {
    if texts.iter().all(|text| text == "none") {
        return Ok(Vec::new());
    }
    let mut addresses = Vec::new();
    for text in texts {
        let meant = meant(&text).ok_or_else(|| {
            format!("\"{text}\" is not of the form ADDRESS:PORT, :PORT or localhost:PORT")
        })?;
        for address in meant {
            if address.port() != 0 && addresses.contains(&address) {
                return Err(format!("{address} is there twice"));
            }
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// `:5222` is every address of the machine, `localhost:5222` both of its own; other names are not looked up.
fn meant(text: &str) -> Option<Vec<SocketAddr>> {
    let port = |host: &str| text.strip_prefix(host)?.parse::<u16>().ok();
    if let Some(port) = port(":").or_else(|| port("*:")) {
        return Some(vec![(Ipv6Addr::UNSPECIFIED, port).into()]);
    }
    if let Some(port) = port("localhost:") {
        let (old, new) = (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        return Some(vec![(old, port).into(), (new, port).into()]);
    }
    Some(vec![text.parse().ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        let read = |texts: &[&str]| {
            let texts = texts.iter().map(|text| text.to_string()).collect();
            let found = addresses(texts).map_err(drop)?;
            Ok(found
                .iter()
                .map(SocketAddr::to_string)
                .collect::<Vec<_>>()
                .join(" "))
        };
        for (written, meant) in [
            (&[":5222"][..], Ok("[::]:5222")),
            (&["*:5222"], Ok("[::]:5222")),
            (&["localhost:5222"], Ok("127.0.0.1:5222 [::1]:5222")),
            (&["127.0.0.1:0", "[::1]:5222"], Ok("127.0.0.1:0 [::1]:5222")),
            (&["none"], Ok("")),
            (&[":5222", "[::]:5222"], Err(())),
            (&["localhost:5222", "[::1]:5222"], Err(())),
            (&["5222"], Err(())),
            (&[":"], Err(())),
            (&[":65536"], Err(())),
            (&["localhost"], Err(())),
            (&["example.org:5222"], Err(())),
            (&["::1:5222"], Err(())),
        ] {
            assert_eq!(read(written), meant.map(str::to_string), "{written:?}");
        }
    }
}
