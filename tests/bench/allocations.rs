//! Holds what the README says of allocations: a relayed message costs no more than so many, whatever the machine's load.
//! A binary of its own, because naming `counting` makes it the allocator of the whole program.

#[path = "micro/world.rs"]
mod world;

use world::{NO_STORE, ROMEO, World, message};

const BATCH: u64 = 64;
/// From the bytes a socket gave to the bytes for another, without the archive.
const RELAYED_MAX: u64 = 20;
/// The same, and in both archives; redb's own allocations for its pages are in it.
const ARCHIVED_MAX: u64 = 72;

/// Allocations of one message, of a batch, once all has reached its size.
fn allocations_of(hint: &str) -> u64 {
    let mut world = World::new();
    let stanza = message(hint);
    let mut batch = || {
        let stanzas = (0..BATCH).map(|_| stanza.as_bytes());
        let sent = world.batch(ROMEO, stanzas);
        assert!(sent > stanza.len() * 64, "not all was delivered");
    };
    for _ in 0..8 {
        batch();
    }
    let before = counting::allocations();
    batch();
    (counting::allocations() - before).div_ceil(BATCH)
}

#[test]
fn a_relayed_message_allocates_little() {
    let allocations = allocations_of(NO_STORE);
    assert!(
        allocations <= RELAYED_MAX,
        "{allocations} allocations, at most {RELAYED_MAX}"
    );
}

#[test]
fn an_archived_message_allocates_little() {
    let allocations = allocations_of("");
    assert!(
        allocations <= ARCHIVED_MAX,
        "{allocations} allocations, at most {ARCHIVED_MAX}"
    );
}
