//! The configuration of a channel: values by number of field, over what is usual.
pub mod form;
pub mod table;

use crate::state::Settings;
use crate::store::{ChannelRow, ConfigRow};

pub use table::{FIELDS, field, lists, node_access, private, whois};

/// Reads fields of a channel.
pub trait Config {
    fn number(&self, field: u8) -> u64;
    fn texts(&self, field: u8) -> &[String];

    fn flag(&self, field: u8) -> bool {
        self.number(field) != 0
    }

    /// Empty: it has none.
    fn text(&self, field: u8) -> &str {
        self.texts(field).first().map_or("", String::as_str)
    }
}

impl Config for ConfigRow {
    fn number(&self, field: u8) -> u64 {
        ConfigRow::number(self, field).unwrap_or_else(|| usual(field))
    }

    fn texts(&self, field: u8) -> &[String] {
        ConfigRow::texts(self, field)
    }
}

impl Config for ChannelRow {
    fn number(&self, field: u8) -> u64 {
        Config::number(&self.config, field)
    }

    fn texts(&self, field: u8) -> &[String] {
        self.config.texts(field)
    }
}

fn usual(field: u8) -> u64 {
    let known = FIELDS.get(usize::from(field));
    known.map_or(0, |field| field.usual)
}

/// Of a channel just made.
pub fn new(settings: &Settings) -> ConfigRow {
    let mut config = ConfigRow::default();
    if settings.channels_open {
        set_number(&mut config, field::MEMBERS_ONLY, 0);
        // COMPAT(Conversations, 2.19): it asks before it enters an open room that tells real JIDs.
        set_number(&mut config, field::WHOIS, whois::MODERATORS);
    }
    config
}

/// Only what is not as usual is kept.
pub fn set_number(config: &mut ConfigRow, field: u8, number: u64) {
    config.numbers.retain(|(known, _)| *known != field);
    if number != usual(field) {
        config.numbers.push((field, number));
        config.numbers.sort_unstable();
    }
}

pub fn set_texts(config: &mut ConfigRow, field: u8, texts: Vec<String>) {
    config.texts.retain(|(known, _)| *known != field);
    if texts.iter().any(|text| !text.is_empty()) {
        config.texts.push((field, texts));
        config.texts.sort_unstable();
    }
}
