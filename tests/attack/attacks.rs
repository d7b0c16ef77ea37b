//! What is done to the server. Each attack is bounded in time and in number, and says what must have come of it.
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::ground::Ground;
use crate::peer::{Peer, connect, plain};

pub struct Attack {
    pub name: &'static str,
    pub prepare: fn(&Ground) -> Outcome<()>,
    pub run: fn(&Ground) -> Outcome<()>,
    /// The bystander lives where the attackers do.
    pub next_door: bool,
}

impl Attack {
    const fn new(
        name: &'static str,
        prepare: fn(&Ground) -> Outcome<()>,
        run: fn(&Ground) -> Outcome<()>,
    ) -> Attack {
        Attack {
            name,
            prepare,
            run,
            next_door: false,
        }
    }

    const fn next_door(mut self) -> Attack {
        self.next_door = true;
        self
    }
}

pub const ACCOUNTS: &[&str] = &["bystander", "a0", "a1", "a2", "a3", "slow"];
/// Where attackers live.
pub const LAIR: u8 = 9;
const SECONDS: Duration = Duration::from_secs(2);

pub const ATTACKS: &[Attack] = &[
    Attack::new("nothing", unprepared, nothing),
    Attack::new("200 rosters in one write, twice", fill_roster, rosters),
    Attack::new("240 pages of an archive in one write", fill_archive, pages),
    Attack::new(
        "200 private items, vCards, block lists",
        fill_private,
        private,
    ),
    Attack::new("16 sessions that ask and do not read", unprepared, deaf),
    Attack::new("4 sessions with requests that take long", unprepared, work),
    Attack::new(
        "presence of 10 KiB to 16, as fast as it goes",
        unprepared,
        presences,
    ),
    Attack::new("key updates, from strangers", unprepared, key_updates),
    Attack::new("2,000 halves of records and elements", unprepared, halves),
    Attack::new("16 halves of large stanzas", unprepared, large_halves),
    Attack::new(
        "more silent connections than there is room",
        unprepared,
        silence,
    ),
    Attack::new("the same, next door", unprepared, silence).next_door(),
    Attack::new("1,000 guesses at once", unprepared, guesses),
    Attack::new(
        "1,000 guesses at as many names, next door",
        unprepared,
        names,
    )
    .next_door(),
    Attack::new("12 MB at once for a slow reader", unprepared, burst),
    Attack::new("4 senders as fast as they can", unprepared, flood),
];

fn unprepared(_ground: &Ground) -> Outcome<()> {
    Ok(())
}

fn nothing(_ground: &Ground) -> Outcome<()> {
    std::thread::sleep(SECONDS);
    Ok(())
}

/// Attackers leave the processor to the bystanders, who would else wait for it and not for the server.
fn attacker<T: Send + 'static>(
    attack: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> JoinHandle<io::Result<T>> {
    std::thread::spawn(move || {
        let _as_polite_as_may_be = rustix::process::nice(15);
        attack()
    })
}

fn joined<T>(attackers: Vec<JoinHandle<io::Result<T>>>) -> Outcome<Vec<T>> {
    let one = |attacker: JoinHandle<io::Result<T>>| -> Outcome<T> {
        Ok(attacker.join().map_err(|_| "an attacker gave up")??)
    };
    attackers.into_iter().map(one).collect()
}

/// Sends requests in one write, sleeps over it, then reads all answers.
fn ask_at_once(
    door: SocketAddr,
    account: &'static str,
    resource: String,
    requests: Vec<String>,
) -> JoinHandle<io::Result<()>> {
    attacker(move || {
        let mut peer = Peer::log_in(door, LAIR, account, &resource)?;
        peer.send(&requests.concat())?;
        std::thread::sleep(SECONDS / 2);
        for n in 0..requests.len() {
            peer.until(&format!("id='q{n}'"))?;
        }
        Ok(())
    })
}

fn requests(count: usize, one: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(one).collect()
}

