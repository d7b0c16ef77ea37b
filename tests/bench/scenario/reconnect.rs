//! A client's connection breaks, and it comes back to its session: in what time, at what cost, in how many round trips.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::client::Resumption;

use super::{MILLIS, Stage, percentile};
use crate::Outcome;
use crate::client::trust;
use crate::phone::{Call, Flights, Phone, value};
use crate::report::Figure;
use crate::scan;
use crate::scram::{Hash, Scram};
use crate::server::{Kind, PASSWORD, user};

/// Half of a round trip of the long link.
const DELAY: Duration = Duration::from_millis(50);
const THREADS: usize = 32;
const NAME: &str = "reconnect";

/// Whatever can come back.
trait Client: Send {
    fn first(&mut self, address: SocketAddr) -> Outcome<()>;
    /// Flights until the session goes on.
    fn again(&mut self, address: SocketAddr) -> Outcome<Flights>;
}

pub fn reconnect(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let server = stage.start()?;
    let address = server.door.tls;
    let is_ours = stage.kind == Kind::Stonechat;
    // Others take a second of CPU for three hundred; all that is asked of them is a fair average.
    let (alone, all) = match is_ours {
        true => (stage.pick(2_000, 50), stage.accounts),
        false => (stage.pick(300, 50), stage.pick(600, 100)),
    };
    let mut clients = Vec::new();
    for number in 0..all {
        clients.push(client(is_ours, number)?);
    }
    // A client comes back many times; the first time, when a token is new to the server, is not what is measured.
    let clients = in_parallel(clients, |client| {
        client.first(address)?;
        client.again(address).map(|_| ())
    })?;

    let mut clients = clients;
    let mut times = Vec::new();
    let mut flights = Flights::default();
    let cpu = server.family.cpu();
    for client in clients.iter_mut().take(alone) {
        let begun = Instant::now();
        flights = client.again(address)?;
        times.push(begun.elapsed().as_secs_f64() * MILLIS);
    }
    let cpu = server.family.cpu().since(cpu);
    let mut figures = vec![
        // TCP's own handshake is one more.
        less("round trips", "", f64::from(flights.round_trips) + 1.0),
        less("bytes sent", "", flights.bytes_sent as f64),
        less("bytes received", "", flights.bytes_received as f64),
        less("CPU per reconnect", "ms", cpu / alone as f64 * MILLIS),
        less("one alone, p50", "ms", percentile(&mut times, 0.5)),
    ];

    let far = long_link(address)?;
    let mut times = Vec::new();
    for client in clients.iter_mut().take(stage.pick(20, 5)) {
        let begun = Instant::now();
        client.again(far)?;
        times.push(begun.elapsed().as_secs_f64() * MILLIS);
    }
    figures.push(less(
        "over a link of 100 ms, p50",
        "ms",
        percentile(&mut times, 0.5),
    ));

    let cpu = server.family.cpu();
    let begun = Instant::now();
    in_parallel(clients, |client| client.again(address).map(|_| ()))?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = server.family.cpu().since(cpu);
    let count = all as f64;
    figures.push(Figure::more(NAME, "all at once", "1/s", count / seconds));
    figures.push(less("CPU of one of all", "ms", cpu / count * MILLIS));
    figures.push(Figure::note(NAME, "all at once: how many", "", count));
    Ok(figures)
}

fn less(name: &str, unit: &'static str, value: f64) -> Figure {
    Figure::less(NAME, name, unit, value)
}

fn client(is_ours: bool, number: usize) -> Outcome<Box<dyn Client>> {
    let config = trust::client_config()?;
    let account = user(number);
    if is_ours {
        return Ok(Box::new(Phone::new(config, ("localhost", &account))));
    }
    let mut config = config;
    config.resumption = Resumption::in_memory_sessions(4);
    Ok(Box::new(Classic {
        config: Arc::new(config),
        user: account,
        scram: Scram::new(PASSWORD),
        nonce: 0,
        previous: String::new(),
    }))
}

/// Does something with all, many at a time.
fn in_parallel(
    clients: Vec<Box<dyn Client>>,
    each: impl Fn(&mut Box<dyn Client>) -> Outcome<()> + Sync,
) -> Outcome<Vec<Box<dyn Client>>> {
    let clients: Vec<Mutex<Box<dyn Client>>> = clients.into_iter().map(Mutex::new).collect();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(client) = clients.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Ok(mut client) = client.lock() else {
                        return;
                    };
                    if let Err(error) = each(&mut client)
                        && let Ok(mut failed) = failed.lock()
                    {
                        *failed = Some(error.to_string());
                    }
                }
            });
        }
    });
    match failed.into_inner()? {
        Some(error) => Err(error.into()),
        None => clients.into_iter().map(|c| Ok(c.into_inner()?)).collect(),
    }
}

