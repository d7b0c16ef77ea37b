//! Starting and ending the server.
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;

use smol::channel::Receiver;

use super::connection::poll;
use super::control::backup::Backups;
use super::driver::Driver;
use super::hash_thread::HashThread;
use super::intake::census::Census;
use super::intake::inbox::Arrival;
use super::intake::line;
use super::intake::listen::{self, Listener};
use super::intake::proxied::Proxies;
use super::machine::clock::{Clock, clock_warning};
use super::machine::entropy::SystemEntropy;
use super::machine::memory;
use super::machine::notify::Notify;
use super::machine::system;
use super::reactor::Reactor;
use super::shell::Shell;
use super::watch::{self, Identities};
use super::{certificate, control, token_key};
use crate::config::{self, Config, StartError};
use crate::server::{Port, Server};
use crate::state::{Hashed, JobId};
use crate::store::{Domain, Store, StoreError, Tx, is_panic_caught};
use crate::xmpp::{quoted, quoted_error};

/// The database, in the data directory.
pub const STORE_FILE: &str = "stonechat.redb";

/// Serves until told to stop. `data_flag`: what an operator has to add to commands to reach this data directory.
pub fn serve(config: &Config, data_flag: &str) -> Result<(), StartError> {
    let clock = Clock::start();
    if let Some(warning) = clock_warning(clock.now().wall) {
        log::warn!("{warning}");
    }
    tell_panics();
    let files_max = memory::raise_file_limit();
    system::share_heap();
    let Opened {
        store,
        server,
        domain,
        host,
    } = open(config, clock)?;
    let data = &config.data;
    let system = |what| move |error| StartError::System { what, error };
    let reactor = Reactor::new().map_err(system("wait for events"))?;
    let listeners = listeners(&reactor, config)?;
    let (cert, key) = certificate::locate(config, &domain, &host)?;
    let identities = Identities::load(cert, key, config.settings.early_data)?;
    let signals = watch::signals(&reactor).map_err(system("listen to signals"))?;
    let operators = control::listen(&reactor, data)?;
    let (hashed, results) = smol::channel::unbounded();
    let hashing = HashThread::start(hashed).map_err(system("start a thread"))?;

    print(&banner(&domain, data, &listeners, &identities, data_flag));
    let settings = &config.settings;
    let census = Census::new(
        settings.connections_max.min(files_max),
        settings.connections_per_address_max,
    );
    let shell = Shell::new(reactor, clock, census, identities, settings);
    accept(&shell, listeners, config);
    let backups = Backups::new(store.clone(), data.clone(), settings.disk_free_percent_min);
    spawn(
        &shell,
        control::answer(operators, Rc::clone(&shell), Rc::new(backups)),
    );
    spawn(&shell, watch::obey(Rc::clone(&shell), signals));
    spawn(&shell, take_hashed(Rc::clone(&shell), results));
    watch_all(&shell, config);
    let driver = Box::new(Driver::new(Rc::clone(&shell), server, store, hashing));
    Notify::from_environment().ready();
    system::trim_heap();
    system::let_go_of_code();
    let reactor = Rc::clone(&shell.reactor);
    spawn(&shell, Notify::from_environment().keep_alive(reactor));
    // On the heap: the stack that a large future takes while it is moved about is never given back.
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let running = Box::pin(shell.executor.run(driver.run()));
        shell.reactor.block_on(running)
    }));
    let broken = |_| StartError::Broken {
        path: data.join(STORE_FILE),
    };
    let ended = ended.map_err(broken)?.map_err(system("wait for events"))?;
    control::remove(data);
    match ended {
        Ok(()) => {
            log::info!("server.stopped");
            Ok(())
        }
        Err(error) => {
            log::error!("store.failed error={}", quoted_error(&error));
            Err(failed(data)(error))
        }
    }
}

/// A database, the core on it, and whose it is.
struct Opened {
    store: Store,
    server: Server,
    domain: String,
    host: String,
}

fn open(config: &Config, clock: Clock) -> Result<Opened, StartError> {
    let data = &config.data;
    config::make_data_directory(data)?;
    warn_of_openness(config);
    let failed = failed(data);
    let store = Store::open(&data.join(STORE_FILE), config.cache_bytes).map_err(&failed)?;
    let mut tx = store.begin();
    let host = hostname();
    let has_accounts = tx.has_accounts().map_err(&failed)?;
    let recorded = recorded_domain(data, &tx).map_err(&failed)?;
    let recorded = recorded.filter(|_| has_accounts);
    let domain = config::remember_domain(data, config.domain.as_deref(), &host, recorded.as_ref())?;
    config.check_components(&domain)?;
    tx.set_domain(&domain).map_err(&failed)?;
    let token_key = token_key::load(data)?;
    let server = start(config, &domain, &mut tx, clock, &token_key).map_err(&failed)?;
    if let Some(commit) = tx.finish() {
        commit.run().map_err(&failed)?;
    }
    Ok(Opened {
        store,
        server,
        domain,
        host,
    })
}

