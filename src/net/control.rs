//! The control socket in the data directory: an operator's commands to the running server.
//!
//! One request and one answer for each connection, each a list of texts: length (4 bytes) of all that follows, then for
//! each text its length (4 bytes) and itself. Whoever may open the socket may do everything (mode 0600).

mod ask;
pub mod backup;

use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use smol::future::FutureExt;

pub use super::intake::inbox::Answer;
use super::intake::inbox::{Arrival, Waiters};
use super::reactor::{Reactor, Source};
use super::shell::Shell;
use crate::config::StartError;
use crate::server::Command;
use crate::xmpp::quoted_error;
pub use ask::{Fetched, ask, fetch_backup};
use backup::Backups;

pub(super) const FILE: &str = "control.sock";
/// unix(7): 108 with the zero at the end.
const PATH_BYTES_MAX: usize = 107;
const REQUEST_BYTES_MAX: usize = 64 << 10;
const REQUEST_SECONDS_MAX: u64 = 10;
/// Commands that are asked and answered at the same time; more wait.
const COMMANDS_MAX: usize = 32;
/// Of these, that have not said what is wanted.
const ASKING_MAX: u64 = 16;

/// The socket's path, short enough for the kernel as long as this lives.
pub(super) struct SocketPath {
    pub path: PathBuf,
    _directory: Option<OwnedFd>,
}

