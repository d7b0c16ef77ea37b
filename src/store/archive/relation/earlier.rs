//! Stanzas of before it was noted what they are called and what they do to each other: it is looked for later, in steps, while
//! the server serves.
use super::super::rewrite;
use super::super::stanza::{Relation, StanzaRow, peer_hash};
use super::Named;
use super::names::{self, NewNames};
use crate::store::engine::table::WriteTransaction;
use crate::store::schema::{
    META, META_CHECKPOINT, META_NAME_END, META_NAME_FROM, META_RELATE_END, META_RELATE_FROM,
    RELATED, STANZAS, create_tables,
};
use crate::store::{AccountId, ArchiveId, StoreError, Tx, Writing};
use crate::xml::parse_stored;
use crate::xmpp::ns;
use crate::xmpp::relation::{Act, act_of, says_an_act};

/// Stanzas between two lines in the log.
const PROGRESS_STANZAS: u64 = 100_000;
/// Most have one name only, and a look tells.
const NAMED_PER_RELATED: usize = 8;

/// A file of before there were relations: names are written at once, what stanzas do is looked for later, in steps.
pub(in crate::store) fn begin_to_relate(txn: &mut WriteTransaction) -> Result<(), StoreError> {
    create_tables(txn)?;
    let checkpoint = txn
        .view(META)?
        .get(META_CHECKPOINT)?
        .map_or(1, |row| row.value());
    let mut names = NewNames::default();
    let (mut first, mut end) = (None, 0);
    for row in txn.view(STANZAS)?.range(..)? {
        let Ok((key, row)) = row else { continue };
        let sequence = key.value();
        first.get_or_insert(sequence);
        if sequence / PROGRESS_STANZAS != end / PROGRESS_STANZAS {
            log::info!("store.upgrade stanza={sequence}");
        }
        end = sequence + 1;
        // Those behind are read when the file is opened.
        if sequence < checkpoint {
            names.add(sequence, StanzaRow::decode(row.value())?.xml);
        }
    }
    names.settle(txn, u64::MAX)?;
    if let Some(first) = first {
        let mut meta = txn.open_table(META)?;
        meta.insert(META_RELATE_FROM, first)?;
        meta.insert(META_RELATE_END, end)?;
    }
    Ok(())
}

/// A file of before it was noted what else stanzas are called: that is done later, in steps, and then what names them so is
/// looked for once more.
pub(in crate::store) fn begin_to_name(txn: &mut WriteTransaction) -> Result<(), StoreError> {
    let stanzas = txn.view(STANZAS)?;
    let mut rows = stanzas.range(..)?.flatten().map(|(key, _)| key.value());
    let Some(first) = rows.next() else {
        return Ok(());
    };
    let end = rows.next_back().unwrap_or(first) + 1;
    let mut meta = txn.open_table(META)?;
    let checkpoint = meta.get(META_CHECKPOINT)?.map_or(1, |row| row.value());
    meta.insert(META_NAME_FROM, first)?;
    // Those behind are read when the file is opened.
    meta.insert(META_NAME_END, checkpoint.min(end))?;
    meta.insert(META_RELATE_FROM, first)?;
    meta.insert(META_RELATE_END, end)
}

/// What was to be done from one stanza up to another, and is done up to one between.
struct Stretch {
    keys: [&'static str; 2],
    from: u64,
    next: u64,
    end: u64,
}

/// Stanzas by their sequences.
type Rows = Vec<(u64, Vec<u8>)>;

impl Stretch {
    /// Writes down how far it is. `told`: done, doing. False: all is done.
    fn advance(&self, txn: &WriteTransaction, told: [&str; 2]) -> Result<bool, StoreError> {
        let Stretch {
            from, next, end, ..
        } = *self;
        let [from_key, end_key] = self.keys;
        let [done, doing] = told;
        let mut meta = txn.open_table(META)?;
        if next < end {
            meta.insert(from_key, next)?;
        } else {
            meta.remove(from_key)?;
            meta.remove(end_key)?;
            log::info!("archive.{done} stanzas_before={end}");
        }
        if next < end && from / PROGRESS_STANZAS != next / PROGRESS_STANZAS {
            log::info!("archive.{doing} stanza={next} of={end}");
        }
        Ok(next < end)
    }
}

/// Whose archives a stanza is in, and what it does.
pub type Found = (Vec<AccountId>, ArchiveId, Relation);

/// A step.
#[derive(Default)]
pub struct Related {
    /// It was not the last one.
    pub more: bool,
    /// What stanzas were found to do to others, and the archives that have both.
    pub found: Vec<Found>,
}

impl Tx {
    /// Notes the names of stanzas of before that was done; then the relations of up to `max`.
    pub fn relate_step(&mut self, max: usize) -> Result<Related, StoreError> {
        let mut related = Related::default();
        let name = [META_NAME_FROM, META_NAME_END];
        if let Some((stretch, rows)) = self.stretch(name, max * NAMED_PER_RELATED)? {
            let mut names = Vec::new();
            for (sequence, row) in rows {
                let second = names::second(StanzaRow::decode(&row)?.xml);
                names.extend(second.map(|hash| (sequence, hash)));
            }
            let Writing { txn, .. } = self.writing()?;
            names::put_among(txn, &names)?;
            stretch.advance(txn, ["named", "naming"])?;
            related.more = true;
            return Ok(related);
        }
        let relate = [META_RELATE_FROM, META_RELATE_END];
        let Some((stretch, rows)) = self.stretch(relate, max)? else {
            return Ok(related);
        };
        for (sequence, row) in rows {
            let found = self.relate(sequence, &row)?;
            related.found.extend(found);
        }
        related.more = stretch.advance(self.writing()?.txn, ["related", "relating"])?;
        Ok(related)
    }

