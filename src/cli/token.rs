//! `stonechat token …`: passwords for bots and scripts that can be taken away one by one.
use argh::FromArgs;

use super::user::run;
use crate::config::StartError;
use crate::net::control::Answer;
use crate::server::Command;

/// Make, list and take away tokens for bots and scripts.
#[derive(FromArgs)]
#[argh(subcommand, name = "token")]
pub struct Token {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Action {
    Add(Add),
    List(List),
    Revoke(Revoke),
}

/// Make a token. It is shown once, and taken where a password is.
#[derive(FromArgs)]
#[argh(subcommand, name = "add")]
struct Add {
    /// the user it logs in as
    #[argh(positional)]
    user: String,
    /// what it is for, as in "door bell"
    #[argh(option)]
    name: String,
    /// how long it is good: 90d, 12h, 4w (default: for ever)
    #[argh(option, from_str_fn(seconds), arg_name = "TIME")]
    expires: Option<u64>,
    /// it can message and read; not change the password, manage tokens or clients, or remove the account
    #[argh(switch)]
    restricted: bool,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

/// List a user's tokens.
#[derive(FromArgs)]
#[argh(subcommand, name = "list")]
struct List {
    /// name, as in `alice` or `alice@domain`
    #[argh(positional)]
    user: String,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

/// Take a token away; whoever uses it is logged out.
#[derive(FromArgs)]
#[argh(subcommand, name = "revoke")]
struct Revoke {
    /// name, as in `alice` or `alice@domain`
    #[argh(positional)]
    user: String,
    /// id, as `token list` shows it
    #[argh(positional)]
    id: String,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

impl Token {
    pub fn run(self) -> Result<Answer, StartError> {
        match self.action {
            Action::Add(Add {
                user,
                name,
                expires,
                restricted,
                data,
            }) => run(
                data,
                Command::TokenAdd {
                    user,
                    name,
                    seconds: expires,
                    restricted,
                },
            ),
            Action::List(List { user, data }) => run(data, Command::TokenList { user }),
            Action::Revoke(Revoke { user, id, data }) => {
                run(data, Command::TokenRevoke { user, id })
            }
        }
    }
}

/// `90d` and the like, in seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{text}\" is no time; write 90d, 12h or 4w");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let unit_seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'y' => 365 * 86_400,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    match number.checked_mul(unit_seconds) {
        Some(seconds) if seconds > 0 => Ok(seconds),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(seconds("90d"), Ok(90 * 86_400));
        assert_eq!(seconds("12h"), Ok(12 * 3_600));
        for bad in ["", "d", "90", "0d", "-1d", "9 d", "99999999999999999999d"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
