//! Random batches, done to a store and to its model alike.
use std::rc::Rc;

use stonechat::store::{
    AccountId, ArchiveId, ArchivePreferences, ArchiveQuery, Before, Body, Contact, DefaultPolicy,
    Direction, Kept, LastActivity, Need, Owner, QueueRow, Record, Shows, StoreError, Subscription,
    Suspended, Tx,
};
use stonechat::stream::{Credentials, HashedPassword, ScramKeys};
use stonechat::xmpp::words::Wanted;
use stonechat::xmpp::{Jid, Timestamp};

use super::model::Model;
use crate::transcript::prng::Prng;

/// Numbers that no account gets.
const CHANNELS: [AccountId; 3] = [
    AccountId(9_000_001),
    AccountId(9_000_002),
    AccountId(9_000_003),
];
const WORDS: [&str; 12] = [
    "Garden",
    "gärten",
    "GARDEN",
    "gar",
    "w299",
    "東京都",
    "京都",
    "都",
    "ไทย",
    "ภาษาไทย",
    "👍",
    "l'eau",
];
const NAMES: [&str; 4] = ["romeo", "juliet", "nurse", "tybalt"];

pub struct Random(pub Prng);

impl Random {
    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.0.below(of.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.0.below(n) == 0
    }

    fn account(&mut self, model: &Model) -> Option<AccountId> {
        let index = self.0.below(model.accounts.len());
        model.accounts.values().nth(index).map(|account| account.id)
    }

    fn jid(&mut self) -> Jid {
        if self.one_in(4) {
            let channel = self.0.below(CHANNELS.len());
            return self.of_channel(channel);
        }
        let name = self.pick(&NAMES);
        let resource = self.pick(&["", "/home", "/orchard"]);
        Jid::parse(&format!("{name}@localhost{resource}")).unwrap()
    }

    fn of_channel(&mut self, channel: usize) -> Jid {
        let resource = self.pick(&["", "/p1", "/p2"]);
        Jid::parse(&format!("c{channel}@chat.localhost{resource}")).unwrap()
    }

    fn id(&mut self, model: &Model) -> ArchiveId {
        ArchiveId(self.0.below(model.next_stanza as usize + 2) as u64)
    }

    /// Some batches work on the archive only: those are the frequent ones.
    pub fn batch(&mut self, tx: &mut Tx, model: &mut Model) -> Result<(), StoreError> {
        for _ in 0..1 + self.0.below(8) {
            match self.0.below(26) {
                0 | 1 => self.change_account(tx, model)?,
                2..=5 => self.change_personal(tx, model)?,
                6 => self.change_contact(tx, model)?,
                7 => self.retire(tx, model)?,
                8 | 9 => self.see(tx, model)?,
                10 | 11 => self.change_session(tx, model)?,
                12 => self.change_reading(tx, model)?,
                13..=15 => self.append_to_channel(tx, model)?,
                16 => self.rewrite(tx, model)?,
                17 => self.index_words(tx)?,
                18 | 19 => self.checkpoint_partly(tx)?,
                _ => self.append(tx, model)?,
            }
        }
        tx.checkpoint_if_due()
    }

    fn change_account(&mut self, tx: &mut Tx, model: &mut Model) -> Result<(), StoreError> {
        let name = self.pick(&NAMES);
        if self.one_in(12) {
            assert_eq!(tx.delete_account(name)?, model.delete_account(name));
        } else if self.one_in(4) {
            let disabled = self.one_in(2);
            let account = model
                .accounts
                .get_mut(name)
                .map(|account| account.disabled = disabled);
            assert_eq!(tx.set_account_disabled(name, disabled)?, account.is_some());
        } else {
            let (credentials, now) = (self.credentials(), Timestamp(self.0.next() as i64 >> 20));
            let id = tx.add_account(name, &credentials, now)?;
            assert_eq!(id, model.add_account(name, &credentials, now));
        }
        Ok(())
    }

    fn credentials(&mut self) -> Credentials {
        let mut hashed = |bytes: usize| {
            let [stored, server] = [self.0.next() as u8; 2];
            (self.0.below(4) > 0).then(|| HashedPassword {
                salt: [self.0.next() as u8; 16],
                iterations: 10_000 + self.0.below(9) as u32,
                keys: ScramKeys {
                    stored_key: vec![stored; bytes].into(),
                    server_key: vec![!server; bytes].into(),
                },
            })
        };
        Credentials {
            sha1: hashed(20),
            sha256: hashed(32),
            sha512: hashed(64),
        }
    }

