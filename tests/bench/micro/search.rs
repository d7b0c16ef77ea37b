//! XEP-0431: what looking for words takes in archives of up to a million messages, what the index of words adds to a message, and
//! how large it is. Texts are of words that are as frequent as words are (Zipf), 4 to 16 of them.
use std::time::Instant;

use stonechat::store::{AccountId, ArchiveQuery, Direction, Owner, Record, Store, Tx};
use stonechat::xmpp::words::Wanted;
use stonechat::xmpp::{Jid, Timestamp};

const SIZES: [u64; 3] = [1_000, 100_000, 1_000_000];
const BATCH: u64 = 64;
/// As the server has it if nobody says otherwise.
const CACHE_BYTES: usize = 256 << 10;
const WORDS: u64 = 30_000;
/// One message of so many has the rare word.
const RARE_SHARE: u64 = 50_000;
const ROUNDS: u32 = 30;
const PAGE: usize = 50;

/// `sizes`: how many of them.
pub fn search(sizes: usize) {
    let sizes = SIZES.get(..sizes).unwrap_or(&SIZES);
    let last = sizes.last().copied().unwrap_or(0);
    let path = std::env::temp_dir().join(format!("stonechat-search-{}", std::process::id()));
    let without = fill_time(&path, (0, last.min(100_000)), false);
    let mut filled = 0;
    let store = open(&path);
    for size in sizes {
        let with = fill(&store, (filled, *size), true);
        if *size == last.min(100_000) {
            println!(
                "{:44} {with:>10.2} µs, without {without:.2}",
                "a message in two archives"
            );
        }
        filled = *size;
        let bytes = store.begin().search_bytes().expect("its size");
        println!(
            "{:44} {:>10.1} bytes a message and archive",
            format!("index of words of {size}"),
            bytes as f64 / 2.0 / *size as f64
        );
        looks(&store, *size);
    }
    drop(store);
    remove(&path);
}

fn looks(store: &Store, size: u64) {
    let with = Some(Jid::parse("nurse@localhost").expect("a JID"));
    let whole = |words| (words, None);
    for (name, (words, with)) in [
        ("common word", whole("w0x")),
        ("rare word", whole("rarest")),
        ("absent word", whole("absent")),
        ("beginning of a word", whole("w12")),
        ("two words", whole("w1x w2x")),
        ("common and absent", whole("w0x absent")),
        ("common, with who is rarely there", ("w0x", with)),
    ] {
        for backward in [true, false] {
            let query = ArchiveQuery {
                words: Some(Wanted::parse(words).expect("words")),
                with: with.clone(),
                backward,
                max: PAGE,
                ..ArchiveQuery::default()
            };
            let (mut best, mut worst) = (f64::INFINITY, 0_f64);
            let mut found = 0;
            for _ in 0..ROUNDS {
                let begun = Instant::now();
                let page = store.begin().page(AccountId(2), &query).expect("a page");
                let ms = begun.elapsed().as_secs_f64() * 1e3;
                assert!(page.reached.is_none(), "{name}: one look was not enough");
                (best, worst) = (best.min(ms), worst.max(ms));
                found = page.stanzas.len();
            }
            let order = if backward { "latest" } else { "oldest" };
            let name = format!("{name}, {order}, of {size}");
            println!("{name:44} {best:>10.3} ms, worst {worst:.3}, found {found}");
        }
    }
}

pub fn open(path: &std::path::Path) -> Store {
    Store::open(path, CACHE_BYTES).expect("a store")
}

pub fn remove(path: &std::path::Path) {
    for end in ["", ".journal", ".redb.reserve"] {
        let _none = std::fs::remove_file(format!("{}{end}", path.display()));
    }
}

fn fill_time(path: &std::path::Path, range: (u64, u64), is_indexed: bool) -> f64 {
    let store = open(path);
    let time = fill(&store, range, is_indexed);
    drop(store);
    remove(path);
    time
}

/// Microseconds a message.
fn fill(store: &Store, (from, to): (u64, u64), is_indexed: bool) -> f64 {
    let jid = |text: &str| Jid::parse(text).expect("a JID");
    let (romeo, nurse, juliet) = (
        jid("romeo@localhost/orchard"),
        jid("nurse@localhost/hall"),
        jid("juliet@localhost"),
    );
    let owner = |account, direction| Owner {
        account: AccountId(account),
        direction,
        unseen: false,
    };
    let owners = [owner(1, Direction::Sent), owner(2, Direction::Received)];
    let write = |work: &mut dyn FnMut(&mut Tx)| {
        let mut tx = store.begin();
        work(&mut tx);
        if let Some(commit) = tx.finish() {
            commit.run().expect("a commit");
        }
    };
    write(&mut |tx| while tx.index_words_step(is_indexed, 100).expect("a step") {});
    let mut random = from + 7;
    let begun = cpu_seconds();
    for first in (from..to).step_by(usize::try_from(BATCH).expect("small")) {
        write(&mut |tx| {
            for n in first..(first + BATCH).min(to) {
                let sender = if n % 10_000 == 9 { &nurse } else { &romeo };
                let xml = message(n, sender, &mut random);
                tx.append(&Record {
                    owners: &owners,
                    from: sender,
                    to: &juliet,
                    at: Timestamp(1_790_000_000_000 + n.cast_signed()),
                    xml: &xml,
                    act: None,
                })
                .expect("a message");
            }
            tx.checkpoint_if_due().expect("a checkpoint");
        });
    }
    write(&mut |tx| tx.checkpoint().expect("a checkpoint"));
    (cpu_seconds() - begun) * 1e6 / (to - from) as f64
}

fn message(n: u64, sender: &Jid, random: &mut u64) -> String {
    let mut next = || {
        *random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*random >> 33) as f64 / (1u64 << 31) as f64
    };
    let count = 4 + (next() * 13.0) as u64;
    let mut text = String::new();
    for _ in 0..count {
        // About as frequent as its place in their order says.
        let place = (WORDS as f64).powf(next()) as u64 - 1;
        text.push_str(&format!("w{place}x "));
    }
    if n % RARE_SHARE == RARE_SHARE / 2 {
        text.push_str("Rarest");
    }
    format!(
        "<message xmlns='jabber:client' from='{sender}' to='juliet@localhost' id='{n:032x}' type='chat'><body>{text}</body>\
         <request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>\
         <origin-id xmlns='urn:xmpp:sid:0' id='{n:032x}'/></message>"
    )
}

/// Of this process.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("its time");
    let nanos = text.split(' ').next().expect("a number");
    nanos.parse::<f64>().expect("a number") / 1e9
}
