//! Whatever happens to three clients and their server, connections lost with and without notice, resumptions, stops,
//! crashes, naps: every message arrives, once, in order. Seeds are fixed; `STONECHAT_SEEDS=500` tries more, and
//! `STONECHAT_SEED=7` one of them.
mod peer;
mod world;

use crate::transcript::prng::Prng;
use world::World;

const SEEDS: u64 = 30;
const ACTIONS: usize = 120;

/// Everything comes to its account's only client, in order.
#[test]
fn of_three_accounts() {
    for_each_seed(["romeo/r", "juliet/r", "nurse/r"]);
}

/// Everything comes to one of the account's clients at least, and to none twice.
#[test]
fn two_of_one_account() {
    for_each_seed(["romeo/phone", "romeo/desk", "juliet/r"]);
}

fn for_each_seed(clients: [&'static str; 3]) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    if let Some(seed) = number("STONECHAT_SEED") {
        return run(clients, seed);
    }
    for seed in 0..number("STONECHAT_SEEDS").unwrap_or(SEEDS) {
        run(clients, seed);
    }
}

/// Says on a failure which seed it was and what had happened.
struct Told(u64, std::rc::Rc<std::cell::RefCell<Vec<String>>>);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.1.borrow().join("\n"));
            eprintln!("STONECHAT_SEED={} cargo test survival", self.0);
        }
    }
}

fn run(clients: [&'static str; 3], seed: u64) {
    let mut prng = Prng(seed);
    let mut world = World::new(clients);
    let _told = Told(seed, world.log.clone());
    for _ in 0..ACTIONS {
        world.act(&mut prng);
    }
    world.come_together();
}
