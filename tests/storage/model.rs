//! The store as plain maps: what it must do, without tables, transactions and hints.
use std::collections::{BTreeMap, BTreeSet};

use stonechat::store::{
    Account, AccountId, Aged, ArchiveId, ArchivePreferences, ArchiveQuery, AtIndex, Contact,
    Direction, LastActivity, Need, Owner, Place, Pruned, QueueRow, Record, RosterChange, Shows,
    Store, Stored, Suspended, SuspendedId, Tx, Waiting,
};
use stonechat::stream::Credentials;
use stonechat::xmpp::{BareJid, Jid, Timestamp};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub accounts: BTreeMap<String, Account>,
    pub personal: BTreeMap<AccountId, Personal>,
    pub next_account: u32,
    pub stanzas: BTreeMap<u64, Row>,
    pub next_stanza: u64,
    /// Account and channel: from where to where it is read.
    pub readings: BTreeMap<(AccountId, AccountId), Vec<(u64, u64)>>,
    pub last_at: Option<Timestamp>,
    pub purge: BTreeSet<AccountId>,
    pub next_suspended: u64,
    pub suspended: BTreeMap<SuspendedId, Suspended>,
    pub queues: BTreeMap<SuspendedId, BTreeMap<u64, QueueRow>>,
    pub ended: BTreeMap<(AccountId, String), u32>,
    pub has_stopped: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Personal {
    pub credentials: Credentials,
    pub contacts: BTreeMap<String, Contact>,
    pub versions: Vec<(u64, String)>,
    pub blocked: BTreeSet<String>,
    pub private: BTreeMap<(String, String), String>,
    pub vcard: Option<String>,
    pub last: Option<LastActivity>,
    pub preferences: ArchivePreferences,
    pub seen: BTreeSet<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub at: Timestamp,
    pub owners: Vec<Owner>,
    pub from: Jid,
    pub to: Jid,
    pub xml: String,
}

