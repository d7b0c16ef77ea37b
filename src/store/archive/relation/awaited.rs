//! A stanza comes that others, which came before, are about (`ahead`).
use super::super::stanza::StanzaRow;
use super::Candidate;
use super::ahead::AHEAD_MS_MAX;
use super::earlier::Found;
use super::names;
use crate::store::schema::STANZAS;
use crate::store::{ArchiveId, StoreError, Tx};
use crate::xml::{Escaped, parse_stored};
use crate::xmpp::ns;
use crate::xmpp::relation::act_of;

impl Tx {
    /// A stanza came that was awaited: what those that came before do to it is noted now.
    pub fn relate_ahead(&mut self, id: ArchiveId) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::new();
        let Some(row) = self.row_of(id.0)? else {
            return Ok(found);
        };
        let target = StanzaRow::decode(&row)?;
        let taken = self.writing()?.memory.ahead.take(target.xml);
        for sequence in taken {
            let Some(row) = self.row_of(sequence)? else {
                continue;
            };
            let stanza = StanzaRow::decode(&row)?;
            let Ok(element) = parse_stored(stanza.xml, ns::CLIENT) else {
                continue;
            };
            let act = act_of(element.root()).filter(|_| stanza.relation.is_none());
            let Some((act, name)) = act else { continue };
            let name = Escaped(&name).to_string();
            let candidate = Candidate::of(id.0, &target);
            let is_close = target.at.0.abs_diff(stanza.at.0) <= AHEAD_MS_MAX;
            let is_called = || names::is_called(target.xml, act, &name);
            if is_close && is_called() && candidate.may_be(act, &stanza) {
                let relation = candidate.done(act);
                found.push(self.note_relation(sequence, &row, relation)?);
            }
        }
        Ok(found)
    }

    fn row_of(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreError> {
        match self.view(STANZAS)?.get(sequence) {
            Err(StoreError::Damaged { .. }) => Ok(None),
            row => Ok(row?.map(|row| row.value().to_vec())),
        }
    }
}
