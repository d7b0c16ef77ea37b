//! Every setting, from three sources: the defaults, then `stonechat.toml` in the data directory, then the command line.
//! Which settings there are is one table (`config/table.rs`); what is wrong is told with place, reason and remedy.

mod components;
mod data;
mod error;
pub mod file;
mod kind;
mod table;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use log::LevelFilter;
use toml::de::{DeTable, DeValue};

use crate::state::{AddressRange, SERVICES, Settings};

pub use data::{
    FILE as DOMAIN_FILE, data_directory, default_domain, make_data_directory, remember_domain,
    remembered_domain, settled_domain, write_domain,
};
pub use error::StartError;
use kind::Raw;
use table::settings;
pub use table::settings_table;

/// The file of settings, in the data directory.
pub const FILE: &str = "stonechat.toml";

/// Everything the process is told from outside.
#[derive(Clone, Debug)]
pub struct Config {
    pub data: PathBuf,
    /// `None`: the remembered one, else `<hostname>.local`.
    pub domain: Option<String>,
    pub c2s: Vec<SocketAddr>,
    pub c2s_tls: Vec<SocketAddr>,
    pub component_addresses: Vec<SocketAddr>,
    /// Who may say whose connections they pass on.
    pub proxy_addresses: Vec<AddressRange>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub log: LevelFilter,
    /// Page cache of the database.
    pub cache_bytes: usize,
    /// 0: by the machine.
    pub memory_bytes_max: usize,
    /// The core's; its domain is filled in by `settings_for`.
    pub settings: Settings,
}

/// A setting as the command line gives it; `flag` is what the operator wrote.
pub struct Override {
    pub flag: String,
    pub key: String,
    pub values: Vec<String>,
}

impl Config {
    pub fn new(data: PathBuf) -> Config {
        Config {
            data,
            domain: None,
            c2s: vec![SocketAddr::from(([0u16; 8], 5222))],
            c2s_tls: vec![SocketAddr::from(([0u16; 8], 5223))],
            component_addresses: vec![SocketAddr::from(([127, 0, 0, 1], 5347))],
            proxy_addresses: Vec::new(),
            cert: None,
            key: None,
            log: LevelFilter::Info,
            cache_bytes: 256 << 10,
            memory_bytes_max: 0,
            settings: Settings::new("localhost"),
        }
    }

    /// Defaults, then the file, then the overrides.
    pub fn load(data: PathBuf, overrides: &[Override]) -> Result<Config, StartError> {
        let mut config = Config::new(data);
        if let Some(foreign) = file::foreign(&config.data) {
            return Err(foreign);
        }
        let path = config.data.join(FILE);
        match file::read_text(&path) {
            Ok(text) => config.read(&path, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                return Err(StartError::DataDirectory {
                    path: config.data,
                    error,
                });
            }
            Err(error) => {
                return Err(StartError::File {
                    what: "read the settings",
                    path,
                    error,
                });
            }
        }
        for given in overrides {
            let value = match given.values.as_slice() {
                [one] => Raw::Text(one.clone()),
                many => Raw::List(many.to_vec()),
            };
            config.set(&given.flag, &given.key, value)?;
        }
        config.check_pair()?;
        Ok(config)
    }

    /// The core's settings for a prepared domain.
    pub fn settings_for(&self, domain: &str) -> Settings {
        Settings {
            domain: domain.to_string(),
            memory_bytes_max: self.memory_bytes_max,
            ..self.settings.clone()
        }
    }

    /// No component may be the server or one of its services.
    pub fn check_components(&self, domain: &str) -> Result<(), StartError> {
        let is_taken = |name: &str| {
            let mut on = SERVICES.iter().filter(|row| (row.is_on)(&self.settings));
            name == domain || on.any(|service| service.domain(domain) == name)
        };
        let components = self.settings.components.iter();
        let is_there = |name: &str| components.clone().any(|known| known.name == name);
        let granted = self.settings.component_privileges.iter();
        if let Some((name, _)) = granted.clone().find(|(name, _)| !is_there(name)) {
            return Err(StartError::Setting {
                place: self.data.join(FILE).display().to_string(),
                key: Some("component_privileges".into()),
                reason: format!("there is no component {name}"),
                remedy: "name it in `component`, with its secret".into(),
            });
        }
        let taken = components
            .map(|known| &known.name)
            .find(|name| is_taken(name));
        match taken {
            Some(name) => Err(StartError::Setting {
                place: self.data.join(FILE).display().to_string(),
                key: Some("component".into()),
                reason: format!("{name} is an address of the server itself"),
                remedy: format!("give the component another, such as bridge.{domain}"),
            }),
            None => Ok(()),
        }
    }