fn failed(data: &Path) -> impl Fn(StoreError) -> StartError {
    move |error| StartError::store(data, data.join(STORE_FILE), error)
}

/// What is looked at now and then.
fn watch_all(shell: &Rc<Shell>, config: &Config) {
    spawn(shell, watch::disk(Rc::clone(shell), config.data.clone()));
    spawn(shell, poll::watch(Rc::clone(shell)));
    spawn(shell, line::attend(Rc::clone(shell)));
    spawn(shell, watch::certificate(Rc::clone(shell)));
}

/// Data that others may read.
fn warn_of_openness(config: &Config) {
    let mut secrets = vec![STORE_FILE, token_key::FILE, "key.pem"];
    if !config.settings.components.is_empty() {
        secrets.push(config::FILE);
    }
    let data = &config.data;
    let secrets = secrets.iter().map(|name| (data.join(name), true));
    for (path, is_secret) in [(data.clone(), false)].into_iter().chain(secrets) {
        if let Some(warning) = config::file::openness(&path, is_secret) {
            log::warn!("data.open {warning}");
        }
    }
}

fn listeners(reactor: &Rc<Reactor>, config: &Config) -> Result<Vec<Listener>, StartError> {
    let mut listeners = listen::listen(reactor, &config.c2s, "c2s", Port::Clients)?;
    let (tls, of_tls) = (&config.c2s_tls, Port::ClientsTls);
    listeners.extend(listen::listen(reactor, tls, "c2s_tls", of_tls)?);
    if !config.settings.components.is_empty() {
        let (addresses, key) = (&config.component_addresses, "component_addresses");
        listeners.extend(listen::listen(reactor, addresses, key, Port::Components)?);
    }
    Ok(listeners)
}

fn accept(shell: &Rc<Shell>, listeners: Vec<Listener>, config: &Config) {
    let proxies = Rc::new(Proxies::new(&config.proxy_addresses));
    for listener in listeners {
        let proxies = match listener.port {
            Port::Clients | Port::ClientsTls => Rc::clone(&proxies),
            Port::Components => Rc::default(),
        };
        spawn(shell, listen::accept(listener, Rc::clone(shell), proxies));
    }
}

/// The domain the database is of; before databases said so themselves, the file alone did.
fn recorded_domain(data: &Path, tx: &Tx) -> Result<Option<Domain>, StoreError> {
    let of_file = || config::remembered_domain(data).ok().flatten();
    Ok(tx
        .domain()?
        .or_else(|| of_file().map(|name| Domain { name, before: None })))
}

/// What nobody takes care of is told in one line, as everything is.
fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        if !is_panic_caught() {
            let panic = panic.to_string().replace('\n', " ");
            log::error!("server.broken panic={}", quoted(&panic));
        }
    }));
}

fn start(
    config: &Config,
    domain: &str,
    tx: &mut Tx,
    clock: Clock,
    token_key: &[u8; 32],
) -> Result<Server, StoreError> {
    let start = clock.now();
    let (mut settings, entropy) = (config.settings_for(domain), SystemEntropy::new());
    if settings.memory_bytes_max == 0 {
        settings.memory_bytes_max = memory::memory_budget();
    }
    let mut server = Server::new(settings, Box::new(entropy), tx, start, token_key)?;
    server.begin(start, tx)?;
    Ok(server)
}

async fn take_hashed(shell: Rc<Shell>, results: Receiver<(JobId, Hashed)>) {
    while let Ok((job, result)) = results.recv().await {
        shell.inbox.push(Arrival::Hashed { job, result });
    }
}

fn spawn(shell: &Rc<Shell>, task: impl Future<Output = ()> + 'static) {
    shell.executor.spawn(task).detach();
}

/// The machine's name, as the kernel has it.
pub fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// What the operator sees first.
fn banner(
    domain: &str,
    data: &Path,
    listeners: &[Listener],
    identities: &Identities,
    data_flag: &str,
) -> String {
    let mut text = format!("stonechat {} serves {domain}\n", env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    line("data", &data.display());
    for listener in listeners {
        let name = match listener.port {
            Port::Clients => "c2s",
            Port::ClientsTls => "c2s-tls",
            Port::Components => "components",
        };
        line(name, &listener.address);
    }
    line("certificate", &identities.cert().display());
    let identity = identities.current();
    line("sha256", &identity.fingerprints.sha256);
    line("sha1", &identity.fingerprints.sha1);
    line("add a user", &format!("stonechat user add NAME{data_flag}"));
    text
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody may be there to read it.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