impl Client for Phone {
    fn first(&mut self, address: SocketAddr) -> Outcome<()> {
        self.sign_in(address, PASSWORD)?.cut();
        Ok(())
    }

    fn again(&mut self, address: SocketAddr) -> Outcome<Flights> {
        let mut call = self.come_back(address)?;
        if !call.received.contains("<resumed ") {
            return Err(format!("not resumed: {}", call.received).into());
        }
        let flights = call.flights;
        // The handshake ends, and tickets for the next time come.
        call.say("<r xmlns='urn:xmpp:sm:3'/>")?;
        call.until("<a ")?;
        call.cut();
        Ok(flights)
    }
}

/// RFC 6120 and XEP-0198 as everybody speaks them, one careful step after the other.
struct Classic {
    config: Arc<ClientConfig>,
    user: String,
    scram: Scram,
    nonce: u64,
    previous: String,
}

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";

impl Classic {
    fn log_in(&mut self, address: SocketAddr) -> Outcome<Call> {
        self.nonce += 1;
        let mut call = Call::new(address, Arc::clone(&self.config), "localhost")?;
        call.say(HEADER)?;
        call.until("</stream:features>")?;
        let hash = Hash::offered(call.received.as_bytes()).ok_or("the server offers no SCRAM")?;
        let bare = Scram::first_bare(&self.user, self.nonce);
        let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
        call.say(&format!(
            "<auth xmlns='{sasl}' mechanism='{}'>{}</auth>",
            hash.mechanism(),
            Scram::first(&bare)
        ))?;
        call.until("</challenge>")?;
        let (_, challenge) = call
            .received
            .split_once("<challenge")
            .ok_or("no challenge")?;
        let challenge = format!("<challenge{challenge}");
        let challenge = scan::text(challenge.as_bytes(), "challenge").ok_or("no challenge")?;
        let answer = self.scram.answer(hash, &bare, challenge)?;
        call.say(&format!("<response xmlns='{sasl}'>{answer}</response>"))?;
        call.until("</success>")?;
        call.received.clear();
        call.say(HEADER)?;
        call.until("</stream:features>")?;
        call.received.clear();
        Ok(call)
    }
}

impl Client for Classic {
    fn first(&mut self, address: SocketAddr) -> Outcome<()> {
        let mut call = self.log_in(address)?;
        call.say("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")?;
        call.until("</iq>")?;
        call.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")?;
        call.until("<enabled ")?;
        call.until("/>")?;
        let enabled = call.received.replace('"', "'");
        self.previous = value(&enabled, "enabled", "id").ok_or("no id for resumption")?;
        call.cut();
        Ok(())
    }

    fn again(&mut self, address: SocketAddr) -> Outcome<Flights> {
        let mut call = self.log_in(address)?;
        call.say(&format!(
            "<resume xmlns='urn:xmpp:sm:3' h='0' previd='{}'/>",
            self.previous
        ))?;
        call.until(">")?;
        if !call.received.contains("<resumed ") {
            return Err(format!("not resumed: {}", call.received).into());
        }
        let flights = call.flights;
        call.cut();
        Ok(flights)
    }
}

/// A relay that holds everything for a while, in both directions. TCP's own handshake is not delayed, so one round trip
/// is added by waiting before the first byte is passed on.
fn long_link(to: SocketAddr) -> Outcome<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        while let Ok((near, _)) = listener.accept() {
            let Ok(far) = TcpStream::connect(to) else {
                return;
            };
            let passed = (|| {
                near.set_nodelay(true)?;
                far.set_nodelay(true)?;
                io::Result::Ok((near.try_clone()?, far.try_clone()?))
            })();
            let Ok((near_too, far_too)) = passed else {
                return;
            };
            thread::spawn(move || pass(near, far, DELAY * 2));
            thread::spawn(move || pass(far_too, near_too, Duration::ZERO));
        }
    });
    Ok(address)
}

/// Each piece leaves `DELAY` after it came.
fn pass(mut from: TcpStream, to: TcpStream, before: Duration) {
    let (queue, waiting) = std::sync::mpsc::channel::<(Instant, Vec<u8>)>();
    let sender = thread::spawn(move || {
        let mut to = to;
        let open = Instant::now() + before;
        for (came, bytes) in waiting {
            let due = came.max(open) + DELAY;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut buffer = [0; 16 << 10];
    while let Ok(count) = from.read(&mut buffer) {
        let bytes = buffer[..count].to_vec();
        if count == 0 || queue.send((Instant::now(), bytes)).is_err() {
            break;
        }
    }
    drop(queue);
    let _ = sender.join();
}