impl SocketPath {
    pub fn of(data: &Path) -> io::Result<SocketPath> {
        let path = data.join(FILE);
        if path.as_os_str().len() <= PATH_BYTES_MAX {
            return Ok(SocketPath {
                path,
                _directory: None,
            });
        }
        // A directory deep down is reached through an open descriptor of it.
        use rustix::fs::{Mode, OFlags};
        let directory = rustix::fs::open(
            data,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(SocketPath {
            path: format!("/proc/self/fd/{}/{FILE}", directory.as_raw_fd()).into(),
            _directory: Some(directory),
        })
    }
}

/// Opens the socket. The data directory is ours by now, so a socket that is there is of a process that is gone.
pub fn listen(reactor: &Rc<Reactor>, data: &Path) -> Result<Source<UnixListener>, StartError> {
    let open = || -> io::Result<Source<UnixListener>> {
        let socket = SocketPath::of(data)?;
        match std::fs::remove_file(&socket.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&socket.path)?;
        std::fs::set_permissions(&socket.path, std::fs::Permissions::from_mode(0o600))?;
        Source::new(reactor, listener)
    };
    open().map_err(|error| StartError::File {
        what: "open the control socket",
        path: data.join(FILE),
        error,
    })
}

/// Takes the socket away at the end.
pub fn remove(data: &Path) {
    if let Err(error) = std::fs::remove_file(data.join(FILE)) {
        log::debug!("control.left error={}", quoted_error(&error));
    }
}

/// Answers for ever, several commands at a time: one that is slow, or whose asker does not read, keeps no other waiting.
pub async fn answer(listener: Source<UnixListener>, shell: Rc<Shell>, backups: Rc<Backups>) {
    let open = Rc::new(Open::default());
    loop {
        open.left.until(|| open.count.get() < COMMANDS_MAX).await;
        listener.readable().await;
        let accepted = listener
            .reading(UnixListener::accept)
            .and_then(|(stream, _)| Source::new(&shell.reactor, stream));
        match accepted {
            Ok(stream) => {
                let place = Place::take(&open);
                let one = answer_one(stream, Rc::clone(&shell), Rc::clone(&backups), place);
                shell.executor.spawn(one).detach();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                log::warn!("control.failed error={}", quoted_error(&error));
                shell.reactor.sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Commands under way.
#[derive(Default)]
struct Open {
    count: Cell<usize>,
    left: Waiters,
    /// How many ever came.
    last: Cell<u64>,
    came: Waiters,
}

struct Place {
    open: Rc<Open>,
    number: u64,
}

impl Place {
    fn take(open: &Rc<Open>) -> Place {
        open.count.set(open.count.get() + 1);
        open.last.set(open.last.get() + 1);
        open.came.wake();
        Place {
            open: Rc::clone(open),
            number: open.last.get(),
        }
    }

    /// Whoever has not said what is wanted makes room when so many others came since.
    async fn given_up<T>(&self) -> io::Result<T> {
        let others = || self.open.last.get() - self.number;
        self.open.came.until(|| others() >= ASKING_MAX).await;
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.count.set(self.open.count.get() - 1);
        self.open.left.wake();
    }
}

async fn answer_one(
    stream: Source<UnixStream>,
    shell: Rc<Shell>,
    backups: Rc<Backups>,
    place: Place,
) {
    if let Err(error) = exchange(&stream, &shell, &backups, &place).await {
        log::debug!("control.gone error={}", quoted_error(&error));
    }
}

async fn exchange(
    stream: &Source<UnixStream>,
    shell: &Shell,
    backups: &Backups,
    place: &Place,
) -> io::Result<()> {
    let request = async {
        let mut length = [0; 4];
        stream.read_exact(&mut length).await?;
        let mut body = vec![0; checked_length(length, REQUEST_BYTES_MAX)?];
        stream.read_exact(&mut body).await?;
        io::Result::Ok(body)
    };
    let request = request.or(late(shell)).or(place.given_up()).await?;
    let texts = texts(&request);
    let answer = match texts.as_deref().and_then(Command::from_words) {
        None if texts.as_deref() == Some(&[BACKUP]) => match backups.begin(stream.get_ref()) {
            Ok(()) => return Ok(()),
            Err(text) => Answer { code: 1, text },
        },
        Some(command) => {
            let (reply, answered) = smol::channel::bounded(1);
            shell.inbox.push(Arrival::Command { command, reply });
            answered.recv().await.map_err(io::Error::other)?
        }
        None => Answer {
            code: 1,
            text: "the running server is of another version and does not know this command".into(),
        },
    };
    let answer = frame(&[&answer.code.to_string(), &answer.text]);
    stream.write_all(&answer).or(late(shell)).await
}

/// Who asks, and who is answered, has so much time.
async fn late<T>(shell: &Shell) -> io::Result<T> {
    let time = Duration::from_secs(REQUEST_SECONDS_MAX);
    shell.reactor.sleep(time).await;
    Err(io::ErrorKind::TimedOut.into())
}

pub(super) fn checked_length(length: [u8; 4], max: usize) -> io::Result<usize> {
    usize::try_from(u32::from_be_bytes(length))
        .ok()
        .filter(|length| *length <= max)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

pub(super) fn frame(texts: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    for text in texts {
        body.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    let mut framed = u32::try_from(body.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes()
        .to_vec();
    framed.append(&mut body);
    framed
}

pub(super) fn texts(mut body: &[u8]) -> Option<Vec<&str>> {
    let mut texts = Vec::new();
    while !body.is_empty() {
        let (length, rest) = body.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (text, rest) = rest.split_at_checked(length)?;
        texts.push(std::str::from_utf8(text).ok()?);
        body = rest;
    }
    Some(texts)
}

/// What is no command of the core: the shell makes it.
pub(super) const BACKUP: &str = "backup";
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_arrives_as_it_was_sent() {
        let [name, password] = ["älice", "p\n w"].map(str::to_string);
        for sent in [
            Command::UserAdd {
                name: name.clone(),
                password: password.clone(),
            },
            Command::UserPassword {
                name: name.clone(),
                password,
            },
            Command::UserDelete { name: name.clone() },
            Command::UserDisable {
                name: name.clone(),
                disabled: true,
            },
            Command::UserDisable {
                name: name.clone(),
                disabled: false,
            },
            Command::UserClients {
                name: name.clone(),
                revoke: None,
            },
            Command::UserClients {
                name: name.clone(),
                revoke: Some("x".into()),
            },
            Command::TokenAdd {
                user: name.clone(),
                name: "door bell".into(),
                seconds: Some(60),
                restricted: true,
            },
            Command::TokenAdd {
                user: name.clone(),
                name: "all".into(),
                seconds: None,
                restricted: false,
            },
            Command::TokenList { user: name.clone() },
            Command::TokenRevoke {
                user: name,
                id: "x".into(),
            },
            Command::UserMove {
                name: "juliet".into(),
                host: Some("[2001:db8::1]:5222".into()),
            },
            Command::UserMove {
                name: "juliet".into(),
                host: None,
            },
            Command::Drain { host: None },
            Command::UserList,
            Command::Status,
        ] {
            let request = sent.to_words();
            let request: Vec<&str> = request.iter().map(String::as_str).collect();
            let framed = frame(&request);
            let (length, body) = framed.split_first_chunk::<4>().unwrap();
            assert_eq!(
                checked_length(*length, REQUEST_BYTES_MAX).unwrap(),
                body.len()
            );
            assert_eq!(Command::from_words(&texts(body).unwrap()), Some(sent));
        }
    }

    #[test]
    fn a_damaged_request_is_no_command() {
        assert_eq!(texts(b"\0\0\0\x05abc"), None);
        assert_eq!(texts(b"\0\0\0\x01\xff"), None);
        assert_eq!(Command::from_words(&["user add", "alice"]), None);
        assert!(checked_length([0xff; 4], REQUEST_BYTES_MAX).is_err());
    }
}