    fn change_personal(&mut self, tx: &mut Tx, model: &mut Model) -> Result<(), StoreError> {
        let Some(id) = self.account(model) else {
            return Ok(());
        };
        let text = format!("<x>{}</x>", self.0.next());
        let jid = self.jid().to_string();
        let personal = model.personal.get_mut(&id).unwrap();
        match self.0.below(7) {
            0 => {
                personal.blocked.insert(jid.clone());
                tx.block(id, &jid)
            }
            1 => {
                personal.blocked.remove(&jid);
                tx.unblock(id, &jid)
            }
            2 => {
                let (key, xml) = (
                    ("x".to_string(), jid),
                    Some(text).filter(|_| !self.one_in(3)),
                );
                tx.set_private_xml(id, &key.0, &key.1, xml.as_deref())?;
                match xml {
                    Some(xml) => personal.private.insert(key, xml),
                    None => personal.private.remove(&key),
                };
                Ok(())
            }
            3 => {
                tx.set_vcard(id, &text)?;
                personal.vcard = Some(text);
                Ok(())
            }
            4 => {
                let last = LastActivity {
                    at: Timestamp(self.0.below(99) as i64 - 50),
                    status: text,
                };
                tx.set_last_activity(id, &last)?;
                personal.last = Some(last);
                Ok(())
            }
            5 => {
                personal.credentials = self.credentials();
                tx.set_credentials(id, &personal.credentials)
            }
            _ => {
                let default = *self.pick(&[
                    &DefaultPolicy::Always,
                    &DefaultPolicy::Roster,
                    &DefaultPolicy::Never,
                ]);
                personal.preferences = ArchivePreferences {
                    default,
                    always: vec![jid],
                    never: Vec::new(),
                };
                tx.set_archive_preferences(id, &personal.preferences)
            }
        }
    }

    fn change_contact(&mut self, tx: &mut Tx, model: &mut Model) -> Result<(), StoreError> {
        let Some(id) = self.account(model) else {
            return Ok(());
        };
        for _ in 0..1 + self.0.below(20) {
            let jid = self.jid().to_bare();
            let contact = self.contact();
            let (stored, modelled) = match self.one_in(4) {
                true => (
                    tx.remove_contact(id, &jid)?,
                    model.set_contact(id, jid.as_str(), None),
                ),
                false => (
                    tx.set_contact(id, &jid, &contact)?,
                    model.set_contact(id, jid.as_str(), Some(&contact)),
                ),
            };
            assert_eq!(stored, modelled);
        }
        Ok(())
    }

    fn contact(&mut self) -> Contact {
        let subscription = [
            Subscription::None,
            Subscription::To,
            Subscription::From,
            Subscription::Both,
        ][self.0.below(4)];
        Contact {
            name: self.pick(&["", "Ro", "Ju"]).to_string(),
            groups: vec!["friends".to_string(); self.0.below(3)],
            subscription,
            ask: self.one_in(2),
            approved: self.one_in(5),
            request: self
                .one_in(3)
                .then(|| "<presence type='subscribe'/>".to_string()),
            listed: !self.one_in(3),
        }
    }

    fn retire(&mut self, tx: &mut Tx, model: &mut Model) -> Result<(), StoreError> {
        let rows_max = 1 + self.0.below(6);
        if self.one_in(2) {
            assert_eq!(tx.purge_step(rows_max)?, model.purge_step(rows_max));
        } else if self.one_in(2) {
            self.make_room(tx, model, rows_max)?;
        } else {
            let before = self.time(model).unwrap_or(Timestamp(50));
            let expected = model.prune_aged(before, rows_max);
            let mut aged = tx.prune_aged(before, rows_max)?;
            while aged.more && aged.stanzas < expected.stanzas {
                // There was much to look at.
                let rest = tx.prune_aged(before, rows_max - aged.stanzas)?;
                aged.stanzas += rest.stanzas;
                aged.more = rest.more;
            }
            assert_eq!(aged.stanzas, expected.stanzas);
            assert!(aged.more || !expected.more);
        }
        Ok(())
    }

    fn make_room(
        &mut self,
        tx: &mut Tx,
        model: &mut Model,
        rows_max: usize,
    ) -> Result<(), StoreError> {
        let need = Need {
            bytes: 1 + self.0.below(3000) as u64,
            spares_unseen: self.one_in(2),
        };
        let all = tx.stored_bytes()?;
        let pruned = loop {
            let pruned = tx.prune_greediest(need, rows_max)?;
            if pruned.is_none_or(|pruned| pruned.stanzas > 0) {
                break pruned;
            }
        };
        model.prune_greediest(need, all, pruned);
        Ok(())
    }

    fn see(&mut self, tx: &mut Tx, model: &mut Model) -> Result<(), StoreError> {
        let Some(account) = self.account(model) else {
            return Ok(());
        };
        let first = self.id(model).0;
        let ids: Vec<ArchiveId> = (first..first + 1 + self.0.below(9) as u64)
            .filter(|id| *id <= model.next_stanza)
            .map(ArchiveId)
            .collect();
        let personal = model.personal.get_mut(&account).unwrap();
        personal.seen.extend(ids.iter().map(|id| id.0));
        tx.mark_seen(account, &ids)?;
        tx.write_seen()
    }

