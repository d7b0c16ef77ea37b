//! The table of settings, by chapter: key, default, limit, doc line. The README's table is made from it.
mod accounts;
mod basics;
mod limits;
mod others;
mod services;
mod storage;

use super::Config;
use super::kind::Kind;

pub struct Setting {
    pub key: &'static str,
    pub kind: Kind,
    pub doc: &'static str,
}

/// A number setting that lives at one place of `Config`.
macro_rules! number {
    ($key:literal, $range:expr, $($place:ident).+, $doc:literal) => {
        Setting {
            key: $key,
            kind: $crate::config::kind::Kind::Number {
                range: $range,
                get: |config| u64::try_from(config.$($place).+).unwrap_or(u64::MAX),
                set: |config, number| {
                    config.$($place).+ = number.try_into().ok()?;
                    Some(())
                },
            },
            doc: $doc,
        }
    };
}
use number;

/// The same where `None` means no limit.
macro_rules! limit {
    ($key:literal, $range:expr, $($place:ident).+, $doc:literal) => {
        Setting {
            key: $key,
            kind: $crate::config::kind::Kind::Limit {
                range: $range,
                get: |config| config.$($place).+.map(u64::from),
                set: |config, number| {
                    config.$($place).+ = match number {
                        Some(number) => Some(number.try_into().ok()?),
                        None => None,
                    };
                    Some(())
                },
            },
            doc: $doc,
        }
    };
}
use limit;

macro_rules! switch {
    ($key:literal, $($place:ident).+, $doc:literal) => {
        Setting {
            key: $key,
            kind: $crate::config::kind::Kind::Switch {
                get: |config| config.$($place).+,
                set: |config, on| config.$($place).+ = on,
            },
            doc: $doc,
        }
    };
}
use switch;

macro_rules! contact {
    ($key:literal, $field:literal, $doc:literal) => {
        Setting {
            key: $key,
            kind: $crate::config::kind::Kind::Contact($field),
            doc: $doc,
        }
    };
}
use contact;

const CHAPTERS: &[&[Setting]] = &[
    basics::SETTINGS,
    limits::SETTINGS,
    accounts::SETTINGS,
    services::SETTINGS,
    storage::SETTINGS,
    others::SETTINGS,
];

pub fn settings() -> impl Iterator<Item = &'static Setting> {
    CHAPTERS.iter().flat_map(|chapter| chapter.iter())
}

/// The README's table.
pub fn settings_table() -> String {
    let config = Config::new("DATA".into());
    let mut table = String::from("| Setting | Default | Takes | |\n|---|---|---|---|\n");
    for setting in settings() {
        table.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            setting.key,
            setting.kind.default_text(&config),
            setting.kind.limits(),
            setting.doc
        ));
    }
    table
}
