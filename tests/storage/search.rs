//! Words: what is in no index any more, what a file of the version before gets, and how far one look goes.
use std::collections::BTreeSet;
use std::path::Path;

use stonechat::store::{
    AccountId, ArchiveId, ArchivePage, ArchiveQuery, Owner, Record, Store, Tx, restore,
    write_backup,
};
use stonechat::xmpp::words::Wanted;
use stonechat::xmpp::{Jid, Timestamp};

use super::upgrade::age_file;
use super::{CACHE_BYTES, Direction, Folder, LATE, OWNERS, write};

const ROMEO: AccountId = AccountId(1);
const JULIET: AccountId = AccountId(2);

fn open(path: &Path) -> Store {
    Store::open(path, CACHE_BYTES).unwrap()
}

pub fn say_to(tx: &mut Tx, owners: &[Owner], text: &str) -> ArchiveId {
    let jid = |name| Jid::parse(name).unwrap();
    let (from, to) = (jid("romeo@localhost/r"), jid("juliet@localhost"));
    let xml = format!("<message type='chat'><body>{text}</body></message>");
    let record = Record {
        owners,
        from: &from,
        to: &to,
        at: Timestamp(1),
        xml: &xml,
        act: None,
    };
    tx.append(&record).unwrap().id
}

fn say(tx: &mut Tx, text: &str) -> ArchiveId {
    say_to(tx, &OWNERS, text)
}

fn query(words: &str) -> ArchiveQuery {
    ArchiveQuery {
        words: Some(Wanted::parse(words).unwrap()),
        max: 10,
        ..ArchiveQuery::default()
    }
}

fn look(store: &Store, account: AccountId, query: &ArchiveQuery) -> ArchivePage {
    store.begin().page(account, query).unwrap()
}

/// All that has the words, a look after the other.
pub fn found(
    store: &Store,
    account: AccountId,
    words: &str,
    backward: bool,
) -> (Vec<ArchiveId>, usize) {
    let mut query = ArchiveQuery {
        backward,
        ..query(words)
    };
    let (mut found, mut looks) = (Vec::new(), 0);
    loop {
        let page = look(store, account, &query);
        looks += 1;
        let mut ids: Vec<ArchiveId> = page.stanzas.iter().map(|stored| stored.id).collect();
        if backward {
            ids.reverse();
        }
        found.extend(&ids);
        if page.complete {
            return (found, looks);
        }
        let place = page.reached.or(ids.last().copied());
        assert!(place.is_some(), "a look that came nowhere");
        match backward {
            true => query.page_before = place,
            false => query.page_after = place,
        }
    }
}

fn ids_of(store: &Store, words: &str) -> Vec<ArchiveId> {
    let (found, _) = self::found(store, ROMEO, words, false);
    let (mut back, _) = self::found(store, ROMEO, words, true);
    back.reverse();
    assert_eq!(found, back);
    found
}

/// What the file holds of words, in whatever row: the terms of blocks are written from where they differ, the first whole.
fn rows_of_search(path: &Path) -> Vec<Vec<u8>> {
    use redb::{ReadableDatabase, ReadableTable};
    let database = redb::Database::open(path).unwrap();
    let txn = database.begin_read().unwrap();
    let table = redb::TableDefinition::<&[u8], &[u8]>::new("search");
    let table = txn.open_table(table).unwrap();
    let rows = table.iter().unwrap();
    rows.map(|row| {
        let (key, value) = row.unwrap();
        [key.value(), value.value()].concat()
    })
    .collect()
}

fn is_written(path: &Path, word: &str) -> bool {
    let rows = rows_of_search(path);
    let is_in = |row: &Vec<u8>| row.windows(word.len()).any(|part| part == word.as_bytes());
    rows.iter().any(is_in)
}

