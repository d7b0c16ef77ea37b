//! All tables. Keys of an account's data begin with the account's id, so that removing an account is one range of each table.
use super::StoreError;
use super::engine::table::{TableDefinition, WriteTransaction};

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
/// (Account, channel, sequence) -> sequence: from the one up to the other the account reads the channel's archive; 0: it still
/// does.
pub(super) const CHANNEL_READ: TableDefinition<(u32, u32, u64), u64> =
    TableDefinition::new("channel_read");
/// (Account, channel's JID) -> who the account is there (XEP-0405).
pub(super) const CHANNELS_JOINED: TableDefinition<AccountText, &[u8]> =
    TableDefinition::new("channels_joined");
/// (Account, sequence) -> `Held`.
pub(super) const ARCHIVE: TableDefinition<(u32, u64), u8> = TableDefinition::new("archive");
/// (Account, hash of the peer's bare JID, sequence) -> `Held`.
pub(super) const ARCHIVE_WITH: TableDefinition<(u32, u64, u64), u8> =
    TableDefinition::new("archive_with");
/// (Archive, stanza, later stanza) -> what the later one does to it (`Act`).
pub(super) const RELATED: TableDefinition<(u32, u64, u64), u8> = TableDefinition::new("related");
/// First sequence -> hashes of the ids that stanzas from there on came with (`archive::names`).
pub(super) const NAMES: TableDefinition<u64, &[u8]> = TableDefinition::new("names");
/// (Archive, first stanza, first term) -> a block of the index of words (`archive::search::segment`).
pub(super) const SEARCH: TableDefinition<(u32, u64, &str), &[u8]> = TableDefinition::new("search");
/// (Archive, first stanza): parts of that index in which words may be whose messages are gone.
pub(super) const SEARCH_GONE: TableDefinition<(u32, u64), ()> = TableDefinition::new("search_gone");
/// Account -> bytes of the stanzas in its archive that lie before the checkpoint.
pub(super) const ARCHIVE_BYTES: TableDefinition<u32, u64> = TableDefinition::new("archive_bytes");
/// Account -> no stanza before this sequence is unseen. No row: none is.
pub(super) const UNSEEN_FROM: TableDefinition<u32, u64> = TableDefinition::new("unseen_from");
/// (Account, sequence): what waits for the account, or did, and is no part of its archive.
pub(super) const PASSING: TableDefinition<(u32, u64), ()> = TableDefinition::new("passing");
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

/// Local part of its address -> channel.
pub(super) const CHANNELS: TableDefinition<&str, &[u8]> = TableDefinition::new("channels");
/// Bare JID -> how many channels they made.
pub(super) const CHANNEL_CREATORS: TableDefinition<&str, u64> =
    TableDefinition::new("channel_creators");
/// Channel -> local part of its address.
pub(super) const CHANNEL_NAMES: TableDefinition<u32, &str> = TableDefinition::new("channel_names");
/// (Channel, bare JID) -> affiliation, nick, participation.
pub(super) const CHANNEL_MEMBERS: TableDefinition<AccountText, &[u8]> =
    TableDefinition::new("channel_members");
/// (Channel, nick as it is compared) -> bare JID of the member who holds it.
pub(super) const CHANNEL_NICKS: TableDefinition<AccountText, &str> =
    TableDefinition::new("channel_nicks");
/// (Channel, stable participant id) -> bare JID; it stays when they leave.
pub(super) const CHANNEL_IDS: TableDefinition<AccountText, &str> =
    TableDefinition::new("channel_ids");
/// (Channel, full JID) -> an occupant whose session may be resumed after the restart.
pub(super) const CHANNEL_OCCUPANTS: TableDefinition<AccountText, &[u8]> =
    TableDefinition::new("channel_occupants");
/// (Channel, token) -> an invitation.
pub(super) const CHANNEL_INVITATIONS: TableDefinition<AccountText, &[u8]> =
    TableDefinition::new("channel_invitations");
/// (Channel, bare JID) -> the archive's next id when they were last in it; of those who want to know (XEP-0437).
pub(super) const CHANNEL_LEFT: TableDefinition<AccountText, u64> =
    TableDefinition::new("channel_left");
/// Local part of an address -> the channel that was destroyed there.
pub(super) const CHANNEL_TOMBSTONES: TableDefinition<&str, &[u8]> =
    TableDefinition::new("channel_tombstones");

