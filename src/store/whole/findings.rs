//! What a walk through all of a database found, in words for the operator.

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    pub rows: u64,
    pub damage: Vec<Damage>,
    /// The file as such makes sense; `None`: that was not looked at.
    pub is_sound: Option<bool>,
}

/// What is damaged of one kind, and whose.
#[derive(Debug, PartialEq, Eq)]
pub struct Damage {
    pub table: &'static str,
    /// `None`: of nobody alone, or nobody knows.
    pub account: Option<String>,
    /// 0: how many is not known.
    pub rows: u64,
}

/// What a table holds, in the operator's words.
fn words(table: &str) -> &str {
    match table {
        "meta" | "secrets" => "what the server knows of itself",
        "accounts" => "accounts",
        "credentials" => "passwords",
        "private_xml" => "clients' own notes",
        "vcards" => "vCards",
        "last_activity" => "last activity",
        "roster" | "roster_versions" | "roster_log" => "contacts",
        "blocked" => "block lists",
        "stanzas" => "messages",
        "archive" | "archive_with" | "archive_bytes" => "the index of messages",
        "search" | "search_gone" => "the index of words",
        "unseen_from" => "what is unread",
        "archive_preferences" => "archive preferences",
        "channel_read" | "channels_joined" => "channels joined",
        "purge" => "deleted accounts",
        "clients" | "fast_tokens" | "app_tokens" | "oauth_grants" => "clients and tokens",
        "suspended" | "suspended_queue" | "shared_bodies" | "shared_counts" | "ended" => {
            "sessions to be resumed"
        }
        other => other,
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.rows {
            0 => f.write_str(words(self.table))?,
            rows => write!(f, "{}: {rows} in {}", words(self.table), self.table)?,
        }
        match &self.account {
            Some(account) => write!(f, ", of {account}"),
            None => Ok(()),
        }
    }
}
