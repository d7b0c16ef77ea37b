//! Asking the running server through its control socket. Nobody is left hanging: who does not answer is named.
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_peercred};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::backup::SEND_TIMEOUT;
use super::{BACKUP, FILE, SocketPath, checked_length, frame, texts};
use crate::config::StartError;
use crate::net::intake::inbox::Answer;
use crate::net::serve::STORE_FILE;
use crate::server::Command;
use crate::store;

const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How long an answer is waited for.
fn patience(command: &Command) -> Duration {
    let seconds = match command {
        // Hashing a password on a slow board behind others takes its time.
        Command::UserAdd { .. } | Command::UserPassword { .. } => 120,
        Command::Status | Command::UserList | Command::TokenList { .. } => 10,
        // They wait for the disk.
        _ => 30,
    };
    Duration::from_secs(seconds)
}

/// Asks the running server. `None`: there is none.
pub fn ask(data: &Path, command: &Command) -> Result<Option<Answer>, StartError> {
    let Some(mut asking) = Asking::begin(data, patience(command))? else {
        return Ok(None);
    };
    let request = command.to_words();
    let request: Vec<&str> = request.iter().map(String::as_str).collect();
    let answer = asking.send(&request).and_then(|()| asking.receive());
    let answer = answer.and_then(|texts| match texts.as_slice() {
        [code, text] => Ok(Answer {
            code: code.parse().map_err(io::Error::other)?,
            text: text.clone(),
        }),
        _ => Err(io::ErrorKind::InvalidData.into()),
    });
    answer.map(Some).map_err(|error| asking.failed(error))
}

/// What came of a backup of the running server, beside its bytes.
pub struct Fetched {
    pub error: Option<String>,
    /// What was damaged.
    pub left_out: Vec<String>,
}

/// Has the running server make a backup. `None`: there is none. `progress` is told rows.
pub fn fetch_backup(
    data: &Path,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<Fetched>, StartError> {
    let Some(mut asking) = Asking::begin(data, SEND_TIMEOUT)? else {
        return Ok(None);
    };
    let mut fetch = || -> io::Result<Fetched> {
        asking.send(&[BACKUP])?;
        loop {
            let texts = asking.receive()?;
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let number = |text: &str| text.parse::<u64>().map_err(io::Error::other);
            match texts.as_slice() {
                ["", done, total] => progress(number(done)?, number(total)?),
                ["0", length, left_out] => {
                    let length = number(length)?;
                    let mut all = (&asking.stream).take(length);
                    if io::copy(&mut all, out)? != length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    return Ok(Fetched {
                        error: None,
                        left_out: left_out.lines().map(str::to_string).collect(),
                    });
                }
                [_, error] => {
                    return Ok(Fetched {
                        error: Some((*error).to_string()),
                        left_out: Vec::new(),
                    });
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    };
    let fetched = fetch();
    fetched.map(Some).map_err(|error| asking.failed(error))
}

/// A connection to the running server.
struct Asking {
    stream: UnixStream,
    path: PathBuf,
    patience: Duration,
}

impl Asking {
    /// `None`: no server runs.
    fn begin(data: &Path, patience: Duration) -> Result<Option<Asking>, StartError> {
        let path = data.join(FILE);
        let stream = match Asking::connect(data, patience) {
            Ok(stream) => stream,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                        match store::is_in_use(&data.join(STORE_FILE)) {
                            true => Err(StartError::NoSocket { path }),
                            false => Ok(None),
                        }
                    }
                    // connect(2): the timeout of sending is that of connecting, too.
                    io::ErrorKind::WouldBlock => Err(StartError::NoAnswer {
                        path,
                        process: None,
                        seconds: patience.as_secs(),
                    }),
                    _ => Err(StartError::Control {
                        path,
                        reason: error.to_string(),
                    }),
                };
            }
        };
        Ok(Some(Asking {
            stream,
            path,
            patience,
        }))
    }

    fn connect(data: &Path, patience: Duration) -> io::Result<UnixStream> {
        if !data.join(FILE).exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let place = SocketPath::of(data)?;
        let socket = socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        for timeout in [Timeout::Send, Timeout::Recv] {
            set_socket_timeout(&socket, timeout, Some(patience))?;
        }
        connect(&socket, &SocketAddrUnix::new(&place.path)?)?;
        Ok(UnixStream::from(socket))
    }

    fn send(&mut self, texts: &[&str]) -> io::Result<()> {
        self.stream.write_all(&frame(texts))
    }

    fn receive(&mut self) -> io::Result<Vec<String>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut body = vec![0; checked_length(length, ANSWER_BYTES_MAX)?];
        self.stream.read_exact(&mut body)?;
        let texts = texts(&body).ok_or(io::ErrorKind::InvalidData)?;
        Ok(texts.into_iter().map(str::to_string).collect())
    }

    fn failed(&self, error: io::Error) -> StartError {
        let path = self.path.clone();
        let reason = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let server = socket_peercred(&self.stream).ok();
                return StartError::NoAnswer {
                    path,
                    process: server.map(|server| server.pid.as_raw_nonzero().get()),
                    seconds: self.patience.as_secs(),
                };
            }
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset => "it ended before it had answered".to_string(),
            _ => error.to_string(),
        };
        StartError::Control { path, reason }
    }
}
