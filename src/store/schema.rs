//! All tables, the schema version, and the steps from one version to the next. Keys of an account's data begin with the
//! account's id, so that removing an account is one range of each table.
use redb::{Database, ReadableDatabase, TableError, TableHandle};

use super::StoreError;
use super::accounts::{suspended, tokens};
use super::archive::retention;
use super::engine::table::{Source, Sums, TableDefinition, WriteTransaction};

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
/// Account -> kind and hash of the avatar that is advertised.
pub(super) const AVATARS: TableDefinition<u32, &[u8]> = TableDefinition::new("avatars");
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
/// Account -> bytes of the stanzas in its archive that lie before the checkpoint.
pub(super) const ARCHIVE_BYTES: TableDefinition<u32, u64> = TableDefinition::new("archive_bytes");
/// Account -> no stanza before this sequence is unseen. No row: none is.
pub(super) const UNSEEN_FROM: TableDefinition<u32, u64> = TableDefinition::new("unseen_from");
pub(super) const ARCHIVE_PREFERENCES: TableDefinition<u32, &[u8]> =
    TableDefinition::new("archive_preferences");
/// (Account, number) -> a session that may be resumed (XEP-0198 §5) and is not in memory as a whole.
pub(super) const SUSPENDED: TableDefinition<(u32, u64), &[u8]> = TableDefinition::new("suspended");
/// (Account, number of the session, position) -> a stanza that the session has not acknowledged.
pub(super) const SUSPENDED_QUEUE: TableDefinition<(u32, u64, u64), &[u8]> =
    TableDefinition::new("suspended_queue");
/// Number -> what rows of several sessions end with.
pub(super) const SHARED_BODIES: TableDefinition<u64, &[u8]> = TableDefinition::new("shared_bodies");
/// The same number -> how many rows do.
pub(super) const SHARED_COUNTS: TableDefinition<u64, u64> = TableDefinition::new("shared_counts");
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

/// Account -> the host it is on now.
pub(super) const MOVED: TableDefinition<u32, &str> = TableDefinition::new("moved");

/// Hash of a client's capabilities -> the nodes it wants to hear of.
pub(super) const CAPABILITIES: TableDefinition<&str, &[u8]> = TableDefinition::new("capabilities");
/// Owner -> how many nodes it has, their bytes, the number of the next.
pub(super) const PUBSUB_OWNERS: TableDefinition<u32, &[u8]> = TableDefinition::new("pubsub_owners");
/// (Owner, name) -> node.
pub(super) const PUBSUB_NODES: TableDefinition<AccountText, &[u8]> =
    TableDefinition::new("pubsub_nodes");
/// (Owner, number of the node's contents, place) -> item.
pub(super) const PUBSUB_ITEMS: TableDefinition<(u32, u64, u64), &[u8]> =
    TableDefinition::new("pubsub_items");
/// (Owner, number of the node's contents, id) -> place of the item.
pub(super) const PUBSUB_ITEM_IDS: TableDefinition<(u32, u64, &str), u64> =
    TableDefinition::new("pubsub_item_ids");
/// (Owner, number of the node, bare JID) -> affiliation and subscriptions.
pub(super) const PUBSUB_RELATED: TableDefinition<(u32, u64, &str), &[u8]> =
    TableDefinition::new("pubsub_related");
/// (Account, service, node) -> what the account is subscribed to elsewhere.
pub(super) const PUBSUB_SUBSCRIBED_TO: TableDefinition<(u32, &str, &str), &[u8]> =
    TableDefinition::new("pubsub_subscribed_to");
/// (Owner, bare JID, number of the node) -> name of the node.
pub(super) const PUBSUB_RELATED_BY: TableDefinition<(u32, &str, u64), &str> =
    TableDefinition::new("pubsub_related_by");
/// (Owner, number) -> whether all that lies under it is still to be removed, or the items only.
pub(super) const PUBSUB_GONE: TableDefinition<(u32, u64), u8> = TableDefinition::new("pubsub_gone");

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
/// The number of the next shared body.
pub(super) const META_NEXT_BODY: &str = "next_body";
/// 1: the last run ended in order, and all sessions that may be resumed are in `suspended` as they were then.
pub(super) const META_STOPPED: &str = "stopped";

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
];
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
    let meta = META.on(Source::of(meta.into(), META.plain(), (Sums::Absent, None)));
    let version = meta.get(META_SCHEMA)?.ok_or_else(foreign)?;
    u32::try_from(version.value()).map_err(|_| foreign())
}

/// Whose rows a table holds, and how they go. A key that is an account's begins with its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// An account's; they go with it.
    Account,
    /// An account's; there may be many, and they go in small steps (`purge_step`).
    Archive,
    /// Everybody's.
    Global,
}