fn roster_get(n: usize) -> String {
    format!("<iq type='get' id='q{n}'><query xmlns='jabber:iq:roster'/></iq>")
}

/// Until it is full.
fn fill_roster(ground: &Ground) -> Outcome<()> {
    let mut peer = Peer::log_in(ground.door, LAIR, "a0", "fill")?;
    let name = "&amp;".repeat(200);
    for n in 0..2100 {
        peer.send(&format!(
            "<iq type='set' id='s{n}'><query xmlns='jabber:iq:roster'><item jid='c{n}@localhost' name='{name}'/></query></iq>"
        ))?;
    }
    Ok(peer.until("id='s2099'")?)
}

fn rosters(ground: &Ground) -> Outcome<()> {
    let ask = |resource: &str| {
        ask_at_once(
            ground.door,
            "a0",
            resource.into(),
            requests(200, roster_get),
        )
    };
    joined(vec![ask("x"), ask("y")]).map(|_| ())
}

fn fill_archive(ground: &Ground) -> Outcome<()> {
    let mut peer = Peer::log_in(ground.door, LAIR, "a1", "fill")?;
    let body = "x".repeat(5000);
    for n in 0..250 {
        peer.send(&format!(
            "<message to='a1@localhost' type='chat' id='m{n}'><body>{body}</body></message>"
        ))?;
    }
    Ok(peer.ping(1)?)
}

fn pages(ground: &Ground) -> Outcome<()> {
    let page = |n| {
        format!(
            "<iq type='set' id='q{n}'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>250</max></set></query></iq>"
        )
    };
    let ask = ask_at_once(ground.door, "a1", "x".into(), requests(240, page));
    joined(vec![ask]).map(|_| ())
}

fn fill_private(ground: &Ground) -> Outcome<()> {
    let mut peer = Peer::log_in(ground.door, LAIR, "a2", "fill")?;
    let text = "x".repeat(125_000);
    peer.send(&format!("<iq type='set' id='p'><query xmlns='jabber:iq:private'><a xmlns='urn:a'>{text}</a></query></iq>"))?;
    peer.send(&format!(
        "<iq type='set' id='v'><vCard xmlns='vcard-temp'><NOTE>{text}</NOTE></vCard></iq>"
    ))?;
    for n in 0..8 {
        let items: String = (0..200)
            .map(|item| format!("<item jid='{}{n}-{item}@localhost'/>", "j".repeat(180)))
            .collect();
        peer.send(&format!(
            "<iq type='set' id='b{n}'><block xmlns='urn:xmpp:blocking'>{items}</block></iq>"
        ))?;
    }
    Ok(peer.until("id='b7'")?)
}

fn private(ground: &Ground) -> Outcome<()> {
    let payloads = [
        "<query xmlns='jabber:iq:private'><a xmlns='urn:a'/></query>",
        "<vCard xmlns='vcard-temp'/>",
        "<blocklist xmlns='urn:xmpp:blocking'/>",
    ];
    let ask = |(n, payload): (usize, &'static str)| {
        let get = move |n| format!("<iq type='get' id='q{n}'>{payload}</iq>");
        ask_at_once(ground.door, "a2", format!("x{n}"), requests(200, get))
    };
    joined(payloads.into_iter().enumerate().map(ask).collect()).map(|_| ())
}

fn deaf(ground: &Ground) -> Outcome<()> {
    let door = ground.door;
    let one = |n: usize| {
        attacker(move || {
            let mut peer = Peer::log_in(door, LAIR, "a0", &format!("d{n}"))?;
            peer.send(&requests(100, roster_get).concat())?;
            std::thread::sleep(SECONDS);
            Ok(())
        })
    };
    joined((0..15).map(one).collect()).map(|_| ())
}

