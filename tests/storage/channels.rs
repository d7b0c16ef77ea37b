//! What accounts read of channels (beside `model`): the limit, and that coming and going leaves nothing behind.
use redb::backends::InMemoryBackend;
use stonechat::store::{
    AccountId, ArchiveId, ArchiveQuery, Direction, Owner, READINGS_MAX, Record, Store, Tx,
};
use stonechat::xmpp::{Jid, Timestamp};

const MEMBER: AccountId = AccountId(1);

fn say(tx: &mut Tx, channel: AccountId) -> ArchiveId {
    let owner = Owner {
        account: channel,
        direction: Direction::Received,
        unseen: false,
    };
    let from = Jid::parse(&format!("c{}@chat.localhost/p", channel.0)).unwrap();
    let record = Record {
        owners: &[owner],
        from: &from,
        to: &from.to_bare(),
        at: Timestamp(1),
        xml: "<message type='groupchat'/>",
        act: None,
    };
    tx.append(&record).unwrap().id
}

fn read(tx: &Tx, max: usize) -> Vec<ArchiveId> {
    let query = ArchiveQuery {
        max,
        ..ArchiveQuery::default()
    };
    let page = tx.page(MEMBER, &query).unwrap();
    page.stanzas.iter().map(|stored| stored.id).collect()
}

#[test]
fn what_ended_first_makes_room() {
    let store = Store::open_backend(InMemoryBackend::new(), 1 << 20).unwrap();
    let mut tx = store.begin();
    let channels: Vec<AccountId> = (0..READINGS_MAX + 5)
        .map(|n| AccountId(1000 + u32::try_from(n).unwrap()))
        .collect();
    let mut said = Vec::new();
    for (n, channel) in channels.iter().enumerate() {
        tx.begin_reading(MEMBER, *channel, ArchiveId(0)).unwrap();
        said.push(say(&mut tx, *channel));
        // The member stays in the first.
        if n > 0 {
            let next = tx.next_archive_id().unwrap();
            tx.end_reading(MEMBER, *channel, next).unwrap();
        }
        assert_eq!(say(&mut tx, *channel).0, said[n].0 + 1);
    }
    // The second of the first channel is read, of the others it is not.
    let mut expected: Vec<ArchiveId> = [said[0], ArchiveId(said[0].0 + 1)].into();
    expected.extend(&said[6..]);
    assert_eq!(read(&tx, usize::MAX), expected);
}

#[test]
fn coming_and_going_where_nothing_is_said_is_one_part() {
    let store = Store::open_backend(InMemoryBackend::new(), 1 << 20).unwrap();
    let mut tx = store.begin();
    let [kept, other] = [AccountId(7), AccountId(8)];
    tx.begin_reading(MEMBER, kept, ArchiveId(0)).unwrap();
    let first = say(&mut tx, kept);
    for _ in 0..2 * READINGS_MAX {
        for channel in [other, kept] {
            let next = tx.next_archive_id().unwrap();
            tx.end_reading(MEMBER, channel, next).unwrap();
            // Something is said elsewhere meanwhile.
            say(&mut tx, AccountId(9));
            let next = tx.next_archive_id().unwrap();
            tx.begin_reading(MEMBER, channel, next).unwrap();
        }
    }
    let last = say(&mut tx, other);
    assert_eq!(read(&tx, 10), [first, last], "neither made room");
}
