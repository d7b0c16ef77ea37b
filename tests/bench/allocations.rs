//! Holds what the README says of allocations: a relayed message costs no more than so many, whatever the machine's load.
//! A binary of its own, because naming `counting` makes it the allocator of the whole program.

#[path = "micro/world.rs"]
mod world;

use stonechat::server::Input;
use stonechat::state::ConnectionId;
use world::{BRIDGE, NO_STORE, ROMEO, World, message, message_between};

const BATCH: u64 = 64;
/// From the bytes a socket gave to the bytes for another, without the archive.
const RELAYED_MAX: u64 = 20;
/// The same, and in both archives; redb's own allocations for its pages are in it.
const ARCHIVED_MAX: u64 = 72;

/// What a session takes that is away and sleeps in the store, with all that is kept for its account.
const ASLEEP_BYTES_MAX: i64 = 1024;

/// What an occupant of a room takes beside the session.
const OCCUPANT_BYTES_MAX: i64 = 300;

/// Allocations of one message, of a batch, once all has reached its size.
fn allocations_of(hint: &str) -> u64 {
    allocations_of_each(ROMEO, &message(hint))
}

fn allocations_of_each(connection: ConnectionId, stanza: &str) -> u64 {
    let mut world = World::new();
    world.admit_bridge();
    let mut batch = || {
        let stanzas = (0..BATCH).map(|_| stanza.as_bytes());
        let sent = world.batch(connection, stanzas);
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

/// XEP-0114: what goes to a component and comes from one costs what it costs between people.
#[test]
fn a_message_of_a_component_allocates_as_little() {
    let to = message_between("to='nurse@bridge.localhost/r'", "");
    let from = message_between(
        "from='nurse@bridge.localhost/r' to='juliet@localhost/r'",
        "",
    );
    for (connection, stanza) in [(ROMEO, to), (BRIDGE, from)] {
        let allocations = allocations_of_each(connection, &stanza);
        assert!(allocations <= ARCHIVED_MAX, "{allocations} for {stanza}");
    }
}

/// What a server takes for sessions of the last run, all of them of accounts that have nobody else there.
#[test]
fn a_session_asleep_takes_little() {
    const SESSIONS: u32 = 2_000;
    let mut world = World::new();
    for connection in (10..10 + u64::from(SESSIONS)).map(ConnectionId) {
        world.log_in(connection, &format!("somebody{}", connection.0));
        for text in [
            "<enable xmlns='urn:xmpp:sm:3' resume='true' max='600'/>",
            "<presence><show>away</show><status>I am somewhere else, and this is why</status>\
             <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.org' \
             ver='aaaaaaaaaaaaaaaaaaaaaaaaaaa='/></presence>",
        ] {
            let bytes = text.as_bytes();
            world.one(Input::Bytes { connection, bytes });
        }
    }
    world.one(Input::Shutdown);
    // What the store caches is there when the second one starts.
    drop(world::server(&world.store));
    let before = counting::live_bytes();
    let server = world::server(&world.store);
    let each = (counting::live_bytes() - before) / i64::from(SESSIONS);
    assert_eq!(Ok(SESSIONS), server.state().sessions.len().try_into());
    println!("a session asleep takes {each} bytes");
    assert!(
        each <= ASLEEP_BYTES_MAX,
        "{each} bytes, at most {ASLEEP_BYTES_MAX}"
    );
}

/// What a room takes for each who is in it, beside the session: nick and presence as clients send them.
#[test]
fn an_occupant_takes_little() {
    const EARLY: u64 = 200;
    const ALL: u64 = 400;
    let mut world = World::new();
    for connection in (10..10 + ALL).map(ConnectionId) {
        world.log_in(connection, &format!("somebody{}", connection.0));
    }
    let enter = |world: &mut World, from: u64, to: u64| {
        for connection in (10 + from..10 + to).map(ConnectionId) {
            // Every other nick is compared as it is written.
            let first = if connection.0 % 2 == 0 { "S" } else { "s" };
            let presence = format!(
                "<presence to='room@chat.localhost/{first}omebody {}'><x xmlns='http://jabber.org/protocol/muc'>\
                 <history maxstanzas='0'/></x><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
                 node='https://example.org' ver='aaaaaaaaaaaaaaaaaaaaaaaaaaa='/></presence>",
                connection.0
            );
            let bytes = presence.as_bytes();
            let told = world.one(Input::Bytes { connection, bytes });
            let told = String::from_utf8_lossy(&told);
            assert!(told.contains("code='110'"), "{told}");
        }
        counting::live_bytes()
    };
    enter(&mut world, 0, 1);
    let instant = "<iq type='set' id='i' to='room@chat.localhost'><query xmlns='http://jabber.org/protocol/muc#owner'>\
                   <x xmlns='jabber:x:data' type='submit'/></query></iq>";
    world.one(Input::Bytes {
        connection: ConnectionId(10),
        bytes: instant.as_bytes(),
    });
    let before = enter(&mut world, 1, EARLY);
    let after = enter(&mut world, EARLY, ALL);
    let each = (after - before) / (ALL - EARLY).cast_signed();
    println!("an occupant takes {each} bytes");
    assert!(
        each <= OCCUPANT_BYTES_MAX,
        "{each} bytes, at most {OCCUPANT_BYTES_MAX}"
    );
}
