//! Those who have nothing to do with it: somebody who is logged in and asks for a sign of life again and again, and somebody
//! who logs in again and again from an address of his own. How long they wait.
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::peer::Peer;

/// Where bystanders live, if not next door to the attackers.
pub const HOME: u8 = 200;
const PING_PAUSE: Duration = Duration::from_millis(2);
const LOGIN_PAUSE: Duration = Duration::from_millis(10);

type Waits = io::Result<Vec<Duration>>;

pub struct Bystanders {
    over: Arc<AtomicBool>,
    member: JoinHandle<Waits>,
    newcomer: JoinHandle<Waits>,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waited {
    pub count: usize,
    pub p50: f64,
    pub p99: f64,
    pub most: f64,
}

impl Bystanders {
    pub fn watch((door, home): (SocketAddr, u8), account: &'static str) -> Outcome<Bystanders> {
        let mut member = Peer::log_in(door, home, account, "member")?;
        let over = Arc::new(AtomicBool::new(false));
        let until_over =
            |pause: Duration, mut wait: Box<dyn FnMut(u64) -> io::Result<()> + Send>| {
                let over = Arc::clone(&over);
                std::thread::spawn(move || {
                    let mut waits = Vec::new();
                    let mut n = 0;
                    while !over.load(Ordering::Relaxed) {
                        let start = Instant::now();
                        n += 1;
                        wait(n)?;
                        waits.push(start.elapsed());
                        std::thread::sleep(pause);
                    }
                    Ok(waits)
                })
            };
        let newcomer =
            Box::new(move |n| Peer::log_in(door, home, account, &format!("n{n}")).map(drop));
        let newcomer = until_over(LOGIN_PAUSE, newcomer);
        let member = until_over(PING_PAUSE, Box::new(move |n| member.ping(n)));
        Ok(Bystanders {
            over,
            member,
            newcomer,
        })
    }

    /// What the member waited, and the newcomer.
    pub fn end(self) -> Outcome<[Waited; 2]> {
        self.over.store(true, Ordering::Relaxed);
        let [member, newcomer] = [self.member, self.newcomer].map(JoinHandle::join);
        let told = |waits: std::thread::Result<Waits>| -> Outcome<Waited> {
            let waits = waits.map_err(|_| "a bystander gave up")?;
            Ok(Waited::of(waits.map_err(|error| {
                format!("a bystander was thrown out: {error}")
            })?))
        };
        Ok([told(member)?, told(newcomer)?])
    }
}

impl Waited {
    fn of(mut waits: Vec<Duration>) -> Waited {
        waits.sort_unstable();
        let at = |share: f64| {
            let last = waits.len().saturating_sub(1);
            let wait = waits.get((share * last as f64).round() as usize);
            wait.map_or(0.0, |wait| wait.as_secs_f64() * 1000.0)
        };
        Waited {
            count: waits.len(),
            p50: at(0.5),
            p99: at(0.99),
            most: at(1.0),
        }
    }
}