    fn change_session(&mut self, tx: &mut Tx, model: &mut Model) -> Result<(), StoreError> {
        match self.0.below(9) {
            0 => {
                let Some(account) = self.account(model) else {
                    return Ok(());
                };
                model.next_suspended += 1;
                let id = tx.new_suspended(account)?;
                assert_eq!(id.number, model.next_suspended, "never reused");
                model.suspended.insert(id, Suspended::default());
                tx.suspend(id, &Suspended::default())
            }
            1 => {
                model.has_stopped = self.one_in(2);
                tx.set_stopped(model.has_stopped)
            }
            2 => {
                model
                    .queues
                    .retain(|id, _| model.suspended.contains_key(id));
                tx.remove_lost_queues()
            }
            3 => {
                let ended = self.account(model).map(|account| {
                    let name = format!("session{}", self.0.below(9));
                    ((account, name), self.0.below(9) as u32)
                });
                model.ended = ended.into_iter().collect();
                let ended = model.ended.iter();
                tx.set_ended(
                    ended.map(|((account, name), received)| (*account, &**name, *received)),
                )
            }
            _ => self.change_one_session(tx, model),
        }
    }

    fn change_one_session(&mut self, tx: &mut Tx, model: &mut Model) -> Result<(), StoreError> {
        let index = self.0.below(model.suspended.len());
        let Some(id) = model.suspended.keys().nth(index).copied() else {
            return Ok(());
        };
        match self.0.below(6) {
            0 => {
                model.suspended.remove(&id);
                tx.forget_suspended(id)
            }
            1 => {
                let row = Suspended {
                    name: format!("session{}", self.0.next()),
                    received: self.0.below(99) as u32,
                    directed: vec![self.jid().to_string()],
                    ..Suspended::default()
                };
                tx.suspend(id, &row)?;
                model.suspended.insert(id, row);
                Ok(())
            }
            2 => {
                let (from, to) = (self.0.below(30) as u64, self.0.below(60) as u64);
                tx.remove_queue(id, from..to)?;
                if let Some(queue) = model.queues.get_mut(&id) {
                    queue.retain(|position, _| !(from..to.max(from)).contains(position));
                }
                Ok(())
            }
            _ => {
                let body = vec![b'y'; 1 + self.0.below(300)];
                let body = Rc::new(Body::new(&body, &Rc::default()));
                let rows: Vec<QueueRow> = (0..1 + self.0.below(20))
                    .map(|n| match self.one_in(2) {
                        true => QueueRow::Archived {
                            id: ArchiveId(n as u64),
                            form: 1,
                        },
                        false => QueueRow::Whole {
                            stanza: Kept {
                                head: vec![b'x'; self.0.below(300)].into(),
                                body: self.one_in(2).then(|| Rc::clone(&body)),
                            },
                            at: Timestamp(n as i64),
                            shared: self.one_in(2),
                        },
                    })
                    .collect();
                let from = self.0.below(40) as u64;
                tx.append_queue(id, from, rows.iter())?;
                let queue = model.queues.entry(id).or_default();
                queue.extend((from..).zip(rows));
                Ok(())
            }
        }
    }

    fn change_reading(&mut self, tx: &mut Tx, model: &mut Model) -> Result<(), StoreError> {
        let Some(account) = self.account(model) else {
            return Ok(());
        };
        let channel = CHANNELS[self.0.below(CHANNELS.len())];
        let next = tx.next_archive_id()?;
        assert_eq!(next, ArchiveId(model.next_stanza + 1));
        if self.one_in(3) {
            model.end_reading(account, channel);
            return tx.end_reading(account, channel, next);
        }
        let from = match self.one_in(2) {
            true => next,
            false => self.id(model),
        };
        model.begin_reading(account, channel, from);
        tx.begin_reading(account, channel, from)
    }

    /// What was said is taken back.
    fn rewrite(&mut self, tx: &mut Tx, model: &mut Model) -> Result<(), StoreError> {
        let id = self.id(model);
        let xml = match self.one_in(4) {
            true => format!("<message><body>{}</body></message>", self.words()),
            false => "<message><retracted xmlns='urn:xmpp:message-retract:1'/></message>".into(),
        };
        let row = model.stanzas.get_mut(&id.0);
        assert_eq!(tx.rewrite_stanza(id, &xml)?, row.is_some());
        if let Some(row) = row {
            row.xml = xml;
        }
        Ok(())
    }

    /// The index of words changes nothing but how long a search takes.
    fn index_words(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        let wanted = !self.one_in(3);
        for _ in 0..1 + self.0.below(4) {
            tx.index_words_step(wanted, 1 + self.0.below(20))?;
        }
        if self.one_in(2) {
            tx.forget_words_step()?;
        }
        Ok(())
    }