/// Full lists to go through, places in an archive to count.
fn work(ground: &Ground) -> Outcome<()> {
    let one = |n: usize| {
        let request = move |q: usize| match q % 3 {
            0 => format!(
                "<iq type='set' id='q{q}'><query xmlns='jabber:iq:roster'><item jid='w{n}-{q}@localhost' name='{}'/></query></iq>",
                "n".repeat(q)
            ),
            1 => format!(
                "<iq type='set' id='q{q}'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set></query></iq>"
            ),
            _ => format!(
                "<iq type='set' id='q{q}'><unblock xmlns='urn:xmpp:blocking'><item jid='w{q}@localhost'/></unblock></iq>"
            ),
        };
        ask_at_once(ground.door, "a0", format!("w{n}"), requests(600, request))
    };
    joined((0..4).map(one).collect()).map(|_| ())
}

/// All sessions of one account hear of each other.
fn presences(ground: &Ground) -> Outcome<()> {
    let door = ground.door;
    let one = |n: usize| {
        attacker(move || {
            let mut peer = Peer::log_in(door, LAIR, "a3", &format!("p{n}"))?;
            let status = "x".repeat(9_000);
            let presence = format!("<presence><status>{status}</status></presence>");
            let until = Instant::now() + SECONDS;
            let mut round = 0;
            while Instant::now() < until {
                peer.send(&presence)?;
                round += 1;
                peer.ping(round)?;
            }
            Ok(())
        })
    };
    joined((0..16).map(one).collect()).map(|_| ())
}

fn key_updates(ground: &Ground) -> Outcome<()> {
    let door = ground.door;
    let one = |_| {
        attacker(move || {
            let until = Instant::now() + SECONDS;
            while Instant::now() < until {
                let mut peer = Peer::open(door, LAIR)?;
                peer.send_header()?;
                peer.until("</stream:features>")?;
                // The server ends it at some point.
                for n in 0..10_000 {
                    let updated = peer.tls.conn.refresh_traffic_keys();
                    if updated.is_err() || peer.tls.flush().is_err() || Instant::now() > until {
                        break;
                    }
                    if n % 30 == 29 && peer.send(" ").is_err() {
                        break;
                    }
                }
            }
            Ok(())
        })
    };
    joined((0..4).map(one).collect()).map(|_| ())
}

fn halves(ground: &Ground) -> Outcome<()> {
    let (door, open) = (ground.door, ground.plain);
    let mut record = vec![22, 3, 1, 0x40, 0];
    record.extend_from_slice(&[1, 0, 0x3f, 0xfc, 3, 3]);
    record.resize(16_000, 0);
    let mut element = b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><auth x='".to_vec();
    element.resize(16_000, b'x');
    let one = |n: u8| {
        let (record, element) = (record.clone(), element.clone());
        attacker(move || {
            let mut halves: Vec<TcpStream> = Vec::new();
            for _ in 0..250 {
                for (door, half) in [(door, &record), (open, &element)] {
                    let mut tcp = connect(door, LAIR + n)?;
                    // It may have been refused.
                    let _sent = tcp.write_all(half);
                    halves.push(tcp);
                }
            }
            std::thread::sleep(SECONDS);
            Ok(())
        })
    };
    joined((0..4).map(one).collect()).map(|_| ())
}

fn large_halves(ground: &Ground) -> Outcome<()> {
    let door = ground.door;
    let one = |n: usize| {
        attacker(move || {
            let mut peer = Peer::log_in(door, LAIR, "a3", &format!("h{n}"))?;
            peer.send(&format!(
                "<message to='a3@localhost'><body>{}",
                "x".repeat(500_000)
            ))?;
            std::thread::sleep(SECONDS);
            Ok(())
        })
    };
    joined((0..16).map(one).collect()).map(|_| ())
}