#[test]
fn words_taken_back_are_in_no_row_of_the_index() {
    let folder = Folder::new("search-retracted");
    let path = folder.file();
    let store = open(&path);
    let secret = write(&store, |tx| {
        say(tx, "qqsecret and zzhidden");
        let id = say(tx, "xysecret zahidden");
        say(tx, "other words");
        tx.checkpoint()?;
        tx.rewrite_stanza(ArchiveId(1), "<message/>")?;
        Ok(id)
    });
    assert_eq!(ids_of(&store, "xysecret zahidden"), [secret]);
    drop(store);
    assert!(is_written(&path, "xysecret") && is_written(&path, "other"));
    assert!(!is_written(&path, "qqsecret") && !is_written(&path, "zzhidden"));
    let store = open(&path);
    write(&store, |tx| {
        let gone = "<message><retracted xmlns='urn:xmpp:message-retract:1'/></message>";
        tx.rewrite_stanza(secret, gone)
    });
    assert_eq!(ids_of(&store, "xysecret"), []);
    assert_eq!(ids_of(&store, "words").len(), 1);
    drop(store);
    assert!(!is_written(&path, "xysecret") && !is_written(&path, "zahidden"));
    assert!(is_written(&path, "other"));
}

/// Segments become one while words are to leave the later one: they leave what it became.
#[test]
fn words_that_are_to_leave_leave_a_segment_that_was_joined() {
    let folder = Folder::new("search-joined");
    let path = folder.file();
    let store = open(&path);
    let say_all = |words: &[&str]| {
        write(&store, |tx| {
            for word in words {
                say(tx, word);
            }
            tx.checkpoint()
        });
    };
    // Four of about one size become one.
    say_all(&["early"; 4]);
    say_all(&["xqgone", "later", "later"]);
    let before = Some(ArchiveId(4));
    for account in [ROMEO, JULIET] {
        write(&store, |tx| tx.prune_archive(account, LATE, (before, 1)));
    }
    say_all(&["fresh"; 4]);
    say_all(&["yonder"; 4]);
    write(&store, |tx| {
        while tx.forget_words_step()? {}
        Ok(())
    });
    assert_eq!(ids_of(&store, "later").len(), 2);
    drop(store);
    assert!(is_written(&path, "yonder") && !is_written(&path, "xqgone"));
}

#[test]
fn words_of_what_was_removed_are_in_no_row_of_the_index() {
    let folder = Folder::new("search-removed");
    let path = folder.file();
    let store = open(&path);
    write(&store, |tx| {
        for n in 0..500 {
            say(tx, &format!("numberxq{n} of many"));
        }
        // Also for others than those that it is removed from.
        tx.prune_archive(ROMEO, LATE, (None, 100)).map(drop)
    });
    write(&store, |tx| tx.prune_aged(LATE, 50));
    assert_eq!(ids_of(&store, "numberxq99"), []);
    let (of_juliet, _) = found(&store, JULIET, "numberxq99", false);
    assert_eq!(of_juliet, [ArchiveId(100)]);
    assert_eq!(ids_of(&store, "numberxq250"), [ArchiveId(251)]);
    write(&store, |tx| {
        while tx.forget_words_step()? {}
        Ok(())
    });
    drop(store);
    let rows = rows_of_search(&path);
    let of = |account: u32| {
        let own = rows
            .iter()
            .filter(move |row| row[..4] == account.to_be_bytes());
        own.map(|row| row.len()).sum::<usize>()
    };
    assert!(of(1) < of(2), "{} {}", of(1), of(2));
    let store = open(&path);
    write(&store, |tx| {
        let mut after = None;
        loop {
            let step = tx.prune_archive(JULIET, LATE, (after, 200))?;
            after = step.next;
            if after.is_none() {
                break;
            }
        }
        tx.prune_archive(ROMEO, LATE, (None, 1000))
    });
    write(&store, |tx| {
        while tx.forget_words_step()? {}
        Ok(())
    });
    assert_eq!(store.begin().search_bytes().unwrap(), 0);
}

