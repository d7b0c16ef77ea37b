//! The schema version, and the steps from one version to the next.
use redb::{Database, ReadableDatabase, TableError, TableHandle};

use super::StoreError;
use super::accounts::tokens;
use super::archive::{self, retention};
use super::capabilities;
use super::engine::table::{Source, Sums, WriteTransaction};
use super::schema::{META, META_SCHEMA, create_tables, table_names};

type Step = fn(&mut WriteTransaction) -> Result<(), StoreError>;

/// Step n brings a file of version n to version n + 1; the first makes the tables of a new file.
const STEPS: &[Step] = &[
    create_tables,
    tokens::list_only,
    add_sums,
    retention::count_bytes,
    // `moved` came later than the others.
    create_tables,
    // So did `capabilities` and those of publish-subscribe.
    create_tables,
    // And those of shared bodies.
    create_tables,
    // And those of channels.
    create_tables,
    joined_channels,
    // And those of channels that are gone.
    create_tables,
    // And of those who left them for a while.
    create_tables,
    archive::relation::earlier::begin_to_relate,
    // And that of what overwrites.
    create_tables,
    archive::search::begin,
    // Versions before do not read the journal.
    create_tables,
    archive::relation::earlier::begin_to_name,
    // And that of what passes through.
    create_tables,
];
/// Files of this version and later have sums behind their values.
const SUMS_SINCE: u32 = 3;

/// And these may have a journal beside them.
pub(super) const JOURNAL_SINCE: u32 = 15;

/// Brings the file to this program's version in one transaction, or refuses it. An up-to-date file is not written to.
pub(super) fn upgrade(database: &Database) -> Result<(), StoreError> {
    let found = version(database)?;
    let known = require_known(found)?;
    if found == known {
        return Ok(());
    }
    let mut txn = WriteTransaction::begin_with(database, sums_of(found))?;
    if found > 0 {
        log::info!("store.upgrade schema={found} wanted={known}");
    }
    for step in STEPS
        .iter()
        .skip(usize::try_from(found).unwrap_or(usize::MAX))
    {
        step(&mut txn)?;
    }
    txn.open_table(META)?
        .insert(META_SCHEMA, u64::from(known))?;
    txn.commit()
}

/// The version this program writes; it does not read what is newer.
pub(super) fn require_known(found: u32) -> Result<u32, StoreError> {
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    match found > known {
        true => Err(StoreError::Newer { found, known }),
        false => Ok(known),
    }
}

pub(super) fn sums_of(version: u32) -> Sums {
    match version < SUMS_SINCE {
        true => Sums::Absent,
        false => Sums::There,
    }
}

/// 0: an empty database.
pub(super) fn version(database: &Database) -> Result<u32, StoreError> {
    let foreign = || StoreError::Unreadable("its tables are not Stonechat's".to_string());
    let txn = database.begin_read()?;
    let mut tables = txn.list_tables()?.peekable();
    if tables.peek().is_none() {
        return Ok(0);
    }
    if !tables.any(|table| table.name() == META.name()) {
        return Err(foreign());
    }
    let meta = META.open(&txn).map_err(|error| match error {
        TableError::TableTypeMismatch { .. } => {
            StoreError::Unreadable("it is of a trial version, before the first release".to_string())
        }
        error => error.into(),
    })?;
    // Of a number the first octets are read, whatever is behind them.
    let meta = META.on(Source::of(meta.into(), META.plain(), (Sums::Absent, None)));
    let version = meta.get(META_SCHEMA)?.ok_or_else(foreign)?;
    u32::try_from(version.value()).map_err(|_| foreign())
}

/// Who joined them; clients are asked anew whether they know channels.
fn joined_channels(txn: &mut WriteTransaction) -> Result<(), StoreError> {
    create_tables(txn)?;
    capabilities::forget_all(txn)
}