impl Model {
    pub fn add_account(
        &mut self,
        name: &str,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Option<AccountId> {
        if self.accounts.contains_key(name) {
            return None;
        }
        self.next_account += 1;
        let id = AccountId(self.next_account);
        self.accounts.insert(
            name.to_string(),
            Account {
                id,
                disabled: false,
                created: now,
            },
        );
        let personal = Personal {
            credentials: credentials.clone(),
            contacts: BTreeMap::new(),
            versions: vec![(u64::from(id.0) << 32, String::new())],
            blocked: BTreeSet::new(),
            private: BTreeMap::new(),
            vcard: None,
            last: None,
            preferences: ArchivePreferences::default(),
            seen: BTreeSet::new(),
        };
        self.personal.insert(id, personal);
        Some(id)
    }

    pub fn delete_account(&mut self, name: &str) -> bool {
        let Some(account) = self.accounts.remove(name) else {
            return false;
        };
        self.personal.remove(&account.id);
        self.purge.insert(account.id);
        self.suspended.retain(|id, _| id.account != account.id);
        self.queues.retain(|id, _| id.account != account.id);
        self.ended.retain(|(owner, _), _| *owner != account.id);
        self.readings.retain(|(owner, _), _| *owner != account.id);
        true
    }

    /// A row of a contact, or its removal.
    pub fn set_contact(&mut self, id: AccountId, jid: &str, contact: Option<&Contact>) -> u64 {
        let personal = self.personal.get_mut(&id).unwrap();
        let visible = |contact: Option<&Contact>| {
            contact.filter(|c| c.listed).map(|c| Contact {
                request: None,
                ..c.clone()
            })
        };
        let before = match contact {
            Some(contact) => personal.contacts.insert(jid.to_string(), contact.clone()),
            None => personal.contacts.remove(jid),
        };
        let version = personal.versions.last().unwrap().0;
        if visible(before.as_ref()) == visible(contact) {
            return version;
        }
        personal.versions.push((version + 1, jid.to_string()));
        version + 1
    }

    fn roster_changes(&self, id: AccountId, since: u64) -> Option<Vec<(u64, RosterChange)>> {
        let personal = &self.personal[&id];
        let at = personal
            .versions
            .iter()
            .position(|(version, _)| *version == since)?;
        let later = &personal.versions[at + 1..];
        if later.len() > 100 {
            return None;
        }
        let is_last =
            |(version, jid): &&(u64, String)| !later.iter().any(|(v, j)| j == jid && v > version);
        let change = |(version, jid): &(u64, String)| {
            let contact = personal.contacts.get(jid).filter(|contact| contact.listed);
            let jid = BareJid::parse(jid).unwrap();
            (
                *version,
                RosterChange {
                    jid,
                    contact: contact.cloned(),
                },
            )
        };
        Some(later.iter().filter(is_last).map(change).collect())
    }

    pub fn append(&mut self, record: &Record<'_>) -> (ArchiveId, Timestamp) {
        self.next_stanza += 1;
        // A minute back is drift, more is a clock that was set back.
        let drifts = |last: &Timestamp| record.at.0 + 60_000 >= last.0;
        let at = self
            .last_at
            .filter(drifts)
            .map_or(record.at, |last| last.max(record.at));
        self.last_at = Some(at);
        let row = Row {
            at,
            owners: record.owners.to_vec(),
            from: record.from.clone(),
            to: record.to.clone(),
            xml: record.xml.to_string(),
        };
        self.stanzas.insert(self.next_stanza, row);
        (ArchiveId(self.next_stanza), at)
    }

    pub fn prune_aged(&mut self, before: Timestamp, rows_max: usize) -> Aged {
        // What came before another is not younger.
        let age = |id: u64| self.stanzas.range(id..).map(|(_, row)| row.at).min();
        let is_due = |id: u64| age(id) < Some(before);
        let due = self.stanzas.iter().take_while(|(id, _)| is_due(**id));
        let due = due.filter(|(id, row)| !self.is_waited_for(**id, row));
        let due: Vec<u64> = due.map(|(id, _)| *id).collect();
        due.iter().take(rows_max).for_each(|id| {
            self.stanzas.remove(id);
        });
        Aged {
            stanzas: due.len().min(rows_max),
            more: due.len() > rows_max,
        }
    }

    /// Somebody is to receive it, and has not.
    fn is_waited_for(&self, id: u64, row: &Row) -> bool {
        row.owners.iter().any(|owner| {
            let personal = self.personal.get(&owner.account);
            owner.unseen && personal.is_some_and(|personal| !personal.seen.contains(&id))
        })
    }

    pub fn archive_bytes(&self, account: AccountId) -> u64 {
        let weight = |row: &Row| row.from.as_str().len() + row.to.as_str().len() + row.xml.len();
        let weights = self
            .archive(account)
            .map(|(_, row)| weight(row) as u64 + 128);
        weights.sum()
    }

    /// Was that the right account, and enough, of what all have? Then it is gone here, too.
    pub fn prune_greediest(&mut self, need: Need, all: u64, pruned: Option<Pruned>) {
        let owners = self.stanzas.values().flat_map(|row| &row.owners);
        let owners: BTreeSet<AccountId> = owners.map(|owner| owner.account).collect();
        let mut archives: Vec<(AccountId, u64)> = owners
            .into_iter()
            .map(|account| (account, self.archive_bytes(account)))
            .collect();
        archives.sort_by_key(|(account, bytes)| (std::cmp::Reverse(*bytes), *account));
        let rows = |account, takes_unseen: bool| -> Vec<u64> {
            let rows = self.archive(account);
            rows.filter(|(id, row)| takes_unseen || !self.is_waited_for(*id, row))
                .map(|(id, _)| id)
                .collect()
        };
        let mut expected = None;
        for (account, bytes) in &archives {
            let received = rows(*account, false);
            if !received.is_empty() {
                expected = Some((*account, received));
                break;
            } else if bytes * 8 > all * 7 && !need.spares_unseen {
                break;
            }
        }
        if let (None, Some((account, _)), false) = (&expected, archives.first(), need.spares_unseen)
        {
            expected = Some((*account, rows(*account, true)));
        }
        let taken = pruned.map(|pruned| (pruned.account, pruned.stanzas as usize));
        assert_eq!(
            taken.map(|(account, _)| account),
            expected.as_ref().map(|(account, _)| *account)
        );
        if let Some(((account, count), (_, ids))) = taken.zip(expected) {
            assert!((1..=ids.len()).contains(&count));
            ids.iter()
                .take(count)
                .for_each(|id| self.disown(account, *id));
        }
    }

    fn disown(&mut self, account: AccountId, id: u64) {
        let row = self.stanzas.get_mut(&id).unwrap();
        row.owners.retain(|owner| owner.account != account);
        if row.owners.is_empty() {
            self.stanzas.remove(&id);
        }
    }

    pub fn purge_step(&mut self, rows_max: usize) -> bool {
        let Some(account) = self.purge.first().copied() else {
            return false;
        };
        let ids: Vec<u64> = self
            .archive(account)
            .map(|(id, _)| id)
            .take(rows_max)
            .collect();
        ids.iter().for_each(|id| self.disown(account, *id));
        if self.archive(account).next().is_none() {
            self.purge.remove(&account);
        }
        !self.purge.is_empty()
    }

    fn archive(&self, account: AccountId) -> impl DoubleEndedIterator<Item = (u64, &Row)> {
        let owns = move |row: &Row| row.owners.iter().any(|owner| owner.account == account);
        self.stanzas
            .iter()
            .filter(move |(_, row)| owns(row))
            .map(|(id, row)| (*id, row))
    }

    pub fn begin_reading(&mut self, account: AccountId, channel: AccountId, from: ArchiveId) {
        let spans = self.readings.entry((account, channel)).or_default();
        spans.push((from.0.min(self.next_stanza + 1), u64::MAX));
    }

    pub fn end_reading(&mut self, account: AccountId, channel: AccountId) {
        let spans = self.readings.entry((account, channel)).or_default();
        for (_, to) in spans.iter_mut().filter(|(_, to)| *to == u64::MAX) {
            *to = self.next_stanza + 1;
        }
    }

    /// Its own archive, and what it reads of channels: with whose archive it is in.
    fn read(&self, account: AccountId) -> impl DoubleEndedIterator<Item = (u64, &Row, Owner)> {
        let is_own =
            move |owner: &Owner| owner.account == account && owner.direction != Direction::Passing;
        let reads = move |id: u64, owner: &&Owner| {
            let spans = self.readings.get(&(account, owner.account));
            let mut spans = spans.into_iter().flatten();
            is_own(owner) || spans.any(|(from, to)| (*from..*to).contains(&id))
        };
        self.stanzas.iter().filter_map(move |(id, row)| {
            let mut owners = row.owners.iter();
            let own = owners
                .find(|owner| owner.account == account && owner.direction != Direction::Passing);
            let owner = own.or_else(|| row.owners.iter().find(|owner| reads(*id, owner)));
            owner.map(|owner| (*id, row, *owner))
        })
    }

    fn matching(&self, account: AccountId, query: &ArchiveQuery) -> Vec<Stored> {
        let after = |limit: Option<ArchiveId>, id: u64| limit.is_none_or(|limit| id > limit.0);
        let before = |limit: Option<ArchiveId>, id: u64| limit.is_none_or(|limit| id < limit.0);
        let is_with = |row: &Row, owner: &Owner| {
            let Some(with) = &query.with else {
                return true;
            };
            let is_same =
                |jid: &Jid| jid == with || (with.is_bare() && jid.bare_str() == with.as_str());
            match owner.direction {
                _ if row.from.bare_str() == row.to.bare_str() => {
                    is_same(&row.from) || is_same(&row.to)
                }
                Direction::Sent => is_same(&row.to),
                Direction::Received | Direction::Passing => is_same(&row.from),
            }
        };
        let rows = self.read(account).filter(|(id, row, owner)| {
            after(query.after_id, *id)
                && before(query.before_id, *id)
                && query.start.is_none_or(|start| row.at >= start)
                && query.end.is_none_or(|end| row.at <= end)
                && !(query.without_groupchat && row.xml.contains("groupchat"))
                && (query.shows == Shows::All
                    || row.xml.contains("<body")
                    || row.xml.contains("<retracted"))
                && query.words.as_ref().is_none_or(|words| {
                    let said = row
                        .xml
                        .split_once("<body>")
                        .and_then(|(_, it)| it.split_once("</body>"));
                    said.is_some_and(|(said, _)| words.is_in(said))
                })
                && is_with(row, owner)
        });
        rows.map(|(id, row, owner)| {
            let channel = Some(owner.account).filter(|owner| *owner != account);
            Stored {
                channel,
                ..stored(id, row)
            }
        })
        .collect()
    }

    fn page(&self, account: AccountId, query: &ArchiveQuery) -> (Vec<Stored>, bool) {
        let mut stanzas = self.matching(account, query);
        stanzas.retain(|stored| {
            query.page_after.is_none_or(|limit| stored.id > limit)
                && query.page_before.is_none_or(|limit| stored.id < limit)
        });
        let complete = stanzas.len() <= query.max;
        if query.backward {
            stanzas.drain(..stanzas.len().saturating_sub(query.max));
        }
        stanzas.truncate(query.max);
        (stanzas, complete)
    }

    fn unseen(&self, account: AccountId, after: u64) -> Vec<Stored> {
        let seen = &self.personal[&account].seen;
        let waits = |row: &Row| {
            row.owners
                .iter()
                .any(|owner| owner.account == account && owner.unseen)
        };
        let rows = self
            .archive(account)
            .filter(|(id, row)| *id > after && !seen.contains(id) && waits(row));
        rows.map(|(id, row)| stored(id, row)).collect()
    }

    /// Panics at the first difference.
    pub fn check(&self, store: &Store, query: &mut dyn FnMut() -> ArchiveQuery) {
        self.check_in(&store.begin(), query);
    }

    pub fn check_in(&self, tx: &Tx, query: &mut dyn FnMut() -> ArchiveQuery) {
        self.check_sessions(tx);
        assert_eq!(tx.next_archive_id().unwrap().0, self.next_stanza + 1);
        assert_eq!(
            tx.accounts().unwrap(),
            self.accounts.clone().into_iter().collect::<Vec<_>>()
        );
        for (name, account) in &self.accounts {
            assert_eq!(tx.account(name).unwrap().as_ref(), Some(account));
            self.check_personal(tx, account.id);
            self.check_archive(tx, account.id, query);
        }
    }

    fn check_sessions(&self, tx: &Tx) {
        assert_eq!(tx.has_stopped().unwrap(), self.has_stopped);
        let mut found = BTreeMap::new();
        tx.visit_suspended(&mut |id, row| {
            found.insert(id, row);
            Ok(())
        })
        .unwrap();
        assert_eq!(found, self.suspended);
        for (id, row) in &found {
            assert_eq!(tx.suspended(*id).unwrap().as_ref(), Some(row));
        }
        for number in 1..=self.next_suspended {
            for account in 1..=self.next_account {
                let id = SuspendedId {
                    account: AccountId(account),
                    number,
                };
                self.check_queue(tx, id);
            }
        }
        let ended: Vec<(AccountId, String, u32)> = self
            .ended
            .iter()
            .map(|((account, name), received)| (*account, name.clone(), *received))
            .collect();
        assert_eq!(tx.ended().unwrap(), ended);
    }

    fn check_queue(&self, tx: &Tx, id: SuspendedId) {
        let none = BTreeMap::new();
        let queue = self.queues.get(&id).unwrap_or(&none);
        let ends = queue.keys().next().zip(queue.keys().next_back());
        let positions = ends.map_or(0..0, |(first, last)| *first..last + 1);
        assert_eq!(tx.queue_positions(id).unwrap(), positions);
        let mut found = Vec::new();
        tx.visit_queue(id, 0..u64::MAX, &mut |row| {
            found.push(row);
            Ok(found.len() < 50)
        })
        .unwrap();
        let rows: Vec<QueueRow> = queue.values().take(50).cloned().collect();
        assert_eq!(found, rows);
    }

    fn check_personal(&self, tx: &Tx, id: AccountId) {
        let personal = &self.personal[&id];
        assert_eq!(
            tx.credentials(id).unwrap().as_ref(),
            Some(&personal.credentials)
        );
        let contacts = tx.contacts(id).unwrap().into_iter();
        let contacts: BTreeMap<_, _> = contacts
            .map(|(jid, contact)| (jid.to_string(), contact))
            .collect();
        assert_eq!(contacts, personal.contacts);
        let version = personal.versions.last().unwrap().0;
        assert_eq!(tx.roster_version(id).unwrap(), version);
        for since in [
            0,
            version - 101,
            version - 100,
            version - 7,
            version,
            version + 1,
        ] {
            assert_eq!(
                tx.roster_changes(id, since).unwrap(),
                self.roster_changes(id, since),
                "{since}"
            );
        }
        assert_eq!(
            tx.blocked(id).unwrap(),
            personal.blocked.iter().cloned().collect::<Vec<_>>()
        );
        assert_eq!(tx.private_xml_count(id).unwrap(), personal.private.len());
        for ((name, namespace), xml) in &personal.private {
            assert_eq!(
                tx.private_xml(id, name, namespace).unwrap().as_ref(),
                Some(xml)
            );
        }
        assert_eq!(tx.vcard(id).unwrap(), personal.vcard);
        assert_eq!(tx.last_activity(id).unwrap(), personal.last);
        assert_eq!(tx.archive_preferences(id).unwrap(), personal.preferences);
    }

    fn check_places(&self, tx: &Tx, id: AccountId, query: &ArchiveQuery) {
        let matching = self.matching(id, query);
        let count = matching.len() as u64;
        let place = |of| tx.place(id, query, of, 10_000).unwrap();
        let at_index = |index| tx.at_index(id, query, index, 10_000).unwrap();
        let behind = Place {
            index: count,
            count,
        };
        assert_eq!(place(None), Some(behind), "{query:?}");
        assert_eq!(at_index(count), AtIndex::Behind, "{query:?}");
        for (index, stored) in (0..).zip(&matching) {
            let there = Place { index, count };
            assert_eq!(place(Some(stored.id)), Some(there), "{query:?}");
            assert_eq!(at_index(index), AtIndex::Stanza(stored.id), "{query:?}");
        }
    }

    fn check_archive(&self, tx: &Tx, id: AccountId, query: &mut dyn FnMut() -> ArchiveQuery) {
        for _ in 0..4 {
            let query = query();
            let page = tx.page(id, &query).unwrap();
            assert_eq!(page.reached, None);
            let page = (page.stanzas, page.complete);
            assert_eq!(page, self.page(id, &query), "{query:?}");
            match query.words {
                None => self.check_places(tx, id, &query),
                Some(_) => assert_eq!(tx.place(id, &query, None, u64::MAX).unwrap(), None),
            }
        }
        let held: Vec<ArchiveId> = self.read(id).map(|(id, ..)| ArchiveId(id)).collect();
        for id_asked in 0..=self.next_stanza + 1 {
            let id_asked = ArchiveId(id_asked);
            assert_eq!(tx.archived(id, id_asked).unwrap(), held.contains(&id_asked));
        }
        let all = self.matching(id, &ArchiveQuery::default());
        assert_eq!(tx.archived_ids(id, &held).unwrap(), Some(all.clone()));
        assert_eq!(
            tx.archived_ids(id, &[ArchiveId(self.next_stanza + 1)])
                .unwrap(),
            None
        );
        let ends = all.first().zip(all.last());
        let ends = ends.map(|(first, last)| [(first.id, first.at), (last.id, last.at)]);
        assert_eq!(tx.archive_ends(id).unwrap(), ends);
        assert_eq!(tx.archive_bytes(id).unwrap(), self.archive_bytes(id));
        let unseen = self.unseen(id, 0);
        assert_eq!(tx.unseen_count(id).unwrap(), unseen.len());
        let none = |_: Waiting| false;
        assert_eq!(tx.unseen(id, None, usize::MAX, &none).unwrap(), unseen);
        assert!(tx.has_unseen(id).unwrap() || unseen.is_empty());
        if let Some(first) = unseen.first() {
            let rest = self.unseen(id, first.id.0);
            assert_eq!(
                tx.unseen(id, Some(first.id), 2, &none).unwrap(),
                rest[..rest.len().min(2)]
            );
            let is_first = |waiting: Waiting| waiting.id == first.id;
            assert_eq!(tx.unseen(id, None, usize::MAX, &is_first).unwrap(), rest);
        }
    }
}

fn stored(id: u64, row: &Row) -> Stored {
    Stored {
        id: ArchiveId(id),
        at: row.at,
        xml: row.xml.clone(),
        channel: None,
    }
}
