//! Nodes, items and who has to do with them.
use stonechat::store::{
    Affiliation, ConfigRow, Item, NodeOwner, NodeRow, NodeSubscription, Related, Span, Store,
    SubscriptionState, Tx,
};
use stonechat::xmpp::Timestamp;

use super::disk::Disk;
use super::{CACHE_BYTES, Folder, open, write};

const OWNER: NodeOwner = NodeOwner(7);

fn node(tx: &mut Tx, owner: NodeOwner, name: &str) -> NodeRow {
    let about = (ConfigRow::default(), Timestamp(1));
    tx.add_node(owner, name, "a@b", about).unwrap()
}

fn item(id: &str, payload: &str) -> Item {
    Item {
        id: id.into(),
        publisher: "a@b/c".into(),
        at: Timestamp(2),
        born: 0,
        payload: payload.into(),
    }
}

fn put(tx: &mut Tx, node: &mut NodeRow, ids: &[&str]) {
    for id in ids {
        tx.put_item(node, &item(id, "<x xmlns='n'/>")).unwrap();
    }
    tx.set_node(node).unwrap();
}

fn ids(tx: &Tx, node: &NodeRow, span: Span, how: (bool, usize)) -> Vec<String> {
    let items = tx.items_in(node, span, how).unwrap();
    items.into_iter().map(|(_, item)| item.id.into()).collect()
}

const WHOLE: Span = Span {
    after: None,
    before: None,
};

#[test]
fn an_item_that_is_published_again_comes_last() {
    let store = open(&Disk::default());
    write(&store, |tx| {
        let mut n = node(tx, OWNER, "n");
        put(tx, &mut n, &["1", "2", "3", "1"]);
        Ok(())
    });
    let tx = store.begin();
    let n = tx.node(OWNER, "n").unwrap().unwrap();
    assert_eq!(n.items, 3);
    assert_eq!(ids(&tx, &n, WHOLE, (false, 9)), ["2", "3", "1"]);
    assert_eq!(ids(&tx, &n, WHOLE, (true, 2)), ["1", "3"]);
    let place = tx.item_place(&n, "3").unwrap();
    let [after, before] =
        [(place, None), (None, place)].map(|(after, before)| Span { after, before });
    assert_eq!(ids(&tx, &n, after, (false, 9)), ["1"]);
    assert_eq!(ids(&tx, &n, before, (true, 9)), ["2"]);
    assert_eq!(tx.last_item(&n).unwrap().unwrap().id, "1".into());
    assert_eq!(tx.item(&n, "4").unwrap(), None);
    assert_eq!(tx.owned(OWNER).unwrap().bytes, n.bytes);
}

/// The row, its neighbours in key order, and the end of all keys.
#[test]
fn owners_have_their_own() {
    let store = open(&Disk::default());
    let owners = [NodeOwner(6), OWNER, NodeOwner(8), NodeOwner::SERVICE];
    write(&store, |tx| {
        for owner in owners {
            for name in ["a", "b", "b/c"] {
                let mut n = node(tx, owner, name);
                put(tx, &mut n, &["1"]);
            }
        }
        Ok(())
    });
    let tx = store.begin();
    for owner in owners {
        let names = |behind, max| -> Vec<String> {
            let nodes = tx.nodes_behind(owner, behind, max).unwrap();
            nodes.into_iter().map(|node| node.name.into()).collect()
        };
        assert_eq!(names("", 9), ["a", "b", "b/c"]);
        assert_eq!(names("a", 1), ["b"]);
        assert_eq!(tx.owned(owner).unwrap().nodes, 3);
    }
}

#[test]
fn what_somebody_has_to_do_with_nodes_is_found_from_both_sides() {
    let store = open(&Disk::default());
    let subscription = |jid: &str, state| NodeSubscription {
        jid: jid.into(),
        state,
        subid: "s".into(),
        options: vec![(0, 1)],
    };
    let related = Related {
        affiliation: Affiliation::Publisher,
        subscriptions: vec![
            subscription("r@b", SubscriptionState::Subscribed),
            subscription("r@b/x", SubscriptionState::Pending),
        ],
    };
    write(&store, |tx| {
        for owner in [OWNER, NodeOwner::SERVICE] {
            let mut n = node(tx, owner, "n");
            tx.set_related(&mut n, "r@b", &related)?;
            tx.set_related(&mut n, "r@bb", &related)?;
            tx.set_node(&mut n)?;
        }
        let _ = node(tx, NodeOwner(8), "n");
        Ok(())
    });
    let mut tx = store.begin();
    let mut n = tx.node(OWNER, "n").unwrap().unwrap();
    assert_eq!((n.subscribed, n.pending, n.affiliated), (2, 2, 2));
    assert_eq!(tx.related(&n, "r@b").unwrap(), related);
    assert_eq!(tx.related(&n, "r").unwrap(), Related::default());
    assert_eq!(tx.related_behind(&n, "r@b", 9).unwrap().len(), 1);
    assert_eq!(tx.related_nodes(OWNER, "r@b").unwrap(), ["n".into()]);
    assert_eq!(
        tx.related_owners("r@b").unwrap(),
        [OWNER, NodeOwner::SERVICE]
    );
    tx.set_related(&mut n, "r@b", &Related::default()).unwrap();
    assert_eq!((n.subscribed, n.pending, n.affiliated), (1, 1, 1));
    assert_eq!(tx.related_owners("r@b").unwrap(), [NodeOwner::SERVICE]);
}