/// As version 13 left it: no word is indexed. It is done in steps, with kills between them, and nothing is missed meanwhile.
#[test]
fn words_of_version_13_are_indexed_in_steps() {
    let folder = Folder::new("upgrade-search");
    let path = folder.file();
    let store = open(&path);
    let mut expected = Vec::new();
    for batch in 0..5 {
        write(&store, |tx| {
            for n in 0..1000 {
                let id = say(
                    tx,
                    &format!("batch{batch} text{n} {}", if n == 7 { "Räre" } else { "" }),
                );
                expected.extend((n == 7).then_some(id));
            }
            tx.checkpoint()
        });
    }
    drop(store);
    age_file(&path, 13, &["search", "search_gone"]);
    let mut steps = 0;
    loop {
        let store = open(&path);
        write(&store, |tx| {
            expected.push(say(tx, "rare as well"));
            // In the middle of it there is a checkpoint.
            match steps {
                2 => tx.checkpoint(),
                _ => Ok(()),
            }
        });
        assert_eq!(ids_of(&store, "RARE"), expected);
        let mut tx = store.begin();
        let more = tx.index_words_step(true, 700).unwrap();
        if let Some(commit) = tx.finish() {
            commit.run().unwrap();
        }
        steps += 1;
        if !more {
            break;
        }
    }
    assert!(steps > 4, "{steps}");
    let store = open(&path);
    assert_eq!(ids_of(&store, "rare"), expected);
    // Turned off, it goes; turned on, it comes again.
    for wanted in [false, true] {
        write(&store, |tx| {
            while tx.index_words_step(wanted, 50)? {}
            Ok(())
        });
        let bytes = store.begin().search_bytes().unwrap();
        assert_eq!(bytes > 0, wanted, "{bytes}");
        assert_eq!(ids_of(&store, "rare"), expected);
    }
}

/// Whoever asks for what is hardly ever there gets it, in many looks, none of which takes long.
#[test]
fn a_look_ends_and_goes_on() {
    let folder = Folder::new("search-looks");
    let store = open(&folder.file());
    // More words than are indexed, so that each is looked at.
    let long: String = (0..300).map(|n| format!("w{n} ")).collect();
    let first = write(&store, |tx| {
        let first = say(tx, "needle");
        for _ in 0..4_000 {
            say(tx, &long);
        }
        tx.checkpoint()?;
        Ok(first)
    });
    let page = look(
        &store,
        ROMEO,
        &ArchiveQuery {
            backward: true,
            ..query("needle")
        },
    );
    assert!(page.stanzas.is_empty() && !page.complete && page.reached > Some(first));
    for backward in [false, true] {
        let (found, looks) = found(&store, ROMEO, "needle", backward);
        assert_eq!(found, [first]);
        assert!(looks > 2, "{looks}");
    }
    let (found, _) = found(&store, ROMEO, "w299 w0", false);
    assert_eq!(found.len(), 4_000);
}

/// Two words that many messages have, but none has both; a peer who said none of them.
#[test]
fn what_is_never_together_is_one_look() {
    let folder = Folder::new("search-together");
    let store = open(&folder.file());
    write(&store, |tx| {
        for n in 0..6_000 {
            say(tx, if n % 2 == 0 { "salt" } else { "pepper" });
        }
        tx.checkpoint()
    });
    for (words, with) in [("salt pepper", None), ("salt", Some("nurse@localhost"))] {
        let query = ArchiveQuery {
            with: with.map(|with| Jid::parse(with).unwrap()),
            ..query(words)
        };
        let page = look(&store, ROMEO, &query);
        assert!(page.complete && page.stanzas.is_empty(), "{words}");
    }
    let page = look(&store, JULIET, &query("sal"));
    assert_eq!((page.stanzas.len(), page.complete), (10, false));
}