/// Every table there is, with its scope: for what is done to each.
macro_rules! each_table {
    ($then:ident) => {
        $then!(
            Global META,
            Global SECRETS,
            Global ACCOUNTS,
            Account CREDENTIALS,
            Account PRIVATE_XML,
            Account VCARDS,
            Account AVATARS,
            Account LAST_ACTIVITY,
            Account ROSTER,
            Account ROSTER_VERSIONS,
            Account ROSTER_LOG,
            Account BLOCKED,
            Global STANZAS,
            Global SET_BACK,
            Archive ARCHIVE,
            Archive ARCHIVE_WITH,
            Archive ARCHIVE_BYTES,
            Account UNSEEN_FROM,
            Account ARCHIVE_PREFERENCES,
            Global PURGE,
            Account CLIENTS,
            Account FAST_TOKENS,
            Account APP_TOKENS,
            Account OAUTH_GRANTS,
            Account SUSPENDED,
            Account SUSPENDED_QUEUE,
            Global SHARED_BODIES,
            Global SHARED_COUNTS,
            Account ENDED,
            Account MOVED,
            Global CAPABILITIES,
            Account PUBSUB_OWNERS,
            Account PUBSUB_NODES,
            Account PUBSUB_GONE,
            Archive PUBSUB_ITEMS,
            Archive PUBSUB_ITEM_IDS,
            Archive PUBSUB_RELATED,
            Account PUBSUB_SUBSCRIBED_TO,
            Archive PUBSUB_RELATED_BY
        )
    };
}

macro_rules! names_and_scopes {
    ($($scope:ident $table:ident),*) => { [$(($table.name(), Scope::$scope)),*] };
}

pub(super) fn table_names() -> Vec<&'static str> {
    let tables = each_table!(names_and_scopes);
    tables.iter().map(|(name, _)| *name).collect()
}

pub(super) fn create_tables(txn: &mut WriteTransaction) -> Result<(), StoreError> {
    table_names()
        .into_iter()
        .try_for_each(|name| txn.create(name))
}

/// Removes what an account has in its tables, but its archive.
pub(super) fn remove_account(txn: &WriteTransaction, account: u32) -> Result<(), StoreError> {
    suspended::release_bodies(txn, account)?;
    let tables = each_table!(names_and_scopes);
    let (first, end) = (
        account.to_be_bytes(),
        account.saturating_add(1).to_be_bytes(),
    );
    for (name, _) in tables.iter().filter(|(_, scope)| *scope == Scope::Account) {
        let rows: TableDefinition<&[u8], &[u8]> = TableDefinition::new(name);
        txn.open_table(rows)?
            .retain_in(first.as_slice()..end.as_slice(), |_, _| false)?;
    }
    Ok(())
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
    use super::*;
    use crate::xmpp::Timestamp;

    fn database() -> Database {
        Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .unwrap()
    }

    /// A key whose first part is an account's id.
    trait OfAccount {}
    impl OfAccount for u32 {}
    impl<A> OfAccount for (u32, A) {}
    impl<A, B> OfAccount for (u32, A, B) {}

    #[test]
    fn keys_of_an_accounts_rows_begin_with_it() {
        fn begins_with_account<K: OfAccount, V>(_: TableDefinition<K, V>) {}
        macro_rules! check {
            ($($scope:ident $table:ident),*) => {{ $(check!(@ $scope $table);)* }};
            (@ Global $table:ident) => { $table.name() };
            (@ $scope:ident $table:ident) => { begins_with_account($table) };
        }
        each_table!(check);
    }

    #[test]
    fn nothing_of_a_removed_account_stays_and_all_of_others_does() {
        let database = database();
        upgrade(&database).unwrap();
        let txn = WriteTransaction::begin(&database, Default::default()).unwrap();
        let tables = each_table!(names_and_scopes);
        let of_accounts = || tables.iter().filter(|(_, scope)| *scope == Scope::Account);
        let rows = |name| TableDefinition::<&[u8], &[u8]>::new(name);
        let ids = [6u32, 7, 8, 0x0700, 0x0007_0000];
        for (name, _) in of_accounts() {
            let mut table = txn.open_table(rows(name)).unwrap();
            for id in ids {
                let key = id.to_be_bytes();
                table.insert(key.as_slice(), b"1".as_slice()).unwrap();
                let longer = [key.as_slice(), &[0xFF; 9]].concat();
                table.insert(longer.as_slice(), b"2".as_slice()).unwrap();
            }
        }
        remove_account(&txn, 7).unwrap();
        for (name, _) in of_accounts() {
            let view = txn.view(rows(name)).unwrap();
            let left: Vec<u32> = view
                .range(..)
                .unwrap()
                .map(|row| {
                    let key = row.unwrap().0.value().to_vec();
                    u32::from_be_bytes(*key.first_chunk().unwrap())
                })
                .collect();
            assert_eq!(
                left,
                [6, 6, 8, 8, 0x0700, 0x0700, 0x0007_0000, 0x0007_0000],
                "{name}"
            );
        }
    }

    #[test]
    fn a_newer_file_is_refused() {
        let database = database();
        upgrade(&database).unwrap();
        let txn = WriteTransaction::begin(&database, Default::default()).unwrap();
        txn.open_table(META)
            .unwrap()
            .insert(META_SCHEMA, 8)
            .unwrap();
        txn.commit().unwrap();
        let refused = upgrade(&database);
        assert!(
            matches!(refused, Err(StoreError::Newer { found: 8, known: 7 })),
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
        assert_eq!(version(&database).unwrap(), 7);
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
