//! The domain the accounts belong to, and moving all that is stored to another, in one transaction.
//!
//! Moved are addresses of exactly this domain: contacts and requests of theirs, block lists, archive preferences, and the
//! addresses of archived stanzas with the index by peer, and who made, published and is related to nodes. What people wrote stays as they wrote it: bodies and other
//! payloads, vCards, clients' own notes. Rosters get versions that no client has seen.
use crate::store::accounts::roster::{decode_contact, encode_contact};
use crate::store::archive::index::Memory;
use crate::store::archive::retention;
use crate::store::archive::stanza::{StanzaRow, peer_hash};
use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::engine::table::{Row, WriteTransaction};
use crate::store::pubsub::{items, nodes, related};
use crate::store::schema::{
    ARCHIVE_PREFERENCES, ARCHIVE_WITH, BLOCKED, ENDED, META, PUBSUB_ITEMS, PUBSUB_NODES,
    PUBSUB_RELATED, PUBSUB_RELATED_BY, PUBSUB_SUBSCRIBED_TO, ROSTER, ROSTER_LOG, ROSTER_VERSIONS,
    SHARED_BODIES, SHARED_COUNTS, STANZAS, SUSPENDED, SUSPENDED_QUEUE,
};
use crate::store::{NodeOwner, StoreError, Tx, Writing};

use super::channels_moved::move_channels;
use super::moving::{Move, ROWS_AT_A_TIME, rewrite};

/// Before the domain's name, in a key of `meta`: its values are numbers.
const DOMAIN: &str = "domain ";
/// The same for the domain before that.
const DOMAIN_BEFORE: &str = "domain_before ";
/// More than the changes of a roster that are remembered.
const VERSIONS_SKIPPED: u64 = 1000;

/// Which domain a database is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    pub name: String,
    /// It was renamed, and had this name.
    pub before: Option<String>,
}

/// How much was moved.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Moved {
    pub contacts: u64,
    pub stanzas: u64,
}

impl Tx {
    /// `None`: no server has served it yet, or only one of an earlier version.
    pub fn domain(&self) -> Result<Option<Domain>, StoreError> {
        let name = self.named(DOMAIN)?;
        let before = self.named(DOMAIN_BEFORE)?;
        Ok(name.map(|name| Domain { name, before }))
    }

    fn named(&self, prefix: &str) -> Result<Option<String>, StoreError> {
        let meta = self.view(META)?;
        let first = meta.range(prefix..)?.next().transpose()?;
        Ok(first.and_then(|(key, _)| key.value().strip_prefix(prefix).map(str::to_string)))
    }

    /// Writes down which domain it is of, if that is not known.
    pub fn set_domain(&mut self, name: &str) -> Result<(), StoreError> {
        let known = self.domain()?;
        if known.as_ref().is_some_and(|known| known.name == name) {
            return Ok(());
        }
        let Writing { txn, .. } = self.writing()?;
        let mut meta = txn.open_table(META)?;
        if let Some(known) = known {
            meta.remove(&format!("{DOMAIN}{}", known.name))?;
        }
        meta.insert(&format!("{DOMAIN}{name}"), 1)
    }

