//! `stonechat archive …`: what somebody's archive holds, with or without a running server. What is long comes in pieces, so that
//! nobody waits for it.
use argh::FromArgs;

use crate::config::StartError;
use crate::net::control::Answer;
use crate::server::{ArchiveAction, ArchiveAsk, Command};

/// Show what the archive of a user or a channel holds.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "archive",
    example = "{command_name} stats alice                how much there is, since when
{command_name} show alice bob             all, or what was said with somebody
{command_name} search alice good morn     what has all words, the last perhaps begun
{command_name} export alice > alice.xml   a user's whole archive (XEP-0227)
{command_name} prune alice 30             takes what is older than 30 days and was received"
)]
pub struct Archive {
    /// stats, show, search, export or prune
    #[argh(positional, from_str_fn(action))]
    action: ArchiveAction,
    /// as in `alice` or `alice@domain`, or `lounge@chat.domain`
    #[argh(positional)]
    name: String,
    /// with whom (`bob`, `bob@domain`), which words, how many days
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
        if let Some(text) = self.is_wrong() {
            return Ok(refused(text.to_string()));
        }
        let about = self.about.join(" ");
        let (mut after, mut counted, mut damaged) = (String::new(), 0_u64, 0_u64);
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
            let (head, piece) = answer.text.split_once('\n').unwrap_or_default();
            let (next, of_piece) = head.split_once(' ').unwrap_or((head, ""));
            damaged += of_piece.parse::<u64>().unwrap_or(0);
            let (count, rest) = piece.split_once('\n').unwrap_or((piece, ""));
            counted += count.parse::<u64>().unwrap_or(0);
            let is_last = next.is_empty();
            let text = match self.action {
                ArchiveAction::Prune if is_last => format!("removed {counted} messages\n"),
                ArchiveAction::Stats if is_last => format!("messages: {counted}\n{rest}"),
                ArchiveAction::Prune | ArchiveAction::Stats => String::new(),
                ArchiveAction::Export if is_last => format!("{piece}{END}\n"),
                _ => piece.to_string(),
            };
            if let Err(error) = super::put(&text) {
                return Ok(super::cut_off(&error));
            }
            if is_last && damaged > 0 {
                return Ok(refused(format!(
                    "{damaged} messages are damaged and left out\n  `stonechat check` tells more; a backup may have them"
                )));
            }
            if is_last {
                return Ok(super::said());
            }
            after = next.to_string();
        }
    }

    /// What is missing, or more than can be meant.
    fn is_wrong(&self) -> Option<&'static str> {
        match (self.action, &*self.about) {
            (ArchiveAction::Search, []) => Some("which text? write it behind the name"),
            (ArchiveAction::Prune, []) => {
                Some("older than how many days? write it behind the name")
            }
            (ArchiveAction::Prune, [_, _, ..]) => Some("one number of days is enough"),
            (ArchiveAction::Show, [_, _, ..]) => Some("with whom? name one"),
            (ArchiveAction::Stats | ArchiveAction::Export, [_, ..]) => {
                Some("nothing is needed behind the name")
            }
            _ => None,
        }
    }
}

/// Behind the last piece of an export.
const END: &str = "</archive></user></host></server-data>";

fn refused(text: String) -> Answer {
    Answer { code: 1, text }
}
