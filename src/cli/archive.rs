//! `stonechat archive …`: what somebody's archive holds, with or without a running server. What is long comes in pieces, so that
//! nobody waits for it.
use std::io::Write;

use argh::FromArgs;

use crate::config::StartError;
use crate::net::control::Answer;
use crate::server::{ArchiveAction, ArchiveAsk, Command};

/// Show what a user's archive holds: `stats NAME`, `show NAME [WITH]`, `search NAME WORDS` (what has all of them, the last may be the beginning of one), `export NAME` (XEP-0227, to
/// standard output), `prune NAME DAYS` (what is older and was received goes).
#[derive(FromArgs)]
#[argh(subcommand, name = "archive")]
pub struct Archive {
    /// what to do
    #[argh(positional, from_str_fn(action))]
    action: ArchiveAction,
    /// name, as in `alice` or `alice@domain`
    #[argh(positional)]
    name: String,
    /// with whom, which text, how many days
    #[argh(positional)]
    about: Vec<String>,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

fn action(text: &str) -> Result<ArchiveAction, String> {
    ArchiveAction::parse(text)
        .ok_or_else(|| "it is one of stats, show, search, export, prune".to_string())
}

impl Archive {
    pub fn run(self) -> Result<Answer, StartError> {
        let about = self.about.join(" ");
        if let (ArchiveAction::Search | ArchiveAction::Prune, "") = (self.action, &*about) {
            let text = match self.action {
                ArchiveAction::Search => "which text? write it behind the name",
                _ => "older than how many days? write it behind the name",
            };
            return Ok(refused(text.to_string()));
        }
        let (mut after, mut removed) = (String::new(), 0_u64);
        loop {
            let ask = ArchiveAsk {
                action: self.action,
                user: self.name.clone(),
                about: about.clone(),
                after,
            };
            let answer = super::user::run(self.data.clone(), Command::Archive(ask))?;
            if answer.code != 0 {
                return Ok(answer);
            }
            let (next, piece) = answer.text.split_once('\n').unwrap_or_default();
            if self.action == ArchiveAction::Prune {
                removed += piece.trim().parse::<u64>().unwrap_or(0);
            }
            if next.is_empty() {
                let text = match self.action {
                    ArchiveAction::Prune => format!("removed {removed} messages"),
                    ArchiveAction::Export => format!("{piece}{END}"),
                    _ => piece.trim_end().to_string(),
                };
                return Ok(Answer { code: 0, text });
            }
            if self.action != ArchiveAction::Prune {
                put(piece);
            }
            after = next.to_string();
        }
    }
}

/// Behind the last piece of an export.
const END: &str = "</archive></user></host></server-data>";

fn put(text: &str) {
    // Whoever reads it may have gone.
    let _gone = std::io::stdout().write_all(text.as_bytes());
}

fn refused(text: String) -> Answer {
    Answer { code: 1, text }
}
