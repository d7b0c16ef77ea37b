//! All tables, the schema version, and the steps from one version to the next. Keys of an account's data begin with the
//! account's id, so that removing an account is one range of each table.
use redb::{Database, ReadableDatabase, TableError, TableHandle};

use super::StoreError;
use super::accounts::tokens;
use super::engine::table::{Sums, TableDefinition, View, WriteTransaction};

/// Account id and a JID.
type AccountText = (u32, &'static str);

/// Numbers of the store as a whole; the keys are the constants below.
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
pub(super) const SECRETS: TableDefinition<&str, [u8; 32]> = TableDefinition::new("secrets");

/// Name -> id, disabled, created.
pub(super) const ACCOUNTS: TableDefinition<&str, &[u8]> = TableDefinition::new("accounts");
pub(super) const CREDENTIALS: TableDefinition<u32, &[u8]> = TableDefinition::new("credentials");
pub(super) const PRIVATE_XML: TableDefinition<(u32, &str, &str), &str> =
    TableDefinition::new("private_xml");
pub(super) const VCARDS: TableDefinition<u32, &str> = TableDefinition::new("vcards");
pub(super) const LAST_ACTIVITY: TableDefinition<u32, &[u8]> = TableDefinition::new("last_activity");

pub(super) const ROSTER: TableDefinition<AccountText, &[u8]> = TableDefinition::new("roster");
pub(super) const ROSTER_VERSIONS: TableDefinition<u32, u64> =
    TableDefinition::new("roster_versions");
/// (Account, version) -> the JID that changed.
pub(super) const ROSTER_LOG: TableDefinition<(u32, u64), &str> = TableDefinition::new("roster_log");
pub(super) const BLOCKED: TableDefinition<AccountText, ()> = TableDefinition::new("blocked");

/// Sequence -> the stanza and whose archives hold it.
pub(super) const STANZAS: TableDefinition<u64, &[u8]> = TableDefinition::new("stanzas");
/// Sequences from which on times are earlier than before: the clock was set back.
pub(super) const SET_BACK: TableDefinition<u64, ()> = TableDefinition::new("set_back");
/// (Account, sequence) -> `Held`.
pub(super) const ARCHIVE: TableDefinition<(u32, u64), u8> = TableDefinition::new("archive");
/// (Account, hash of the peer's bare JID, sequence) -> `Held`.
pub(super) const ARCHIVE_WITH: TableDefinition<(u32, u64, u64), u8> =
    TableDefinition::new("archive_with");
/// Account -> no stanza before this sequence is unseen. No row: none is.
pub(super) const UNSEEN_FROM: TableDefinition<u32, u64> = TableDefinition::new("unseen_from");
pub(super) const ARCHIVE_PREFERENCES: TableDefinition<u32, &[u8]> =
    TableDefinition::new("archive_preferences");
/// (Account, number) -> a session that may be resumed (XEP-0198 §5) and is not in memory as a whole.
pub(super) const SUSPENDED: TableDefinition<(u32, u64), &[u8]> = TableDefinition::new("suspended");
/// (Account, number of the session, position) -> a stanza that the session has not acknowledged.
pub(super) const SUSPENDED_QUEUE: TableDefinition<(u32, u64, u64), &[u8]> =
    TableDefinition::new("suspended_queue");
/// (Account, name of an ended session) -> how many of its client's stanzas were handled.
pub(super) const ENDED: TableDefinition<AccountText, u32> = TableDefinition::new("ended");
/// Deleted accounts whose archives are still to be removed.
pub(super) const PURGE: TableDefinition<u32, ()> = TableDefinition::new("purge");

/// (Account, client) -> what is known of it (XEP-0494).
pub(super) const CLIENTS: TableDefinition<AccountText, &[u8]> = TableDefinition::new("clients");
/// (Account, client, mechanism) -> the tokens it may log in with (XEP-0484).
pub(super) const FAST_TOKENS: TableDefinition<(u32, &str, &str), &[u8]> =
    TableDefinition::new("fast_tokens");

/// (Account, token) -> a token made for an app.
pub(super) const APP_TOKENS: TableDefinition<AccountText, &[u8]> =
    TableDefinition::new("app_tokens");
/// Account -> what its X-OAUTH tokens are signed with.
pub(super) const OAUTH_GRANTS: TableDefinition<u32, &[u8]> = TableDefinition::new("oauth_grants");

pub(super) const META_SCHEMA: &str = "schema";
pub(super) const META_NEXT_ACCOUNT: &str = "next_account";
/// No id at or above this was ever given away, except those of stanzas still there.
pub(super) const META_SEQUENCE: &str = "sequence";
/// The same for times, as milliseconds since 1970 in two's complement.
pub(super) const META_TIME: &str = "time";
/// A time that had come for sure, whatever the clock says now; like `META_TIME`.
pub(super) const META_CLOCK: &str = "clock";
/// Stanzas before this sequence have their rows in the index tables.
pub(super) const META_CHECKPOINT: &str = "checkpoint";
/// Bytes of the stanzas before the checkpoint.
pub(super) const META_BYTES: &str = "bytes";
/// The number of the next suspended session.
pub(super) const META_NEXT_SUSPENDED: &str = "next_suspended";
/// 1: the last run ended in order, and all sessions that may be resumed are in `suspended` as they were then.
pub(super) const META_STOPPED: &str = "stopped";

type Step = fn(&mut WriteTransaction) -> Result<(), StoreError>;

/// Step n brings a file of version n to version n + 1; the first makes the tables of a new file.
const STEPS: &[Step] = &[create_tables, tokens::list_only, add_sums];
/// Files of this version and later have sums behind their values.
const SUMS_SINCE: u32 = 3;

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
    let meta = View::of(meta.into(), META, Sums::Absent);
    let version = meta.get(META_SCHEMA)?.ok_or_else(foreign)?;
    u32::try_from(version.value()).map_err(|_| foreign())
}