    /// Moves everything. No session may be left that could be resumed.
    pub fn rename(&mut self, old: &str, new: &str) -> Result<Moved, StoreError> {
        if let Some(before) = self.named(DOMAIN_BEFORE)? {
            let Writing { txn, .. } = self.writing()?;
            txn.open_table(META)?
                .remove(&format!("{DOMAIN_BEFORE}{before}"))?;
        }
        self.set_domain(new)?;
        let domains = Move { old, new };
        let mut moved = Moved::default();
        let Writing { txn, mut memory } = self.writing()?;
        txn.open_table(META)?
            .insert(&format!("{DOMAIN_BEFORE}{old}"), 1)?;
        moved.contacts = move_contacts(txn, domains)?;
        move_lists(txn, domains)?;
        move_nodes(txn, domains)?;
        move_channels(txn, domains)?;
        // How much a session had handled is asked by a session that went on, of which there is none.
        txn.open_table(SUSPENDED)?.retain_in(.., |_, _| false)?;
        txn.open_table(SUSPENDED_QUEUE)?
            .retain_in(.., |_, _| false)?;
        txn.open_table(SHARED_BODIES)?.retain_in(.., |_, _| false)?;
        txn.open_table(SHARED_COUNTS)?.retain_in(.., |_, _| false)?;
        txn.open_table(ENDED)?.retain_in(.., |_, _| false)?;
        moved.stanzas = move_stanzas(txn, &mut memory, domains)?;
        retention::count_anew(txn)?;
        memory.save(txn)?;
        Ok(moved)
    }
}

/// Rosters; tells how many contacts.
fn move_contacts(txn: &WriteTransaction, domains: Move<'_>) -> Result<u64, StoreError> {
    let mut count = 0;
    rewrite(txn, ROSTER, &mut |key, value| {
        let (account, jid) = <(u32, &str)>::decode(key);
        let mut contact = decode_contact(value)?;
        let request = contact.request.as_deref();
        let request = request.and_then(|request| domains.stanza(request));
        let jid_moved = domains.jid(jid);
        if request.is_none() && jid_moved.is_none() {
            return Ok(None);
        }
        count += 1;
        contact.request = request.or(contact.request);
        let jid = jid_moved.unwrap_or_else(|| jid.to_string());
        let key = <(u32, &str)>::encode(&(account, &jid), <[u8]>::to_vec);
        Ok(Some((key, encode_contact(&contact))))
    })?;
    rewrite(txn, ROSTER_LOG, &mut |key, value| {
        let jid = domains.jid(<&str>::decode(value));
        Ok(jid.map(|jid| (key.to_vec(), jid.into_bytes())))
    })?;
    rewrite(txn, ROSTER_VERSIONS, &mut |key, value| {
        let version = u64::decode(value).saturating_add(VERSIONS_SKIPPED);
        Ok(Some((key.to_vec(), version.to_be_bytes().to_vec())))
    })?;
    Ok(count)
}

/// Block lists and archive preferences.
fn move_lists(txn: &WriteTransaction, domains: Move<'_>) -> Result<(), StoreError> {
    rewrite(txn, BLOCKED, &mut |key, value| {
        let (account, jid) = <(u32, &str)>::decode(key);
        let moved = domains.jid(jid).map(|jid| {
            let key = <(u32, &str)>::encode(&(account, &jid), <[u8]>::to_vec);
            (key, value.to_vec())
        });
        Ok(moved)
    })?;
    rewrite(txn, ARCHIVE_PREFERENCES, &mut |key, value| {
        let mut row = Decoder::new(value);
        let default = row.byte()?;
        let lists = [row.texts()?, row.texts()?].map(|list| domains.jids(list));
        let [always, never] = lists;
        let row = Encoder::default()
            .byte(default)
            .texts(&always)
            .texts(&never);
        Ok(Some((key.to_vec(), row.done())))
    })?;
    Ok(())
}