/// A sum behind each value.
fn add_sums(txn: &mut WriteTransaction) -> Result<(), StoreError> {
    for name in table_names() {
        txn.add_sums(name)?;
    }
    txn.sums_are_there();
    Ok(())
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::super::engine::codec::Encoder;
    use super::super::schema::*;
    use super::*;
    use crate::xmpp::Timestamp;

    fn database() -> Database {
        Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .unwrap()
    }

    #[test]
    fn a_newer_file_is_refused() {
        let database = database();
        upgrade(&database).unwrap();
        let ours = version(&database).unwrap();
        let txn = WriteTransaction::begin(&database, Default::default()).unwrap();
        txn.open_table(META)
            .unwrap()
            .insert(META_SCHEMA, u64::from(ours) + 1)
            .unwrap();
        txn.commit().unwrap();
        let refused = upgrade(&database);
        let Err(StoreError::Newer { found, known }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((found, known), (ours + 1, ours));
    }

    #[test]
    fn somebody_elses_file_is_refused() {
        let database = database();
        let txn = database.begin_write().unwrap();
        txn.open_table(redb::TableDefinition::<u32, u32>::new("theirs"))
            .unwrap();
        txn.commit().unwrap();
        assert!(matches!(upgrade(&database), Err(StoreError::Unreadable(_))));
    }

    #[test]
    fn a_file_of_before_the_first_release_is_refused() {
        let database = database();
        let txn = database.begin_write().unwrap();
        txn.open_table(redb::TableDefinition::<&str, u64>::new(META.name()))
            .unwrap();
        txn.commit().unwrap();
        assert!(matches!(upgrade(&database), Err(StoreError::Unreadable(_))));
    }

    /// As version 1 wrote them: two slots, nothing behind them.
    #[test]
    fn tokens_of_version_1_stay_with_their_clients_only() {
        let database = database();
        let mut txn = WriteTransaction::begin_with(&database, Sums::Absent).unwrap();
        create_tables(&mut txn).unwrap();
        let token = Encoder::default()
            .flag(true)
            .raw(&[7; 16])
            .time(Timestamp(1))
            .time(Timestamp(2))
            .number(300)
            .number(427)
            .flag(false)
            .done();
        let client = Encoder::default()
            .time(Timestamp(1))
            .time(Timestamp(1))
            .flag(true)
            .text("S")
            .text("")
            .text("D")
            .done();
        txn.open_table(CLIENTS)
            .unwrap()
            .insert((1, "known"), client.as_slice())
            .unwrap();
        for (account, name) in [(1, "known"), (1, "unknown"), (2, "known")] {
            txn.open_table(FAST_TOKENS)
                .unwrap()
                .insert((account, name, "HT-SHA-256-NONE"), token.as_slice())
                .unwrap();
        }
        txn.open_table(META)
            .unwrap()
            .insert(META_SCHEMA, 1)
            .unwrap();
        txn.commit().unwrap();
        upgrade(&database).unwrap();
        assert_eq!(version(&database).unwrap(), require_known(0).unwrap());
        let txn = WriteTransaction::begin(&database, Default::default()).unwrap();
        let tokens = txn.view(FAST_TOKENS).unwrap();
        let left: Vec<_> = tokens.range(..).unwrap().map(Result::unwrap).collect();
        let [(place, row)] = left.as_slice() else {
            panic!("{} rows", left.len());
        };
        assert_eq!(place.value(), (1, "known", "HT-SHA-256-NONE"));
        let tokens = super::tokens::decode_tokens(row.value()).unwrap();
        let current = tokens.current.unwrap();
        assert_eq!((current.count, current.reserved), (300, 427));
        assert!(tokens.new.is_none() && tokens.ended.is_empty());
    }

    /// As version 3 left it: nobody counted whose archive holds how much.
    #[test]
    fn archives_of_version_3_are_counted() {
        use crate::store::archive::stanza::StanzaRow;
        use crate::store::{AccountId, Direction, Owner};
        let database = database();
        let mut txn = WriteTransaction::begin(&database, Default::default()).unwrap();
        create_tables(&mut txn).unwrap();
        let owner = |account| Owner {
            account: AccountId(account),
            direction: Direction::Sent,
            unseen: false,
        };
        let row = |owners: &[u32], xml| StanzaRow {
            at: Timestamp(1),
            owners: owners.iter().map(|account| owner(*account)).collect(),
            relation: None,
            noted_kind: None,
            from: "a@b",
            to: "c@d",
            xml,
        };
        // The last one is not in the index yet, and counted when the file is opened.
        for (n, row) in [
            (1, row(&[7], "<x/>")),
            (2, row(&[7, 8], "")),
            (3, row(&[7], "")),
        ] {
            let mut stanzas = txn.open_table(STANZAS).unwrap();
            stanzas.insert(n, &row.encode()).unwrap();
        }
        let mut meta = txn.open_table(META).unwrap();
        meta.insert(META_SCHEMA, 3).unwrap();
        meta.insert(META_CHECKPOINT, 3).unwrap();
        drop(meta);
        txn.commit().unwrap();
        upgrade(&database).unwrap();
        let txn = WriteTransaction::begin(&database, Default::default()).unwrap();
        let bytes = txn.view(ARCHIVE_BYTES).unwrap();
        let bytes = bytes.range(..).unwrap().map(Result::unwrap);
        let bytes: Vec<_> = bytes.map(|(key, row)| (key.value(), row.value())).collect();
        assert_eq!(bytes, [(7, 10 + 2 * (6 + 128) - 6), (8, 6 + 128)]);
    }
}
