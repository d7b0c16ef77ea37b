//! What rows of several sessions end with: written once, and gone with the last of these rows.
use std::rc::Rc;

use crate::store::engine::table::{View, WriteTransaction};
use crate::store::schema::{META, META_NEXT_BODY, SHARED_BODIES, SHARED_COUNTS};
use crate::store::{Body, StoreError};

/// One more row ends with it. Returns its number.
pub(super) fn keep(txn: &WriteTransaction, body: &Body) -> Result<u64, StoreError> {
    let mut counts = txn.open_table(SHARED_COUNTS)?;
    if let Some(number) = body.number() {
        let count = counts.get(number)?.map(|row| row.value());
        // Else all rows that ended with it are gone already, and so is it.
        if let Some(count) = count {
            counts.insert(number, count + 1)?;
            return Ok(number);
        }
    }
    let mut meta = txn.open_table(META)?;
    let number = meta.get(META_NEXT_BODY)?.map_or(1, |row| row.value());
    meta.insert(META_NEXT_BODY, number + 1)?;
    txn.open_table(SHARED_BODIES)?
        .insert(number, body.bytes())?;
    counts.insert(number, 1)?;
    body.set_number(number);
    Ok(number)
}

/// These rows are gone, a number for each.
pub(in crate::store) fn release(
    txn: &WriteTransaction,
    numbers: impl IntoIterator<Item = u64>,
) -> Result<(), StoreError> {
    for number in numbers {
        let mut counts = txn.open_table(SHARED_COUNTS)?;
        let count = counts.get(number)?.map_or(0, |row| row.value());
        if count > 1 {
            counts.insert(number, count - 1)?;
            continue;
        }
        counts.remove(number)?;
        txn.open_table(SHARED_BODIES)?.remove(number)?;
    }
    Ok(())
}

/// `None`: it was damaged, and went.
pub(super) fn find(
    bodies: &View<'_, u64, &'static [u8]>,
    number: u64,
) -> Result<Option<Rc<Body>>, StoreError> {
    let row = match bodies.get(number) {
        // Told where it was found; it harms the stanzas that end with it.
        Err(StoreError::Damaged { .. }) => return Ok(None),
        row => row?,
    };
    Ok(row.map(|row| Rc::new(Body::of_store(row.value(), number))))
}

#[cfg(test)]
mod tests {
    use redb::Database;
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::schema::create_tables;

    #[test]
    fn a_body_is_written_once_and_goes_with_its_last_row() {
        let backend = InMemoryBackend::new();
        let database = Database::builder().create_with_backend(backend).unwrap();
        let mut txn = WriteTransaction::begin(&database, Default::default()).unwrap();
        create_tables(&mut txn).unwrap();
        let body = Body::new(b"<body/></message>", &Rc::default());
        let numbers = [(); 3].map(|()| keep(&txn, &body).unwrap());
        assert_eq!(numbers, [1, 1, 1]);
        let there = |number| {
            let bodies = txn.view(SHARED_BODIES).unwrap();
            find(&bodies, number)
                .unwrap()
                .map(|body| body.bytes().len())
        };
        release(&txn, [1, 1]).unwrap();
        assert_eq!(there(1), Some(17));
        release(&txn, [1]).unwrap();
        assert_eq!(there(1), None);
        // It is in memory still, and somebody else needs it.
        assert_eq!(keep(&txn, &body).unwrap(), 2);
        assert_eq!((there(1), there(2)), (None, Some(17)));
        let again = Body::of_store(b"<body/></message>", 2);
        assert_eq!(keep(&txn, &again).unwrap(), 2);
        release(&txn, [2, 2, 7]).unwrap();
        assert_eq!(there(2), None);
    }
}
