//! The database and its journal (`engine::journal`): what is written to which, and what is read of the journal when the database is
//! opened.
use redb::Database;

use super::engine::behind::Behind;
use super::engine::journal::{Journal, Records, each_row};
use super::engine::table::{Sums, TableDefinition, WriteTransaction};
use super::schema::{META, META_JOURNAL, META_RECORD, table_names};
use super::{StoreError, upgrades};

/// Of a database that has none.
pub const NO_JOURNAL: u64 = 0;

/// Writes again what the journal has. Returns the number of its next record; `None`: the database has no journal.
pub fn replay(database: &Database, journal: &[u8]) -> Result<Option<u64>, StoreError> {
    let version = upgrades::version(database)?;
    upgrades::require_known(version)?;
    if version < upgrades::JOURNAL_SINCE {
        return Ok(None);
    }
    let txn = WriteTransaction::begin_with(database, Sums::There)?;
    let meta = txn.view(META)?;
    let number =
        |key| -> Result<Option<u64>, StoreError> { Ok(meta.get(key)?.map(|row| row.value())) };
    let first = number(META_JOURNAL)?.filter(|first| *first > NO_JOURNAL);
    let Some(first) = first else {
        return Ok(None);
    };
    // Who closed the file wrote down what was in the journal only. What was derived from that must not be written over.
    let there = number(META_RECORD)?.unwrap_or(NO_JOURNAL);
    drop(meta);
    let mut records = Records::new(journal, first);
    while let Some(rows) = records.next() {
        if records.next > there + 1 {
            write(&txn, rows)?;
        }
    }
    let next = records.next;
    if next > first {
        log::debug!("store.replayed commits={}", next - first);
        txn.open_table(META)?.insert(META_JOURNAL, next)?;
        txn.commit()?;
    }
    Ok(Some(next))
}

fn write(txn: &WriteTransaction, rows: &[u8]) -> Result<(), StoreError> {
    let names = table_names();
    each_row(rows, &mut |(table, key, value)| {
        let name = names.iter().find(|name| name.as_bytes() == table);
        let Some(name) = name else { return Ok(()) };
        let table: TableDefinition<&[u8], &[u8]> = TableDefinition::new(name);
        let mut table = txn.open_table(table)?;
        let written = match value {
            Some(value) => table.insert(key, value),
            None => table.remove(key),
        };
        match written {
            // Nobody gets there any more; it was reported.
            Err(StoreError::Damaged { .. }) => Ok(()),
            written => written,
        }
    })
}

/// To the journal if there is room in it; else the file is made durable, and the journal begins anew.
pub fn commit(mut txn: WriteTransaction, behind: &Behind) -> Result<(), StoreError> {
    let Some(journal) = behind.journal() else {
        return txn.commit();
    };
    let record = journal.next_number();
    if txn.goes_to_journal(behind)? {
        if txn.has_derived() {
            txn.open_table(META)?.insert(META_RECORD, record)?;
        }
        return txn.commit();
    }
    txn.open_table(META)?
        .insert(META_JOURNAL, journal.next_number())?;
    txn.commit()?;
    journal.begin_anew();
    Ok(())
}

/// From now on the database has a journal: this one, of which nothing stays.
pub fn begin(database: &Database, journal: &Journal) -> Result<u64, StoreError> {
    const FIRST: u64 = NO_JOURNAL + 1;
    journal.write(0, &journal.zeros())?;
    let txn = WriteTransaction::begin_with(database, Sums::There)?;
    let mut meta = txn.open_table(META)?;
    meta.insert(META_JOURNAL, FIRST)?;
    meta.insert(META_RECORD, NO_JOURNAL)?;
    drop(meta);
    txn.commit()?;
    Ok(FIRST)
}