/// Steps until nothing is left; tells how many.
fn swept(store: &Store) -> usize {
    let mut steps = 0;
    while write(store, |tx| {
        let more = tx.remove_gone_step(50)?;
        // A batch that writes nothing is none.
        tx.note_time(Timestamp(i64::from(u32::MAX) * (2 + steps as i64)))?;
        Ok(more)
    }) {
        steps += 1;
    }
    steps
}

#[test]
fn what_a_node_leaves_is_not_seen_and_goes_in_small_steps() {
    let store = open(&Disk::default());
    let many: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    write(&store, |tx| {
        let mut n = node(tx, OWNER, "n");
        put(tx, &mut n, &many);
        let member = Related {
            affiliation: Affiliation::Member,
            ..Related::default()
        };
        for jid in &many {
            tx.set_related(&mut n, jid, &member)?;
        }
        tx.purge_node(&mut n)?;
        put(tx, &mut n, &["new"]);
        tx.purge_node(&mut n)?;
        put(tx, &mut n, &["newer"]);
        Ok(())
    });
    let n = store.begin().node(OWNER, "n").unwrap().unwrap();
    assert_eq!(ids(&store.begin(), &n, WHOLE, (false, 9)), ["newer"]);
    assert!(swept(&store) >= 20);
    let tx = store.begin();
    assert_eq!(ids(&tx, &n, WHOLE, (false, 9)), ["newer"]);
    assert_eq!(tx.related_behind(&n, "", 900).unwrap().len(), 500);
    drop(tx);
    write(&store, |tx| tx.remove_node(&n));
    write(&store, |tx| {
        let again = node(tx, OWNER, "n");
        assert!(again.number > n.contents, "numbers are not given again");
        assert_eq!(ids(tx, &again, WHOLE, (false, 9)), [""; 0]);
        assert_eq!(tx.related_behind(&again, "", 9)?, []);
        Ok(())
    });
    assert!(swept(&store) >= 10);
    let tx = store.begin();
    assert_eq!(ids(&tx, &n, WHOLE, (false, 9)), [""; 0]);
    assert_eq!(tx.related_nodes(OWNER, "1").unwrap(), []);
    assert_eq!(
        (
            tx.owned(OWNER).unwrap().nodes,
            tx.owned(OWNER).unwrap().bytes
        ),
        (1, 0)
    );
}

#[test]
fn nothing_of_a_deleted_account_stays() {
    let store = open(&Disk::default());
    let owner = write(&store, |tx| {
        let credentials = stonechat::stream::sasl::new_credentials("x", [1; 16], 1);
        let id = tx.add_account("a", &credentials, Timestamp(1))?.unwrap();
        let owner = NodeOwner::from(id);
        for (whose, name) in [(owner, "n"), (NodeOwner(owner.0 + 1), "n")] {
            let mut n = node(tx, whose, name);
            put(tx, &mut n, &["1", "2", "3"]);
            let member = Related {
                affiliation: Affiliation::Member,
                ..Related::default()
            };
            tx.set_related(&mut n, "m@b", &member)?;
            tx.set_node(&mut n)?;
        }
        tx.delete_account("a")?;
        Ok(owner)
    });
    let tx = store.begin();
    assert_eq!(tx.node(owner, "n").unwrap(), None);
    assert_eq!(tx.owned(owner).unwrap(), Default::default());
    drop(tx);
    while write(&store, |tx| tx.purge_step(2)) {}
    assert_eq!(
        store.begin().related_owners("m@b").unwrap(),
        [NodeOwner(owner.0 + 1)]
    );
}

/// As version 5 left it: without these tables.
#[test]
fn a_file_of_the_version_before_gets_the_tables() {
    let folder = Folder::new("pubsub-upgrade");
    let path = folder.file();
    drop(Store::open(&path, CACHE_BYTES).unwrap());
    super::upgrade::age_file(
        &path,
        5,
        &[
            "pubsub_owners",
            "pubsub_nodes",
            "pubsub_items",
            "pubsub_item_ids",
            "pubsub_related",
            "pubsub_related_by",
            "pubsub_gone",
        ],
    );
    let store = Store::open(&path, CACHE_BYTES).unwrap();
    let mut tx = store.begin();
    assert_eq!(tx.node(OWNER, "n").unwrap(), None);
    let mut n = node(&mut tx, OWNER, "n");
    put(&mut tx, &mut n, &["1"]);
    assert_eq!(ids(&tx, &n, WHOLE, (false, 9)), ["1"]);
}
