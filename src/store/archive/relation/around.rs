//! What stands close to the messages of a page: most often what was said and what was done to it lie side by side, and one walk reads
//! all of it.
use std::collections::{BTreeSet, HashMap};

use super::super::ArchiveId;
use super::super::stanza::StanzaRow;
use super::super::walk::Walk;
use super::kinds::{Facts, Glance, facts};
use crate::store::schema::{RELATED, STANZAS};
use crate::store::{AccountId, StoreError, Tx};
use crate::xmpp::relation::Act;

/// Relations, and bytes of what is read, beyond which it is not worth it.
const RELATIONS_MAX: usize = 500;
const BYTES_MAX: usize = 512 << 10;

/// Of some stanzas of one archive.
pub struct Around {
    facts: HashMap<ArchiveId, Facts>,
    /// The latest first.
    relations: HashMap<ArchiveId, Vec<(Act, ArchiveId)>>,
    later: HashMap<ArchiveId, (String, String)>,
}

impl Around {
    pub fn facts(&self, id: ArchiveId) -> Option<&Facts> {
        self.facts.get(&id)
    }

    /// `None`: it is not one of them.
    pub fn relations(&self, of: ArchiveId) -> Option<&[(Act, ArchiveId)]> {
        let known = self.facts.contains_key(&of);
        known.then(|| self.relations.get(&of).map_or(&[][..], Vec::as_slice))
    }

    pub fn later(&self, id: ArchiveId) -> Option<Glance<'_>> {
        let (sender, xml) = self.later.get(&id)?;
        Some(Glance { id, sender, xml })
    }
}

impl Tx {
    /// `None`: there is too much.
    pub fn around(
        &self,
        archive: AccountId,
        ids: &BTreeSet<ArchiveId>,
    ) -> Result<Option<Around>, StoreError> {
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else {
            return Ok(None);
        };
        let range = (archive.0, first.0, 0)..=(archive.0, last.0, u64::MAX);
        let memory = self.memory()?;
        let table = self.view(RELATED)?;
        // Rows that are damaged are passed over; they were reported.
        let old = table.range(range.clone())?.flatten();
        let old = old.map(|(key, act)| (key.value(), act.value()));
        let new = memory.related.range(range);
        let new = new.map(|(key, act)| (*key, *act));
        let mut around = Around {
            facts: HashMap::new(),
            relations: HashMap::new(),
            later: HashMap::new(),
        };
        let mut wanted = ids.clone();
        for (n, ((_, target, sequence), act)) in old.chain(new).enumerate() {
            if n >= RELATIONS_MAX {
                return Ok(None);
            }
            let target = ArchiveId(target);
            if let Some(act) = Act::numbered(act).filter(|_| ids.contains(&target)) {
                let later = ArchiveId(sequence);
                around
                    .relations
                    .entry(target)
                    .or_default()
                    .push((act, later));
                if !matches!(act, Act::Replies | Act::Delivers) {
                    wanted.insert(later);
                }
            }
        }
        for relations in around.relations.values_mut() {
            relations.sort_unstable_by_key(|(_, id)| std::cmp::Reverse(*id));
        }
        Ok(self
            .read_around(archive, (ids, &wanted), &mut around)?
            .then_some(around))
    }

    fn read_around(
        &self,
        archive: AccountId,
        (ids, wanted): (&BTreeSet<ArchiveId>, &BTreeSet<ArchiveId>),
        around: &mut Around,
    ) -> Result<bool, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let mut walk = Walk::new(&stanzas, false);
        let mut bytes = 0;
        for id in wanted {
            let Some(row) = walk.find(id.0)? else {
                continue;
            };
            let row = StanzaRow::decode(row.value())?;
            if ids.contains(id) {
                around.facts.insert(*id, facts(&row, archive));
            }
            if row.relation.is_some() {
                bytes += row.xml.len();
                let later = (row.sender().to_string(), row.xml.to_string());
                around.later.insert(*id, later);
            }
            if bytes > BYTES_MAX {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
