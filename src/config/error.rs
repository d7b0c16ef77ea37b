//! Why the process does not start: for the operator, so each says what, where, and what to do about it.
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::file;
use crate::store::StoreError;

#[derive(Debug)]
pub enum StartError {
    /// A setting of the file or the command line is wrong; `place` says where it was given.
    Setting {
        place: String,
        key: Option<String>,
        reason: String,
        remedy: String,
    },
    NoDataDirectory,
    DataDirectory {
        path: PathBuf,
        error: io::Error,
    },
    File {
        what: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    /// Another process serves this data directory.
    InUse {
        data: PathBuf,
    },
    Store {
        path: PathBuf,
        error: StoreError,
    },
    /// The server ended in the middle of something.
    Broken {
        path: PathBuf,
    },
    DomainChanged {
        remembered: String,
        given: Option<String>,
        /// What the file says.
        written: Option<String>,
        file: PathBuf,
    },
    PortTaken {
        address: SocketAddr,
        key: &'static str,
    },
    Listen {
        address: SocketAddr,
        key: &'static str,
        error: io::Error,
    },
    /// One of certificate and key was given, or lies there, without the other.
    HalfCertificate {
        given: (&'static str, PathBuf),
        missing: &'static str,
    },
    Certificate {
        path: PathBuf,
        reason: String,
    },
    KeyMismatch {
        cert: PathBuf,
        key: PathBuf,
    },
    /// A command needs a running server.
    NotRunning {
        data: PathBuf,
    },
    /// A command needs what a server has made.
    NoDatabase {
        data: PathBuf,
    },
    /// The operator was asked, and said no.
    NotAgreed,
    Control {
        path: PathBuf,
        reason: String,
    },
    /// The server was asked, and does not answer.
    NoAnswer {
        path: PathBuf,
        process: Option<i32>,
        seconds: u64,
    },
    /// Somebody has the database open, but does not listen.
    NoSocket {
        path: PathBuf,
    },
    /// It is of another user, and this one may not use it.
    Foreign {
        path: PathBuf,
        owner: String,
        own: String,
    },
    /// There is no backup, or none that can be used; the error says what to do.
    Backup {
        path: PathBuf,
        reason: String,
    },
    Password(&'static str),
    System {
        what: &'static str,
        error: io::Error,
    },
}

impl StartError {
    pub fn store(data: &std::path::Path, path: PathBuf, error: StoreError) -> StartError {
        match error {
            StoreError::InUse => StartError::InUse {
                data: data.to_path_buf(),
            },
            StoreError::Io(detail) => file::foreign(&path).unwrap_or(StartError::Store {
                path,
                error: StoreError::Io(detail),
            }),
            error => StartError::Store { path, error },
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Setting {
                place,
                key,
                reason,
                remedy,
            } => match key {
                Some(key) => write!(f, "{place}: {key}: {reason}\n  {remedy}"),
                None => write!(f, "{place}: {reason}\n  {remedy}"),
            },
            StartError::NoDataDirectory => write!(
                f,
                "there is no place for the data: neither $STATE_DIRECTORY nor $XDG_DATA_HOME nor $HOME is set\n  \
                 say where with --data DIR"
            ),
            StartError::DataDirectory { path, error } => write!(
                f,
                "cannot use the data directory {}: {error}\n  make it writable for this user, or name another with --data DIR",
                path.display()
            ),
            StartError::File { what, path, error } => {
                write!(
                    f,
                    "cannot {what}: {}: {error}\n  {}",
                    path.display(),
                    file_remedy(error)
                )
            }
            StartError::InUse { data } => write!(
                f,
                "another stonechat is using {}\n  stop that one first, or name another directory with --data DIR",
                data.display()
            ),
            // The error says what to do about it.
            StartError::Store { path, error } => write!(f, "{}: {error}", path.display()),
            StartError::Broken { path } => write!(
                f,
                "the server came upon something it cannot go on from; the log says what\n  \
                 if {} is damaged, `stonechat check` tells where; a backup brings it back",
                path.display()
            ),
            StartError::DomainChanged {
                remembered,
                given,
                written,
                file,
            } => {
                let said = (given.as_deref(), written.as_deref());
                f.write_str(&domain_changed(remembered, said, file))
            }
            StartError::PortTaken { address, key } => write!(
                f,
                "cannot listen on {address}: another program uses this port\n  \
                 stop that program (`ss -ltnp` shows it), or choose another port with --{} ADDRESS:PORT",
                key.replace('_', "-")
            ),
            StartError::Listen {
                address,
                key,
                error,
            } => write!(
                f,
                "cannot listen on {address}: {error}\n  choose an address of this machine and a port above 1023 with --{} ADDRESS:PORT",
                key.replace('_', "-")
            ),
            StartError::HalfCertificate { given, missing } => write!(
                f,
                "there is a {} ({}) but no {missing}\n  give both with --cert FILE --key FILE, or neither to have both made",
                given.0,
                given.1.display()
            ),
            StartError::Certificate { path, reason } => write!(
                f,
                "cannot use {}: {reason}\n  give PEM files with --cert FILE --key FILE, or remove both files from the data directory to have new ones made",
                path.display()
            ),
            StartError::KeyMismatch { cert, key } => write!(
                f,
                "the key {} does not belong to the certificate {}\n  give the pair that was issued together with --cert FILE --key FILE",
                key.display(),
                cert.display()
            ),
            StartError::NotRunning { data } => write!(
                f,
                "no stonechat is running on {}\n  start it with `stonechat`, or name its directory with --data DIR",
                data.display()
            ),
            StartError::NoDatabase { data } => write!(
                f,
                "there is no database in {}\n  start the server there with `stonechat`, name its directory with --data DIR, or make one with `stonechat user add NAME --create`",
                data.display()
            ),
            StartError::NotAgreed => f.write_str("nothing was done"),
            StartError::Control { path, reason } => write!(
                f,
                "cannot talk to the running server through {}: {reason}\n  run the command as the server's user, or stop the server first",
                path.display()
            ),
            StartError::NoAnswer {
                path,
                process,
                seconds,
            } => {
                let shown = path.display();
                match process {
                    Some(process) => write!(
                        f,
                        "the server (process {process}) does not answer on {shown}: {seconds} seconds were waited\n  \
                         its log may say what keeps it; `kill -CONT {process}` wakes it if somebody stopped it, else start it anew. \
                         What was asked for may still be done"
                    ),
                    None => write!(
                        f,
                        "the server takes no more questions on {shown}: {seconds} seconds were waited\n  \
                         its log may say what keeps it; start it anew"
                    ),
                }
            }
            StartError::NoSocket { path } => write!(
                f,
                "the database is in use, but nobody listens on {}: a server whose control socket was removed, or another command\n  \
                 wait for the command, or start the server anew, which makes the socket anew",
                path.display()
            ),
            StartError::Foreign { path, owner, own } => write!(
                f,
                "{} belongs to {owner}, and {own} may not use it\n  \
                 do this as that user (`sudo -u {owner} …`), or name another directory with --data DIR",
                path.display()
            ),
            StartError::Backup { path, reason } => write!(f, "{}: {reason}", path.display()),
            StartError::Password(reason) => write!(
                f,
                "{reason}\n  give the password as the first line of standard input, or let --generate make one"
            ),
            StartError::System { what, error } => {
                write!(
                    f,
                    "cannot {what}: {error}\n  this is the system's refusal; its log may say more"
                )
            }
        }
    }
}

/// What an operator does about a domain that is not the one of before; `said`: now, and in the file.
fn domain_changed(
    remembered: &str,
    (given, written): (Option<&str>, Option<&str>),
    file: &Path,
) -> String {
    let shown = file.display();
    match (given, written) {
        (Some(given), Some(_)) => format!(
            "the accounts here belong to {remembered}, but the domain given is {given}\n  \
             leave the domain out to go on as {remembered} ({shown} says so); \
             `stonechat rename {given}` moves all accounts to {given}"
        ),
        (Some(given), None) => format!(
            "the accounts here belong to {remembered}, but the domain given is {given}, and {shown} is gone\n  \
             give --domain {remembered} to go on; `stonechat rename {given}` moves all accounts to {given}"
        ),
        (None, Some(written)) => format!(
            "the accounts here belong to {remembered}, but {shown} says {written}\n  \
             write {remembered} into it to go on; then `stonechat rename {written}` moves all accounts to {written}"
        ),
        (None, None) => format!(
            "the accounts here belong to {remembered}, but {shown}, which says so, is gone\n  \
             give --domain {remembered} once to go on; `stonechat rename NEW.DOMAIN` moves all accounts to another"
        ),
    }
}

fn file_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => "make room on this disk, then start again",
        io::ErrorKind::PermissionDenied => "let this user read and write it",
        io::ErrorKind::NotFound => "check the path",
        _ => "check the path and the disk",
    }
}
