//! What batches read through until one of them writes: one snapshot for all of them, and its tables, each opened once.
use std::cell::RefCell;
use std::rc::Rc;

use redb::{Database, ReadTransaction, ReadableDatabase};

use super::StoreError;
use super::table::{Snapshot, TableDefinition, View};

pub struct Reader {
    snapshot: ReadTransaction,
    tables: RefCell<Vec<(&'static str, Rc<Snapshot>)>>,
}

impl Reader {
    pub fn new(database: &Database) -> Result<Reader, StoreError> {
        Ok(Reader {
            snapshot: database.begin_read()?,
            tables: RefCell::default(),
        })
    }

    pub fn view<K, V>(
        &self,
        table: TableDefinition<K, V>,
    ) -> Result<View<'static, K, V>, StoreError> {
        let mut tables = self.tables.borrow_mut();
        let known = tables.iter().find(|(name, _)| *name == table.name());
        if let Some((_, known)) = known {
            return Ok(View::of(Rc::clone(known), table));
        }
        let opened = Rc::new(table.open(&self.snapshot)?);
        tables.push((table.name(), Rc::clone(&opened)));
        Ok(View::of(opened, table))
    }
}