/// Who has to do with nodes.
fn move_nodes(txn: &WriteTransaction, domains: Move<'_>) -> Result<(), StoreError> {
    rewrite(txn, PUBSUB_NODES, &mut |key, value| {
        let (owner, name) = <(u32, &str)>::decode(key);
        let mut node = nodes::decode(NodeOwner(owner), name, value)?;
        let creator = domains.jid(&node.creator);
        Ok(creator.map(|creator| {
            node.creator = creator.into();
            (key.to_vec(), nodes::encode(&node))
        }))
    })?;
    rewrite(txn, PUBSUB_ITEMS, &mut |key, value| {
        let mut item = items::decode(value)?;
        let publisher = domains.jid(&item.publisher);
        Ok(publisher.map(|publisher| {
            item.publisher = publisher.into();
            (key.to_vec(), items::encode(&item, item.born))
        }))
    })?;
    rewrite(txn, PUBSUB_RELATED, &mut |key, value| {
        let (owner, node, jid) = <(u32, u64, &str)>::decode(key);
        let Some(jid) = domains.jid(jid) else {
            return Ok(None);
        };
        let mut related = related::decode(value)?;
        for one in &mut related.subscriptions {
            if let Some(jid) = domains.jid(&one.jid) {
                one.jid = jid.into();
            }
        }
        let key = <(u32, u64, &str)>::encode(&(owner, node, &jid), <[u8]>::to_vec);
        Ok(Some((key, related::encode(&related))))
    })?;
    // The server's own service has its name from the domain.
    let service = (
        format!("pubsub.{}", domains.old),
        format!("pubsub.{}", domains.new),
    );
    rewrite(txn, PUBSUB_SUBSCRIBED_TO, &mut |key, value| {
        let (account, at, node) = <(u32, &str, &str)>::decode(key);
        let moved = domains.jid(at);
        let moved = moved.or_else(|| (at == service.0).then(|| service.1.clone()));
        Ok(moved.map(|at| {
            let key = <(u32, &str, &str)>::encode(&(account, &at, node), <[u8]>::to_vec);
            (key, value.to_vec())
        }))
    })?;
    rewrite(txn, PUBSUB_RELATED_BY, &mut |key, value| {
        let (owner, jid, node) = <(u32, &str, u64)>::decode(key);
        Ok(domains.jid(jid).map(|jid| {
            let key = <(u32, &str, u64)>::encode(&(owner, &jid, node), <[u8]>::to_vec);
            (key, value.to_vec())
        }))
    })
}

/// Archives; tells how many stanzas.
fn move_stanzas(
    txn: &WriteTransaction,
    memory: &mut Memory,
    domains: Move<'_>,
) -> Result<u64, StoreError> {
    let mut count = 0;
    let mut index = Vec::new();
    rewrite(txn, STANZAS, &mut |key, value| {
        let sequence = u64::decode(key);
        let row = StanzaRow::decode(value)?;
        let [from, to] = [row.from, row.to].map(|jid| domains.jid(jid));
        let xml = domains.stanza(row.xml);
        if from.is_none() && to.is_none() && xml.is_none() {
            return Ok(None);
        }
        count += 1;
        let after = StanzaRow {
            at: row.at,
            owners: row.owners.clone(),
            relation: row.relation,
            noted_kind: row.noted_kind,
            from: from.as_deref().unwrap_or(row.from),
            to: to.as_deref().unwrap_or(row.to),
            xml: xml.as_deref().unwrap_or(row.xml),
        };
        let bytes = after.encode();
        if memory.is_settled(sequence) {
            memory.changed(sequence, value.len(), Some(bytes.len()));
        }
        for owner in &row.owners {
            let account = owner.account;
            let [was, is] = [&row, &after].map(|row| peer_hash(row.peer(account)));
            index.push(((account.0, was, sequence), (account.0, is, sequence)));
        }
        if index.len() >= ROWS_AT_A_TIME {
            move_index(txn, &mut index)?;
        }
        Ok(Some((key.to_vec(), bytes)))
    })?;
    move_index(txn, &mut index)?;
    Ok(count)
}

type Peer = (u32, u64, u64);

/// Those that are in memory only are in no table.
fn move_index(txn: &WriteTransaction, rows: &mut Vec<(Peer, Peer)>) -> Result<(), StoreError> {
    let mut table = txn.open_table(ARCHIVE_WITH)?;
    for (was, is) in rows.drain(..) {
        let held = table.get(was)?.map(|held| held.value());
        if let Some(held) = held {
            table.remove(was)?;
            table.insert(is, held)?;
        }
    }
    Ok(())
}