/// An account finds what it could page through, of channels as well: each once, and nothing of before or after it was there.
#[test]
fn what_is_read_of_channels_is_found() {
    const CHANNEL: AccountId = AccountId(9_000_001);
    let folder = Folder::new("search-channels");
    let store = open(&folder.file());
    let owner = |account| Owner {
        account,
        direction: Direction::Received,
        unseen: false,
    };
    let (inside, own) = write(&store, |tx| {
        say_to(tx, &[owner(CHANNEL)], "before garden");
        let from = tx.next_archive_id()?;
        tx.begin_reading(ROMEO, CHANNEL, from)?;
        let inside = say_to(tx, &[owner(CHANNEL)], "garden");
        let own = say_to(tx, &[owner(CHANNEL), owner(ROMEO)], "garden twice");
        let to = tx.next_archive_id()?;
        tx.end_reading(ROMEO, CHANNEL, to)?;
        say_to(tx, &[owner(CHANNEL)], "garden after");
        Ok((inside, own))
    });
    for _ in 0..2 {
        assert_eq!(ids_of(&store, "garden"), [inside, own]);
        let page = look(&store, ROMEO, &query("garden"));
        let channels: Vec<_> = page.stanzas.iter().map(|stored| stored.channel).collect();
        assert_eq!(channels, [Some(CHANNEL), None]);
        let (all, _) = found(&store, CHANNEL, "garden", true);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 4);
        assert_eq!(found(&store, JULIET, "garden", true).0, []);
        // Now from the index.
        write(&store, |tx| {
            for _ in 0..600 {
                say(tx, "filler");
            }
            tx.checkpoint()
        });
    }
}

/// Words of one's own copy stay in the index for a while; that of the channel is found all the same.
#[test]
fn what_left_ones_own_archive_is_found_in_the_channels() {
    const CHANNEL: AccountId = AccountId(9_000_001);
    let folder = Folder::new("search-left");
    let store = open(&folder.file());
    let owner = |account| Owner {
        account,
        direction: Direction::Received,
        unseen: false,
    };
    let id = write(&store, |tx| {
        let from = tx.next_archive_id()?;
        tx.begin_reading(ROMEO, CHANNEL, from)?;
        let id = say_to(tx, &[owner(CHANNEL), owner(ROMEO)], "garden");
        for _ in 0..600 {
            say(tx, "filler");
        }
        tx.checkpoint()?;
        Ok(id)
    });
    assert_eq!(ids_of(&store, "garden"), [id]);
    write(&store, |tx| {
        tx.prune_archive(ROMEO, LATE, (None, 1)).map(drop)
    });
    let page = look(&store, ROMEO, &query("garden"));
    let found: Vec<_> = page
        .stanzas
        .iter()
        .map(|one| (one.id, one.channel))
        .collect();
    assert_eq!(found, [(id, Some(CHANNEL))]);
    assert_eq!(ids_of(&store, "garden"), [id]);
}

/// A backup has no words in it; what is made of it has them again, in steps.
#[test]
fn a_restored_backup_is_indexed_anew() {
    let folder = Folder::new("search-backup");
    let store = open(&folder.file());
    let id = write(&store, |tx| {
        for n in 0..700 {
            say(tx, &format!("number{n}"));
        }
        let id = say(tx, "qqneedle");
        tx.checkpoint()?;
        Ok(id)
    });
    let mut backup = Vec::new();
    let whole = store.whole().unwrap().unwrap();
    write_backup(whole, &[], &mut backup, &mut |_, _| true).unwrap();
    let restored = folder.file().with_extension("restored");
    let progress: &mut dyn FnMut(u64, u64) -> bool = &mut |_, _| true;
    restore(&mut backup.as_slice(), 0, &restored, CACHE_BYTES, progress).unwrap();
    assert!(rows_of_search(&restored).is_empty());
    let store = open(&restored);
    assert_eq!(ids_of(&store, "qqneedle"), [id]);
    write(&store, |tx| {
        while tx.index_words_step(true, 300)? {}
        Ok(())
    });
    assert_eq!(ids_of(&store, "qqneedle"), [id]);
    drop(store);
    assert!(is_written(&restored, "qqneedle"));
}
