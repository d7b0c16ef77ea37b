//! The servers under measurement: how each is given its accounts, configured, started on its core and stopped.
//! `prepare` makes a data directory with accounts once; every scenario starts from a fresh copy of it.

mod ejabberd;
mod prosody;
mod relay;
mod stonechat;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rcgen::{Certificate, CertificateParams, KeyPair};

use crate::Outcome;
use crate::client::{Clients, Door};
use crate::process::{Family, Guarded};

pub use relay::run as run_relay;

pub const PASSWORD: &str = "correct horse battery staple";
const SECONDS_PER_YEAR: u64 = 31_556_952;
pub const CONTACTS_EACH: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Stonechat,
    Prosody,
    ProsodySqlite,
    Ejabberd,
    EjabberdSqlite,
    Relay,
}

/// What all servers are given alike.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The core servers run on.
    pub core: usize,
    /// The binary to measure as Stonechat.
    pub stonechat: PathBuf,
}

/// Where a server keeps its files and listens.
pub struct Site {
    pub kind: Kind,
    pub dir: PathBuf,
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    /// The accounts are `u0` … `u(n-1)`; each has the 10 nearest as contacts, in both directions.
    pub accounts: usize,
    ground: Ground,
    certificate_pem: String,
    key_pem: String,
}

pub struct Running {
    pub kind: Kind,
    pub door: Door,
    pub family: Family,
    process: Guarded,
    log: PathBuf,
}

impl Kind {
    pub const ALL: [Kind; 6] = [
        Kind::Stonechat,
        Kind::Prosody,
        Kind::ProsodySqlite,
        Kind::Ejabberd,
        Kind::EjabberdSqlite,
        Kind::Relay,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Stonechat => "stonechat",
            Kind::Prosody => "prosody",
            Kind::ProsodySqlite => "prosody-sqlite",
            Kind::Ejabberd => "ejabberd",
            Kind::EjabberdSqlite => "ejabberd-sqlite",
            Kind::Relay => "relay",
        }
    }

    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// None when it is not installed here.
    pub fn version(self, ground: &Ground) -> Option<String> {
        match self {
            Kind::Stonechat => stonechat::version(&ground.stonechat),
            Kind::Prosody | Kind::ProsodySqlite => prosody::version(),
            Kind::Ejabberd | Kind::EjabberdSqlite => ejabberd::version(),
            Kind::Relay => Some("rustls 0.23".to_owned()),
        }
    }
}

pub fn user(number: usize) -> String {
    format!("u{number}")
}

/// The ring of contacts: five to either side.
pub fn contacts_of(number: usize, accounts: usize) -> Vec<usize> {
    let each_side = CONTACTS_EACH / 2;
    let mut contacts: Vec<usize> = (1..=each_side)
        .flat_map(|step| {
            [
                (number + step) % accounts,
                (number + accounts - step) % accounts,
            ]
        })
        .filter(|contact| *contact != number)
        .collect();
    contacts.sort_unstable();
    contacts.dedup();
    contacts
}

impl Site {
    fn new(kind: Kind, dir: &Path, accounts: usize, ground: &Ground) -> Outcome<Site> {
        let [plain, tls] = free_ports()?;
        let (certificate, key) = certificate()?;
        Ok(Site {
            kind,
            dir: dir.to_owned(),
            plain,
            tls,
            accounts,
            ground: ground.clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn write(&self, name: &str, text: &str) -> Outcome<()> {
        Ok(fs::write(self.path(name), text)?)
    }
}

/// Fills `dir` with the server's data: accounts and their rosters.
pub fn prepare(
    kind: Kind,
    dir: &Path,
    accounts: usize,
    ground: &Ground,
    clients: &mut Clients,
) -> Outcome<()> {
    fs::create_dir_all(dir)?;
    let site = Site::new(kind, dir, accounts, ground)?;
    match kind {
        Kind::Stonechat => stonechat::prepare(&site, clients),
        Kind::Prosody | Kind::ProsodySqlite => prosody::prepare(&site),
        Kind::Ejabberd | Kind::EjabberdSqlite => ejabberd::prepare(&site),
        Kind::Relay => Ok(()),
    }
}

/// Starts a server on a copy of what `prepare` made, and waits until it accepts connections.
pub fn start(
    kind: Kind,
    prepared: &Path,
    dir: &Path,
    accounts: usize,
    ground: &Ground,
) -> Outcome<Running> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    let copied = Command::new("cp")
        .arg("-a")
        .args([prepared, dir])
        .status()?;
    if !copied.success() {
        return Err("cannot copy the prepared data".into());
    }
    let site = Site::new(kind, dir, accounts, ground)?;
    let mut running = launch(&site)?;
    running.wait_until_open(Duration::from_secs(60))?;
    Ok(running)
}

/// Starts a server again on the data it left, without waiting.
pub fn restart(kind: Kind, dir: &Path, accounts: usize, ground: &Ground) -> Outcome<Running> {
    launch(&Site::new(kind, dir, accounts, ground)?)
}

fn launch(site: &Site) -> Outcome<Running> {
    let command = match site.kind {
        Kind::Stonechat => stonechat::command(site),
        Kind::Prosody | Kind::ProsodySqlite => prosody::command(site)?,
        Kind::Ejabberd | Kind::EjabberdSqlite => ejabberd::command(site)?,
        Kind::Relay => relay::command(site)?,
    };
    let log = site.path("console.log");
    let process = Guarded::start(&command, site.ground.core, &log)?;
    Ok(Running {
        kind: site.kind,
        door: Door {
            plain: site.plain,
            tls: site.tls,
        },
        family: process.family(),
        process,
        log,
    })
}

impl Running {
    /// An error that quotes the server's own words when it has died.
    pub fn check(&mut self) -> Outcome<()> {
        self.process.check().map_err(|error| {
            let said = fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = said.lines().rev().take(12).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            format!("{error}\n{}", tail.join("\n")).into()
        })
    }

    pub fn wait_until_open(&mut self, limit: Duration) -> Outcome<()> {
        let until = Instant::now() + limit;
        for address in [self.door.tls, self.door.plain] {
            while std::net::TcpStream::connect(address).is_err() {
                self.check()?;
                if Instant::now() > until {
                    return Err(format!("{} does not listen", self.kind.name()).into());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    }
}

/// For `localhost`, P-256, good for two years: ejabberd's timers do not reach to the end of rcgen's default.
fn certificate() -> Outcome<(Certificate, KeyPair)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let year = 1970 + i32::try_from(seconds / SECONDS_PER_YEAR)?;
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + 2, 1, 1);
    Ok((params.self_signed(&key)?, key))
}

fn free_ports() -> Outcome<[SocketAddr; 2]> {
    // Both held until both are known, so that they differ.
    let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok([one.local_addr()?, other.local_addr()?])
}
