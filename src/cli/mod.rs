//! The command line. `stonechat` alone is `stonechat serve`.

mod archive;
mod backup;
mod channel;
mod check;
mod logging;
mod offline;
mod progress;
mod rename;
mod restore;
mod serve;
mod token;
mod user;

use std::io::{self, Write};

use argh::{EarlyExit, FromArgs, SubCommands};

use crate::config::{Config, Override, StartError, data_directory, file};
use crate::net::control::{self, Answer};
use crate::server::Command;
use crate::store::is_panic_caught;

/// A chat server (XMPP) for a home.
///
/// Without a command it serves; `stonechat serve --help` shows the settings.
#[derive(FromArgs)]
struct Stonechat {
    /// print the version
    #[argh(switch)]
    version: bool,
    #[argh(subcommand)]
    command: Option<Subcommand>,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Subcommand {
    Serve(serve::Serve),
    User(user::User),
    Channel(channel::Channel),
    Archive(archive::Archive),
    Token(token::Token),
    Status(Status),
    Drain(Drain),
    Check(check::Check),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Rename(rename::Rename),
}

/// Show what the running server is doing.
#[derive(FromArgs)]
#[argh(subcommand, name = "status")]
struct Status {
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

/// Send all sessions, and whoever comes, to another server.
#[derive(FromArgs)]
#[argh(subcommand, name = "drain")]
struct Drain {
    /// HOST or HOST:PORT, a name that the server's certificate covers; `off`: whoever comes may stay
    #[argh(positional)]
    host: String,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

/// What stands at the top level beside commands; anything else is for `serve`.
const TOP_LEVEL: [&str; 3] = ["--version", "--help", "help"];

fn is_top_level(argument: &str) -> bool {
    let mut commands = Subcommand::COMMANDS.iter();
    TOP_LEVEL.contains(&argument) || commands.any(|command| command.name == argument)
}

/// What is caught where the database is read, is told where it is caught.
fn quiet_caught_panics() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !is_panic_caught() {
            others(panic);
        }
    }));
}

/// Runs what the arguments (without the program's name) say; tells the exit code.
pub fn run(arguments: &[String]) -> u8 {
    // Whatever is made is this user's alone, from its first moment; what may be seen by others says so.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    quiet_caught_panics();
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if arguments.first().is_none_or(|first| !is_top_level(first)) {
        arguments.insert(0, "serve");
    }
    // argh takes it for an option without a name.
    let stream = match arguments.first() {
        Some(&"restore") => restore::STDIN,
        _ => backup::STDOUT,
    };
    for argument in &mut arguments {
        if *argument == "-" {
            *argument = stream;
        }
    }
    let parsed = match Stonechat::from_args(&["stonechat"], &arguments) {
        Ok(parsed) => parsed,
        Err(EarlyExit { output, status }) => return early_exit(&output, status.is_ok()),
    };
    if parsed.version {
        return print(&format!("stonechat {}", env!("CARGO_PKG_VERSION")));
    }
    let result = match parsed.command {
        Some(Subcommand::Serve(serve)) => serve.run(),
        Some(Subcommand::User(user)) => user.run(),
        Some(Subcommand::Channel(channel)) => channel.run(),
        Some(Subcommand::Archive(archive)) => archive.run(),
        Some(Subcommand::Token(token)) => token.run(),
        Some(Subcommand::Status(status)) => status.run(),
        Some(Subcommand::Drain(drain)) => drain.run(),
        Some(Subcommand::Check(check)) => check.run(),
        Some(Subcommand::Backup(backup)) => backup.run(),
        Some(Subcommand::Restore(restore)) => restore.run(),
        Some(Subcommand::Rename(rename)) => rename.run(),
        None => serve::Serve::default().run(),
    };
    match result {
        Ok(answer) => tell(&answer),
        Err(error) => {
            complain(&error.to_string());
            1
        }
    }
}

fn early_exit(output: &str, asked: bool) -> u8 {
    if asked {
        return print(output.trim_end());
    }
    complain(&format!(
        "{}\n  `stonechat --help` shows how it is used",
        output.trim_end()
    ));
    1
}

/// Returns the exit code.
fn print(text: &str) -> u8 {
    let end = if text.is_empty() { "" } else { "\n" };
    let Err(error) = put(&[text, end].concat()) else {
        return 0;
    };
    let answer = cut_off(&error);
    if answer.code != 0 {
        complain(&answer.text);
    }
    answer.code
}

/// To whoever reads what a command was asked for.
fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// They may have had enough (`| head`); what is on a full disk is not whole.
fn cut_off(error: &io::Error) -> Answer {
    match error.kind() {
        io::ErrorKind::BrokenPipe => said(),
        _ => Answer {
            code: 1,
            text: format!("it was not written: {error}"),
        },
    }
}

/// There is nothing more to say.
fn said() -> Answer {
    Answer {
        code: 0,
        text: String::new(),
    }
}

/// Returns the exit code.
fn tell(answer: &Answer) -> u8 {
    if answer.code == 0 {
        return print(&answer.text);
    }
    complain(&answer.text);
    answer.code
}

fn complain(text: &str) {
    let _gone = writeln!(io::stderr(), "stonechat: {text}");
}

impl Status {
    fn run(self) -> Result<Answer, StartError> {
        ask_running(self.data.as_deref(), &Command::Status)
    }
}

impl Drain {
    fn run(self) -> Result<Answer, StartError> {
        let host = Some(self.host).filter(|host| host != "off");
        ask_running(self.data.as_deref(), &Command::Drain { host })
    }
}

/// What only a server that runs can do.
fn ask_running(data: Option<&str>, command: &Command) -> Result<Answer, StartError> {
    let data = data_directory(data, environment)?;
    if let Some(foreign) = file::foreign(&data) {
        return Err(foreign);
    }
    control::ask(&data, command)?.ok_or(StartError::NotRunning { data })
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The settings for a data directory, with what the command line says.
fn load(data: Option<&str>, overrides: &[Override]) -> Result<Config, StartError> {
    Config::load(data_directory(data, environment)?, overrides)
}
