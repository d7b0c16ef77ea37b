//! `stonechat user …`: accounts, with or without a running server.
mod password;

use argh::FromArgs;

use super::offline;
use crate::config::{Config, StartError};
use crate::net::control::{self, Answer};
use crate::server::Command;
use crate::xmpp::quoted;

/// Add, change, list and remove users.
#[derive(FromArgs)]
#[argh(subcommand, name = "user")]
pub struct User {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Action {
    Add(Add),
    Passwd(Passwd),
    Del(Del),
    List(List),
    Disable(Disable),
    Enable(Enable),
    Clients(Clients),
    Move(Move),
}

/// Add a user. The password is asked for, or read from the first line of standard input.
#[derive(FromArgs)]
#[argh(subcommand, name = "add")]
struct Add {
    /// name, as in `alice` or `alice@domain`
    #[argh(positional)]
    name: String,
    /// make a password and print it
    #[argh(switch)]
    generate: bool,
    /// make the database, where no server has made one yet
    #[argh(switch)]
    create: bool,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

/// Change a user's password. It is asked for, or read from the first line of standard input.
#[derive(FromArgs)]
#[argh(subcommand, name = "passwd")]
struct Passwd {
    /// name, as in `alice` or `alice@domain`
    #[argh(positional)]
    name: String,
    /// make a password and print it
    #[argh(switch)]
    generate: bool,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

/// Remove a user with contacts, messages and everything else.
#[derive(FromArgs)]
#[argh(subcommand, name = "del")]
struct Del {
    /// name, as in `alice` or `alice@domain`
    #[argh(positional)]
    name: String,
    /// do not ask
    #[argh(switch)]
    yes: bool,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

/// List all users.
#[derive(FromArgs)]
#[argh(subcommand, name = "list")]
struct List {
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

/// Let a user log in no more, keeping all data.
#[derive(FromArgs)]
#[argh(subcommand, name = "disable")]
struct Disable {
    /// name, as in `alice` or `alice@domain`
    #[argh(positional)]
    name: String,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

/// Let a disabled user log in again.
#[derive(FromArgs)]
#[argh(subcommand, name = "enable")]
struct Enable {
    /// name, as in `alice` or `alice@domain`
    #[argh(positional)]
    name: String,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

/// Show what has access to a user's account: clients, tokens, since when, how.
#[derive(FromArgs)]
#[argh(subcommand, name = "clients")]
struct Clients {
    /// name, as in `alice` or `alice@domain`
    #[argh(positional)]
    name: String,
    /// take access away from the one with this id
    #[argh(option, arg_name = "ID")]
    revoke: Option<String>,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

/// Send whoever logs in as this user to another server. The data are not moved.
#[derive(FromArgs)]
#[argh(subcommand, name = "move")]
struct Move {
    /// name, as in `alice` or `alice@domain`
    #[argh(positional)]
    name: String,
    /// where the user is now: HOST or HOST:PORT, a name that the server's certificate covers; `here`: on this server
    #[argh(positional)]
    host: String,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

impl User {
    pub fn run(self) -> Result<Answer, StartError> {
        match self.action {
            Action::Add(Add {
                name,
                generate,
                create,
                data,
            }) => {
                let config = super::load(data.as_deref(), &[])?;
                if !create {
                    // Before a password is asked for.
                    offline::require_database(&config)?;
                }
                let (password, generated) = password::obtain(generate)?;
                let command = Command::UserAdd { name, password };
                ask(&config, command, create).map(|answer| show_password(answer, generated))
            }
            Action::Passwd(Passwd {
                name,
                generate,
                data,
            }) => {
                let (password, generated) = password::obtain(generate)?;
                let command = Command::UserPassword { name, password };
                run(data, command).map(|answer| show_password(answer, generated))
            }
            Action::Del(Del { name, yes, data }) => {
                let question = format!(
                    "Remove {} with contacts, messages and everything else?",
                    quoted(&name)
                );
                if !yes && !password::agreed(&question)? {
                    return Err(StartError::NotAgreed);
                }
                run(data, Command::UserDelete { name })
            }
            Action::Clients(Clients { name, revoke, data }) => {
                run(data, Command::UserClients { name, revoke })
            }
            Action::Move(Move { name, host, data }) => super::ask_running(
                data.as_deref(),
                &Command::UserMove {
                    name,
                    host: Some(host).filter(|host| host != "here"),
                },
            ),
            Action::List(List { data }) => run(data, Command::UserList),
            Action::Disable(Disable { name, data }) => run(
                data,
                Command::UserDisable {
                    name,
                    disabled: true,
                },
            ),
            Action::Enable(Enable { name, data }) => run(
                data,
                Command::UserDisable {
                    name,
                    disabled: false,
                },
            ),
        }
    }
}

/// Asks the running server; where there is none, does it here.
pub fn run(data: Option<String>, command: Command) -> Result<Answer, StartError> {
    ask(&super::load(data.as_deref(), &[])?, command, false)
}

/// `create`: the database is made where there is none.
fn ask(config: &Config, command: Command, create: bool) -> Result<Answer, StartError> {
    match control::ask(&config.data, &command)? {
        Some(answer) => Ok(answer),
        None if create => offline::run(config, command),
        None => {
            offline::require_database(config)?;
            offline::run(config, command)
        }
    }
}

fn show_password(mut answer: Answer, generated: Option<String>) -> Answer {
    if answer.code == 0
        && let Some(password) = generated
    {
        answer.text.push_str(&format!("\npassword {password}"));
    }
    answer
}
