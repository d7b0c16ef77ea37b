//! What batches read through until one of them writes: one snapshot for all of them, and its tables, each opened once.
use std::cell::RefCell;
use std::rc::Rc;

use redb::{Database, ReadTransaction, ReadableDatabase};

use super::damage::caught;
use super::fresh::Fresh;
use super::table::{Row, Snapshot, Sums, TableDefinition, View};
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

    pub fn view<K, V: Row>(
        &self,
        table: TableDefinition<K, V>,
    ) -> Result<View<'static, K, V>, StoreError> {
        let mut tables = self.tables.borrow_mut();
        let known = tables.iter().find(|(name, _)| *name == table.name());
        if let Some((_, known)) = known {
            let view = View::of(Rc::clone(known), table, Sums::There);
            return Ok(view.beside(&self.fresh));
        }
        let opened = caught(table.name(), &[], || table.open(&self.snapshot))?;
        let opened = Rc::new(opened);
        tables.push((table.name(), Rc::clone(&opened)));
        Ok(View::of(opened, table, Sums::There).beside(&self.fresh))
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