/// Every table there is: for what is done to each.
macro_rules! each_table {
    ($then:ident) => {
        $then!(
            META,
            SECRETS,
            ACCOUNTS,
            CREDENTIALS,
            PRIVATE_XML,
            VCARDS,
            LAST_ACTIVITY,
            ROSTER,
            ROSTER_VERSIONS,
            ROSTER_LOG,
            BLOCKED,
            STANZAS,
            SET_BACK,
            ARCHIVE,
            ARCHIVE_WITH,
            UNSEEN_FROM,
            ARCHIVE_PREFERENCES,
            PURGE,
            CLIENTS,
            FAST_TOKENS,
            APP_TOKENS,
            OAUTH_GRANTS,
            SUSPENDED,
            SUSPENDED_QUEUE,
            ENDED
        )
    };
}

pub(super) fn table_names() -> Vec<&'static str> {
    macro_rules! names {
        ($($table:ident),*) => { vec![$($table.name()),*] };
    }
    each_table!(names)
}

pub(super) fn create_tables(txn: &mut WriteTransaction) -> Result<(), StoreError> {
    macro_rules! open {
        ($($table:ident),*) => {{ $(txn.open_table($table)?;)* }};
    }
    each_table!(open);
    Ok(())
}

/// A sum behind each value.
fn add_sums(txn: &mut WriteTransaction) -> Result<(), StoreError> {
    macro_rules! add {
        ($($table:ident),*) => {{
            $(txn.add_sums($table)?;)*
        }};
    }
    each_table!(add);
    txn.sums_are_there();
    Ok(())
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::super::engine::codec::Encoder;
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
        let txn = WriteTransaction::begin(&database, Default::default()).unwrap();
        txn.open_table(META)
            .unwrap()
            .insert(META_SCHEMA, 7)
            .unwrap();
        txn.commit().unwrap();
        let refused = upgrade(&database);
        assert!(
            matches!(refused, Err(StoreError::Newer { found: 7, known: 3 })),
            "{refused:?}"
        );
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
        assert_eq!(version(&database).unwrap(), 3);
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
}