    /// Often it is killed half way.
    fn checkpoint_partly(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        for _ in 0..1 + self.0.below(8) {
            tx.checkpoint_step(1)?;
        }
        Ok(())
    }

    fn words(&mut self) -> String {
        let count = match self.0.below(40) {
            0 => return (0..300).map(|n| format!("w{n} ")).collect(),
            _ => self.0.below(5),
        };
        let words = (0..count).map(|_| self.pick(&WORDS));
        words.collect::<Vec<_>>().join(" ")
    }

    /// What a participant sent, who may have it in the own archive too.
    fn append_to_channel(&mut self, tx: &mut Tx, model: &mut Model) -> Result<(), StoreError> {
        let channel = self.0.below(CHANNELS.len());
        let (from, to) = (self.of_channel(channel), self.of_channel(channel).to_bare());
        let owner = |account| Owner {
            account,
            direction: Direction::Received,
            unseen: false,
        };
        let mut owners = vec![owner(CHANNELS[channel])];
        if self.one_in(4) {
            owners.extend(self.account(model).map(owner));
        }
        let kind = self.pick(&["groupchat", "normal"]);
        let (number, words) = (self.0.next(), self.words());
        let xml = format!("<message type='{kind}'>{number}<body>{words}</body></message>");
        let record = Record {
            owners: &owners,
            from: &from,
            to: to.as_jid(),
            at: Timestamp(model.next_stanza as i64 * 10),
            xml: &xml,
            act: None,
        };
        let appended = tx.append(&record)?;
        assert_eq!((appended.id, appended.at), model.append(&record));
        Ok(())
    }

    fn append(&mut self, tx: &mut Tx, model: &mut Model) -> Result<(), StoreError> {
        let (from, to) = (self.jid(), self.jid());
        let id_of = |jid: &Jid| {
            model
                .accounts
                .get(jid.local().unwrap())
                .map(|account| account.id)
        };
        let mut owners = Vec::new();
        if let Some(account) = id_of(&to) {
            let unseen = self.one_in(2);
            owners.push(Owner {
                account,
                direction: match unseen && self.one_in(4) {
                    true => Direction::Passing,
                    false => Direction::Received,
                },
                unseen,
            });
        }
        if let Some(account) = id_of(&from).filter(|_| from.bare_str() != to.bare_str()) {
            owners.push(Owner {
                account,
                direction: Direction::Sent,
                unseen: false,
            });
        }
        if owners.is_empty() {
            return Ok(());
        }
        let name = self.pick(&["body", "x"]);
        let (filler, words) = ("x".repeat(self.0.below(400)), self.words());
        let xml = format!("<message>{filler}<{name}>{words}</{name}></message>");
        // The clock goes back now and then.
        let at = model.next_stanza as i64 * 10 - self.0.below(15) as i64;
        let at = Timestamp(at + self.leap());
        let record = Record {
            owners: &owners,
            from: &from,
            to: &to,
            at,
            xml: &xml,
            act: None,
        };
        let appended = tx.append(&record)?;
        assert_eq!((appended.id, appended.at), model.append(&record));
        Ok(())
    }

    /// A clock that is wrong for a while.
    fn leap(&mut self) -> i64 {
        match self.0.below(30) {
            0 => 200_000,
            1 => 4_000_000_000_000,
            _ => 0,
        }
    }

    fn time(&mut self, model: &Model) -> Option<Timestamp> {
        self.one_in(2).then(|| {
            let time = self.0.below(model.next_stanza as usize * 10 + 10) as i64 - 5;
            Timestamp(time + self.leap())
        })
    }

    pub fn query(&mut self, model: &Model) -> ArchiveQuery {
        let id = |random: &mut Random, n| random.one_in(n).then(|| random.id(model));
        let (page_after, page_before) = (id(self, 4), id(self, 4));
        ArchiveQuery {
            with: self.one_in(2).then(|| self.jid()),
            without_groupchat: self.one_in(4),
            shows: match self.0.below(4) {
                0 => Shows::Said,
                1 => Shows::SaidAndDone(Before::default()),
                _ => Shows::All,
            },
            start: self.time(model),
            end: self.time(model),
            during: None,
            after_id: id(self, 6),
            before_id: id(self, 6),
            page_after,
            page_before,
            words: self.one_in(2).then(|| {
                let words = [self.pick(&WORDS), self.pick(&WORDS)];
                let count = 1 + self.0.below(2);
                Wanted::parse(&words[..count].join(" ")).expect("words")
            }),
            backward: self.one_in(2) || (page_before.is_some() && page_after.is_none()),
            max: self.0.below(8),
            bytes_max: None,
        }
    }
}