    fn read(&mut self, path: &Path, text: &str) -> Result<(), StartError> {
        let file = path.display();
        let table = DeTable::parse(text).map_err(|error| StartError::Setting {
            place: format!("{file} {}", line(text, error.span())),
            key: None,
            reason: error.message().to_string(),
            remedy: "each line is `key = value`, text in quotes, lists in [ ]".into(),
        })?;
        for (key, value) in table.get_ref() {
            let place = format!("{file} {}", line(text, Some(key.span())));
            let raw = raw(value.get_ref()).ok_or_else(|| StartError::Setting {
                place: place.clone(),
                key: Some(key.get_ref().to_string()),
                reason: format!("a {} is no value for it", value.get_ref().type_str()),
                remedy: "give a number, a text in quotes, or a list of texts".into(),
            })?;
            self.set(&place, key.get_ref(), raw)?;
        }
        Ok(())
    }

    /// Sets one setting by the table.
    fn set(&mut self, place: &str, key: &str, value: Raw) -> Result<(), StartError> {
        let refused = |reason: String, remedy: String| StartError::Setting {
            place: place.to_string(),
            key: Some(key.to_string()),
            reason,
            remedy,
        };
        let Some(setting) = settings().find(|setting| setting.key == key) else {
            let known: Vec<&str> = settings().map(|setting| setting.key).collect();
            return Err(refused(
                "there is no such setting".into(),
                format!("known are {}", known.join(", ")),
            ));
        };
        setting
            .kind
            .apply(self, value)
            .map_err(|reason| refused(reason, format!("it takes {}", setting.kind.limits())))
    }

    fn check_pair(&self) -> Result<(), StartError> {
        match (&self.cert, &self.key) {
            (Some(cert), None) => Err(StartError::HalfCertificate {
                given: ("cert", cert.clone()),
                missing: "key",
            }),
            (None, Some(key)) => Err(StartError::HalfCertificate {
                given: ("key", key.clone()),
                missing: "cert",
            }),
            _ => Ok(()),
        }
    }
}

fn raw(value: &DeValue<'_>) -> Option<Raw> {
    match value {
        DeValue::String(text) => Some(Raw::Text(text.to_string())),
        DeValue::Boolean(on) => Some(Raw::Flag(*on)),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(Raw::Number),
        DeValue::Array(items) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_string))
            .collect::<Option<Vec<_>>>()
            .map(Raw::List),
        _ => None,
    }
}

fn line(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let before = span.and_then(|span| text.get(..span.start)).unwrap_or("");
    format!("line {}", before.matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let mut config = Config::new(PathBuf::from("/data"));
        config
            .read(Path::new("/data/stonechat.toml"), text)
            .map(|()| config)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_sets_what_it_names() {
        let config = read(
            "domain = \"Example.ORG\"\nc2s = [\"127.0.0.1:0\", \"[::1]:0\"]\nc2s_tls = \"none\"\n\
             stanza_bytes_max = 0x40000\narchive_days_max = 30\nadmin_addresses = [\"xmpp:a@b\"]",
        )
        .unwrap();
        assert_eq!(config.domain.as_deref(), Some("example.org"));
        assert_eq!(config.c2s.len(), 2);
        assert!(config.c2s_tls.is_empty());
        assert_eq!(config.settings.limits.bytes, 0x40000);
        assert_eq!(config.settings.archive_days_max, Some(30));
        assert_eq!(
            config.settings.contact_addresses,
            [("admin-addresses".to_string(), vec!["xmpp:a@b".to_string()])]
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_file_line_key_and_remedy() {
        let unknown = read("log = \"warn\"\nlogg = \"info\"").unwrap_err();
        assert!(unknown.contains("stonechat.toml line 2"), "{unknown}");
        assert!(unknown.contains("logg"), "{unknown}");
        let range = read("stanza_bytes_max = 5").unwrap_err();
        assert!(
            range.contains("line 1") && range.contains("10000"),
            "{range}"
        );
        let kind = read("\n\ncache_bytes = true").unwrap_err();
        assert!(
            kind.contains("line 3") && kind.contains("boolean"),
            "{kind}"
        );
        let syntax = read("log = \"info\"\nx = = 3").unwrap_err();
        assert!(syntax.contains("line 2"), "{syntax}");
        let address = read("c2s = \"5222\"").unwrap_err();
        assert!(address.contains("ADDRESS:PORT"), "{address}");
    }

    #[test]
    fn every_default_is_a_value_its_setting_takes() {
        for setting in settings() {
            let mut config = Config::new(PathBuf::from("/data"));
            if let Some(default) = setting.kind.default_raw(&config) {
                setting
                    .kind
                    .apply(&mut config, default)
                    .unwrap_or_else(|error| panic!("{}: {error}", setting.key));
            }
        }
    }
}