    /// Of what is still to be done between the two numbers that keys name, up to `max` stanzas. `None`: nothing is.
    fn stretch(
        &self,
        keys: [&'static str; 2],
        max: usize,
    ) -> Result<Option<(Stretch, Rows)>, StoreError> {
        let meta = self.view(META)?;
        let number = |key| Ok::<_, StoreError>(meta.get(key)?.map(|row| row.value()));
        let [from, end] = keys;
        let Some((from, end)) = number(from)?.zip(number(end)?) else {
            return Ok(None);
        };
        let stanzas = self.view(STANZAS)?;
        let rows = stanzas.range(from..end.max(from))?.flatten().take(max);
        let rows: Rows = rows
            .map(|(key, row)| (key.value(), row.value().to_vec()))
            .collect();
        let next = match rows.last() {
            Some((last, _)) if rows.len() == max => last + 1,
            _ => end,
        };
        let stretch = Stretch {
            keys,
            from,
            next,
            end,
        };
        Ok(Some((stretch, rows)))
    }

    /// What a stanza does, in the archives it is in.
    fn relate(&mut self, sequence: u64, row: &[u8]) -> Result<Option<Found>, StoreError> {
        let stanza = StanzaRow::decode(row)?;
        if stanza.relation.is_some() || !says_an_act(stanza.xml) {
            return Ok(None);
        }
        let Ok(element) = parse_stored(stanza.xml, ns::CLIENT) else {
            return Ok(None);
        };
        let Some((act, name)) = act_of(element.root()) else {
            return Ok(None);
        };
        let Some(relation) = self.relation_of(&stanza, sequence, (act, Named::Id(&name)))? else {
            return Ok(None);
        };
        self.note_relation(sequence, row, relation).map(Some)
    }

    /// A stanza does something to another one, as it turned out later.
    pub(super) fn note_relation(
        &mut self,
        sequence: u64,
        row: &[u8],
        relation: Relation,
    ) -> Result<Found, StoreError> {
        let stanza = StanzaRow::decode(row)?;
        let owners: Vec<AccountId> = stanza.owners.iter().map(|owner| owner.account).collect();
        let places = stanza.owners.iter().map(|owner| {
            let account = owner.account;
            (account.0, peer_hash(stanza.peer(account)))
        });
        let places: Vec<(u32, u64)> = places.collect();
        let Writing { txn, mut memory } = self.writing()?;
        memory.settle_moving(txn, sequence)?;
        let is_settled = memory.is_settled(sequence);
        for owner in &owners {
            let key = (owner.0, relation.target.0, sequence);
            match is_settled {
                true => txn
                    .open_table(RELATED)?
                    .insert(key, relation.act.number())?,
                false => _ = memory.related.insert(key, relation.act.number()),
            }
        }
        // What is done to a correction is done to what it corrects, and it is no message of its own: of this the row itself tells.
        // So it does of what is in memory only.
        if relation.act == Act::Corrects || !is_settled {
            let mut now = StanzaRow {
                relation: Some(relation),
                ..stanza
            };
            let kind = now.kind_told();
            now.noted_kind = now.noted_kind.map(|_| kind);
            if now.noted_kind.is_some() {
                rewrite::change_kinds((txn, &mut memory), (&places, sequence), kind)?;
            }
            let bytes = now.encode();
            memory.changed(sequence, row.len(), Some(bytes.len()));
            txn.open_table(STANZAS)?
                .insert(sequence, bytes.as_slice())?;
            memory.save(txn)?;
        }
        Ok((owners, ArchiveId(sequence), relation))
    }
}
