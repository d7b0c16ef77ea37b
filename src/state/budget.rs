//! What memory is used for, and how much of it may be.
use std::collections::HashMap;
use std::hash::Hash;

/// A table with fewer places keeps them.
const PLACES_KEPT: usize = 64;

/// A table that has emptied gives its room back; one that is in use keeps it.
pub fn give_back_room<K: Eq + Hash, V>(table: &mut HashMap<K, V>) {
    if table.capacity() > PLACES_KEPT && table.len() < table.capacity() / 4 {
        table.shrink_to(table.len() * 2);
    }
}
