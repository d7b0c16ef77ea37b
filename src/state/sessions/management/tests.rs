use super::*;
use crate::store::{Body, Kept};
use crate::xmpp::Timestamp;

fn whole(bytes: &[u8]) -> QueueRow {
    QueueRow::Whole {
        stanza: Kept::from(Box::from(bytes)),
        at: Timestamp(0),
        shared: false,
    }
}

fn archived(id: u64, form: Form) -> QueueRow {
    QueueRow::Archived {
        id: ArchiveId(id),
        form: form.code(),
    }
}

#[test]
fn counters_wrap() {
    let mut management = Management::restore("id", 600, (0, u32::MAX - 1), (0..0, 0));
    for _ in 0..4 {
        management.sent(whole(b"<message/>"), 10);
    }
    assert_eq!(management.sent_count(), 2);
    assert!(management.acknowledge(u32::MAX).is_ok());
    assert_eq!(management.unacknowledged(), 3);
    assert!(management.acknowledge(1).is_ok());
    assert_eq!(management.unacknowledged(), 1);
    assert_eq!(management.acknowledge(3), Err(TooHigh { h: 3, sent: 2 }));
    assert!(
        management.acknowledge(1).is_ok(),
        "an acknowledgement may be repeated"
    );
    assert_eq!(management.queue_bytes(), size_of::<QueueRow>() + 10);
}

#[test]
fn acknowledgements_reach_from_the_store_into_memory() {
    let mut management = Management::default();
    (0..3).for_each(|n| {
        management.sent(archived(n, Form::Direct), 10);
    });
    let (from, rows) = management.take_queue();
    assert_eq!((from, rows.len()), (0, 3));
    management.sent(archived(3, Form::Direct), 10);
    management.sent(archived(4, Form::Sent), 10);
    assert_eq!(management.unacknowledged(), 5);
    let acknowledged = management.acknowledge(2).unwrap();
    assert_eq!((acknowledged.stored, management.stored()), (0..2, 2..3));
    let acknowledged = management.acknowledge(5).unwrap();
    assert_eq!(acknowledged.stored, 2..3);
    assert_eq!(acknowledged.received, [ArchiveId(3)]);
    assert_eq!(
        (management.unacknowledged(), management.queue_bytes()),
        (0, 0)
    );
}

#[test]
fn asks_rarely_and_by_bytes() {
    let mut management = Management::default();
    let asked = (0..320)
        .filter(|_| management.sent(whole(b"<message/>"), 10))
        .count();
    assert_eq!(asked, 10);
    let mut management = Management::default();
    assert!(management.sent(whole(b"x"), ASK_AFTER_BYTES));
}

#[test]
fn what_is_shared_counts_towards_limits_and_is_nobodys_own() {
    let counter = Rc::default();
    let body = Rc::new(Body::new(&[0; 1000], &counter));
    let mut queues = [Management::default(), Management::default()];
    for queue in &mut queues {
        let body = Some(Rc::clone(&body));
        let head = Box::from(*b"<message to='a'");
        let row = QueueRow::Whole {
            stanza: Kept { head, body },
            at: Timestamp(0),
            shared: true,
        };
        queue.sent(row, 1015);
        let own = size_of::<QueueRow>() + 15;
        assert_eq!((queue.queue_bytes(), queue.own_bytes()), (own + 1000, own));
    }
    drop(body);
    assert_eq!(counter.get(), 1000);
    queues[0].acknowledge(1).unwrap();
    assert_eq!((queues[0].own_bytes(), counter.get()), (0, 1000));
    queues[1].take_queue();
    assert_eq!((queues[1].own_bytes(), counter.get()), (0, 0));
}

#[test]
fn a_stanza_of_the_archive_takes_little() {
    assert!(size_of::<QueueRow>() <= 40, "{}", size_of::<QueueRow>());
    assert!(
        size_of::<Management>() <= 144,
        "{}",
        size_of::<Management>()
    );
}
