//! What is looked at now and then: the certificate's files, the disk, signals.
use std::cell::{Cell, RefCell};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use smol::future::FutureExt;

use super::intake::inbox::Arrival;
use super::machine::memory::disk_bytes;
use super::machine::notify::Notify;
use super::reactor::{Reactor, Source};
use super::shell::Shell;
use super::tls::Identity;
use crate::config::StartError;
use crate::xmpp::{quoted, quoted_error};

const CERTIFICATE_LOOK: Duration = Duration::from_secs(30);
const DISK_LOOK: Duration = Duration::from_secs(10);

/// The identity in use and the files it came from.
pub struct Identities {
    cert: PathBuf,
    key: PathBuf,
    early_data: bool,
    current: RefCell<Rc<Identity>>,
    modified: Cell<Modified>,
    session_bytes_max: Cell<usize>,
}

type Modified = (Option<SystemTime>, Option<SystemTime>);

impl Identities {
    pub fn load(cert: PathBuf, key: PathBuf, early_data: bool) -> Result<Identities, StartError> {
        let modified = modified(&cert, &key);
        let identity = Identity::load(&cert, &key, early_data)?;
        Ok(Identities {
            cert,
            key,
            early_data,
            current: RefCell::new(Rc::new(identity)),
            modified: Cell::new(modified),
            session_bytes_max: Cell::new(0),
        })
    }

    /// For connections from now on.
    pub fn current(&self) -> Rc<Identity> {
        Rc::clone(&self.current.borrow())
    }

    /// How many bytes of TLS sessions are kept, of this identity and those that follow.
    pub fn limit_sessions(&self, bytes_max: usize) {
        self.session_bytes_max.set(bytes_max);
        self.current().limit_sessions(bytes_max);
    }

    pub fn cert(&self) -> &Path {
        &self.cert
    }

    /// Reads the files again; what cannot be used changes nothing.
    pub fn reload(&self) {
        self.modified.set(modified(&self.cert, &self.key));
        match Identity::load(&self.cert, &self.key, self.early_data) {
            Ok(identity) => {
                log::info!("certificate.loaded sha256={}", identity.fingerprints.sha256);
                identity.limit_sessions(self.session_bytes_max.get());
                *self.current.borrow_mut() = Rc::new(identity);
            }
            Err(error) => {
                let reason = error.to_string().replace('\n', ";");
                log::error!("certificate.kept reason={}", quoted(&reason));
            }
        }
    }

    fn have_changed(&self) -> bool {
        modified(&self.cert, &self.key) != self.modified.get()
    }
}

fn modified(cert: &Path, key: &Path) -> Modified {
    let time = |path: &Path| {
        std::fs::metadata(path)
            .and_then(|data| data.modified())
            .ok()
    };
    (time(cert), time(key))
}

/// Loads the certificate again when its files change.
pub async fn certificate(shell: Rc<Shell>) {
    loop {
        shell.reactor.sleep(CERTIFICATE_LOOK).await;
        if shell.identities.have_changed() {
            shell.identities.reload();
        }
    }
}

/// Tells the core how full the disk is.
pub async fn disk(shell: Rc<Shell>, data: PathBuf) {
    loop {
        match disk_bytes(&data) {
            Ok(disk) => shell.inbox.push(Arrival::Disk(disk)),
            Err(error) => log::warn!("disk.unknown error={}", quoted_error(&error)),
        }
        shell.reactor.sleep(DISK_LOOK).await;
    }
}

/// What the operator or the system wants.
#[derive(Clone, Copy, Debug)]
enum Signal {
    Term,
    Int,
    Hup,
}

/// Signals as they come: each has a socket that its handler writes to.
pub struct Signals([(Signal, Source<UnixStream>); 3]);

pub fn signals(reactor: &Rc<Reactor>) -> io::Result<Signals> {
    let listen = |signal, number| {
        let (ours, handlers) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(number, handlers)?;
        io::Result::Ok((signal, Source::new(reactor, ours)?))
    };
    Ok(Signals([
        listen(Signal::Term, SIGTERM)?,
        listen(Signal::Int, SIGINT)?,
        listen(Signal::Hup, SIGHUP)?,
    ]))
}

impl Signals {
    async fn next(&self) -> io::Result<Signal> {
        let [term, int, hup] = &self.0;
        let one = async |(signal, source): &(Signal, Source<UnixStream>)| {
            source.read_exact(&mut [0]).await.map(|()| *signal)
        };
        one(term).or(one(int)).or(one(hup)).await
    }
}

/// SIGTERM and SIGINT end the server, SIGHUP loads the certificate again.
pub async fn obey(shell: Rc<Shell>, signals: Signals) {
    loop {
        match signals.next().await {
            Ok(Signal::Hup) => shell.identities.reload(),
            Ok(signal) => {
                log::info!("server.stopping signal={signal:?}");
                Notify::from_environment().stopping();
                shell.inbox.push(Arrival::Shutdown);
            }
            Err(error) => {
                log::error!("signal.failed error={}", quoted_error(&error));
                return;
            }
        }
    }
}
