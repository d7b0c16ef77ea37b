//! `stonechat channel …`: channels, with or without a running server.
use argh::FromArgs;

use crate::config::StartError;
use crate::net::control::Answer;
use crate::server::{ChannelAction, Command};

/// List, show, make and remove channels, and say who rules them: `list`, `show NAME`, `members NAME`, `create NAME OWNER`,
/// `destroy NAME`, `owner NAME USER`, `ban NAME USER`.
#[derive(FromArgs)]
#[argh(subcommand, name = "channel")]
pub struct Channel {
    /// what to do
    #[argh(positional, from_str_fn(action))]
    action: ChannelAction,
    /// the channel, as in `lounge` or `lounge@chat.domain`, and a user, as in `alice` or `alice@domain`
    #[argh(positional)]
    about: Vec<String>,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

fn action(text: &str) -> Result<ChannelAction, String> {
    ChannelAction::parse(text)
        .ok_or_else(|| "it is one of list, show, members, create, destroy, owner, ban".to_string())
}

impl Channel {
    pub fn run(self) -> Result<Answer, StartError> {
        let mut about = self.about.into_iter();
        let command = Command::Channel {
            action: self.action,
            name: about.next().unwrap_or_default(),
            user: about.next().unwrap_or_default(),
        };
        super::user::run(self.data, command)
    }
}