/// Zeros, while what was taken back is overwritten (`scrub`).
pub(super) const FILLER: TableDefinition<u64, &[u8]> = TableDefinition::new("filler");

pub(super) const META_SCHEMA: &str = "schema";
pub(super) const META_NEXT_ACCOUNT: &str = "next_account";
/// No id at or above this was ever given away, except those of stanzas still there.
pub(super) const META_SEQUENCE: &str = "sequence";
/// The same for times, as milliseconds since 1970 in two's complement.
pub(super) const META_TIME: &str = "time";
/// A time that had come for sure, whatever the clock says now; like `META_TIME`.
pub(super) const META_CLOCK: &str = "clock";
/// With this record the journal begins, of what is not in the file.
pub(super) const META_JOURNAL: &str = "journal";
/// The last record with which rows were written that are in no journal: where they are, all up to it is.
pub(super) const META_RECORD: &str = "record";
/// Stanzas before this sequence have their rows in the index tables.
pub(super) const META_CHECKPOINT: &str = "checkpoint";
/// The relations of stanzas from the one up to the other are still to be noted; no row: all are.
pub(super) const META_RELATE_FROM: &str = "relate_from";
pub(super) const META_RELATE_END: &str = "relate_end";
/// What else stanzas from the one up to the other are called is still to be noted; no row: all is.
pub(super) const META_NAME_FROM: &str = "name_from";
pub(super) const META_NAME_END: &str = "name_end";
/// Rows at or behind the checkpoint, which do not count yet, may be in the tables.
pub(super) const META_MOVING: &str = "moving";
/// Something was taken back and is to be overwritten; how far that is (`scrub`).
pub(super) const META_SCRUB_WANTED: &str = "scrub_wanted";
pub(super) const META_SCRUB: &str = "scrub";
/// Words of stanzas from the one up to the other are still to be indexed; no row: all are.
pub(super) const META_SEARCH_FROM: &str = "search_from";
pub(super) const META_SEARCH_END: &str = "search_end";
/// There is no index of words.
pub(super) const META_SEARCH_OFF: &str = "search_off";
/// Bytes of the stanzas before the checkpoint.
pub(super) const META_BYTES: &str = "bytes";
/// The number of the next suspended session.
pub(super) const META_NEXT_SUSPENDED: &str = "next_suspended";
/// The number of the next shared body.
pub(super) const META_NEXT_BODY: &str = "next_body";
/// 1: the last run ended in order, and all sessions that may be resumed are in `suspended` as they were then.
pub(super) const META_STOPPED: &str = "stopped";

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
            Archive RELATED,
            Global NAMES,
            Archive SEARCH,
            Archive SEARCH_GONE,
            Archive ARCHIVE_BYTES,
            Account UNSEEN_FROM,
            Account PASSING,
            Account ARCHIVE_PREFERENCES,
            Account CHANNEL_READ,
            Account CHANNELS_JOINED,
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
            Archive PUBSUB_RELATED_BY,
            Global CHANNELS,
            Global CHANNEL_CREATORS,
            Account CHANNEL_NAMES,
            Account CHANNEL_MEMBERS,
            Account CHANNEL_NICKS,
            Account CHANNEL_IDS,
            Account CHANNEL_OCCUPANTS,
            Account CHANNEL_INVITATIONS,
            Account CHANNEL_LEFT,
            Global CHANNEL_TOMBSTONES,
            Global FILLER
        )
    };
}

macro_rules! names_and_scopes {
    ($($scope:ident $table:ident),*) => { [$(($table.name(), Scope::$scope)),*] };
}

/// Names of all tables.
pub(super) fn table_names() -> Vec<&'static str> {
    let tables = each_table!(names_and_scopes);
    tables.iter().map(|(name, _)| *name).collect()
}

/// Names of those whose rows go with their account at once.
pub(super) fn names_of_account() -> impl Iterator<Item = &'static str> {
    let tables = each_table!(names_and_scopes).into_iter();
    let of_account = tables.filter(|(_, scope)| *scope == Scope::Account);
    of_account.map(|(name, _)| name)
}

pub(super) fn create_tables(txn: &mut WriteTransaction) -> Result<(), StoreError> {
    table_names()
        .into_iter()
        .try_for_each(|name| txn.create(name))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
