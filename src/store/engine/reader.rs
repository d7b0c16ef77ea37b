//! What batches read through until one of them writes: one snapshot for all of them, and its tables, each opened once.
use std::cell::RefCell;
use std::rc::Rc;

use redb::{Database, ReadTransaction, ReadableDatabase};

use super::damage::caught;
use super::fresh::Fresh;
use super::table::{Plain, Snapshot, Source, Sums, open};
use crate::store::StoreError;

pub struct Reader {
    snapshot: ReadTransaction,
    fresh: Rc<Fresh>,
    tables: RefCell<Vec<(&'static str, Rc<Snapshot>)>>,
}

impl Reader {
    pub fn new(database: &Database, fresh: Rc<Fresh>) -> Result<Reader, StoreError> {
        Ok(Reader {
            fresh,
            snapshot: database.begin_read()?,
            tables: RefCell::default(),
        })
    }

    pub fn source(&self, table: Plain) -> Result<Source<'static>, StoreError> {
        let snapshot = self.opened(table.name)?;
        let fresh = Some(Rc::clone(&self.fresh));
        Ok(Source::of(snapshot, table, (Sums::There, fresh)))
    }

    fn opened(&self, name: &'static str) -> Result<Rc<Snapshot>, StoreError> {
        let mut tables = self.tables.borrow_mut();
        if let Some((_, known)) = tables.iter().find(|(known, _)| *known == name) {
            return Ok(Rc::clone(known));
        }
        let opened = Rc::new(caught(name, &[], || open(&self.snapshot, name))?);
        tables.push((name, Rc::clone(&opened)));
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use crate::store::Store;
    use crate::xmpp::Timestamp;

    #[test]
    fn what_was_read_before_a_commit_is_not_read_after_it() {
        let store = Store::open_backend(InMemoryBackend::new(), 1 << 16).unwrap();
        let is_there = || store.begin().account("romeo").unwrap().is_some();
        assert!(!is_there());
        let mut tx = store.begin();
        let credentials = Default::default();
        tx.add_account("romeo", &credentials, Timestamp(1)).unwrap();
        let commit = tx.finish().unwrap();
        assert!(!is_there(), "the commit has not begun");
        let flush = commit.begin().unwrap();
        assert!(is_there(), "what is not durable yet is read");
        flush.run().unwrap();
        assert!(is_there());
    }
}