/// As many as the server has places for and some more; those who are sent away come again.
fn silence(ground: &Ground) -> Outcome<()> {
    let doors = [ground.door, ground.plain];
    let one = |n: usize| {
        attacker(move || {
            let mut silent: Vec<TcpStream> = Vec::new();
            let until = Instant::now() + SECONDS * 2;
            while Instant::now() < until && silent.len() < crate::CONNECTIONS_MAX {
                match connect(doors[n % 2], LAIR) {
                    Ok(tcp) => silent.push(tcp),
                    Err(_) => std::thread::sleep(Duration::from_millis(10)),
                }
            }
            std::thread::sleep(SECONDS / 2);
            Ok(())
        })
    };
    joined((0..2).map(one).collect()).map(|_| ())
}

/// Four accounts, again and again.
fn guesses(ground: &Ground) -> Outcome<()> {
    guess(ground, |_, k| format!("a{}", k % 4))
}

fn names(ground: &Ground) -> Outcome<()> {
    guess(ground, |n, k| format!("nobody{n}x{k}"))
}

fn guess(ground: &Ground, name: fn(usize, usize) -> String) -> Outcome<()> {
    let door = ground.door;
    let one = |n: usize| {
        attacker(move || {
            let mut peers = Vec::new();
            for k in 0..250 {
                let mut peer = Peer::open(door, LAIR)?;
                peer.send_header()?;
                peer.until("</stream:features>")?;
                peers.push((peer, k));
            }
            for (peer, k) in &mut peers {
                // Whoever is refused is gone.
                let _sent = peer.send(&plain(&name(n, *k), &format!("{n}-{k}")));
            }
            std::thread::sleep(SECONDS);
            Ok(())
        })
    };
    let attackers: Vec<_> = (0..4).map(one).collect();
    std::thread::sleep(SECONDS);
    let took = ground.operate(&["user", "add", "late"], "late")?;
    println!("    user add took {} ms meanwhile", took.as_millis());
    if took > Duration::from_secs(2) {
        return Err("the operator waited for strangers".into());
    }
    joined(attackers).map(|_| ())
}

/// Nothing is lost, and nobody is thrown off.
fn burst(ground: &Ground) -> Outcome<()> {
    const MESSAGES: usize = 3000;
    let door = ground.door;
    let mut slow = Peer::log_in(door, LAIR, "slow", "r")?;
    slow.send("<presence/>")?;
    slow.until("<presence")?;
    let sender = attacker(move || {
        let mut sender = Peer::log_in(door, LAIR, "a3", "burst")?;
        let body = "x".repeat(4000);
        for n in 0..MESSAGES {
            sender.send(&format!(
                "<message to='slow@localhost/r' type='chat' id='n{n}'><body>{body}</body><no-store xmlns='urn:xmpp:hints'/></message>"
            ))?;
        }
        sender.ping(1)
    });
    std::thread::sleep(SECONDS / 2);
    let mut buffer = vec![0; 32 << 10];
    let (mut bytes, mut pause) = (0, Instant::now());
    while bytes < MESSAGES * 4000 {
        match slow.tls.read(&mut buffer)? {
            0 => return Err("the slow reader was thrown off".into()),
            count => bytes += count,
        }
        if pause.elapsed() > Duration::from_millis(10) {
            std::thread::sleep(Duration::from_millis(30));
            pause = Instant::now();
        }
    }
    joined(vec![sender]).map(|_| ())
}

fn flood(ground: &Ground) -> Outcome<()> {
    let door = ground.door;
    let one = |n: usize| {
        let account = ["a0", "a1", "a2", "a3"][n % 4];
        attacker(move || {
            let mut peer = Peer::log_in(door, LAIR, account, "flood")?;
            peer.send("<presence/>")?;
            let message =
                format!("<message to='{account}@localhost' type='chat'><body>hi</body></message>");
            let until = Instant::now() + SECONDS;
            let mut round = 0;
            while Instant::now() < until {
                peer.send(&message.repeat(100))?;
                round += 1;
                peer.ping(round)?;
            }
            Ok(())
        })
    };
    joined((0..4).map(one).collect()).map(|_| ())
}
