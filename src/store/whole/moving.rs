//! Rows of another domain: what becomes of addresses in them, and going through a table that changes on the way.
use std::ops::Bound;

use crate::store::StoreError;
use crate::store::engine::table::{TableDefinition, WriteTransaction};

/// Rows held in memory at a time.
pub const ROWS_AT_A_TIME: usize = 500;

/// From one domain to another.
#[derive(Clone, Copy)]
pub struct Move<'m> {
    pub old: &'m str,
    pub new: &'m str,
}

/// What a row becomes; `None`: it stays.
pub type Change<'c> = &'c mut dyn FnMut(&[u8], &[u8]) -> Result<Option<KeyValue>, StoreError>;
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// Rows that come behind where the walk is are seen once more, and are of the new domain by then.
pub fn rewrite<K, V>(
    txn: &WriteTransaction,
    table: TableDefinition<K, V>,
    change: Change<'_>,
) -> Result<(), StoreError> {
    let rows =
        || -> TableDefinition<&'static [u8], &'static [u8]> { TableDefinition::new(table.name()) };
    let mut after: Option<Vec<u8>> = None;
    loop {
        let view = txn.view(rows())?;
        let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut read: Vec<KeyValue> = Vec::new();
        for row in view.range((from, Bound::Unbounded))?.take(ROWS_AT_A_TIME) {
            let (key, value) = row?;
            read.push((key.value().to_vec(), value.value().to_vec()));
        }
        drop(view);
        let Some((last, _)) = read.last() else {
            return Ok(());
        };
        after = Some(last.clone());
        let mut changed = Vec::new();
        for (key, value) in read {
            if let Some(becomes) = change(&key, &value)? {
                changed.push((key, becomes));
            }
        }
        let mut table = txn.open_table(rows())?;
        for (was, (key, value)) in changed {
            if was != key {
                table.remove(&was)?;
            }
            table.insert(&key, &value)?;
        }
    }
}

impl Move<'_> {
    /// `None`: it is of another domain.
    pub fn jid(self, jid: &str) -> Option<String> {
        let (bare, resource) = match jid.find('/') {
            Some(at) => jid.split_at(at),
            None => (jid, ""),
        };
        let (local, domain) = match bare.find('@') {
            Some(at) => bare.split_at(at + 1),
            None => ("", bare),
        };
        // The domain of channels has its name from the server's.
        let label = domain.strip_suffix(self.old)?;
        matches!(label, "" | "chat.").then(|| format!("{local}{label}{}{resource}", self.new))
    }

    pub fn jids(self, jids: Vec<String>) -> Vec<String> {
        let moved = |jid: String| self.jid(&jid).unwrap_or(jid);
        jids.into_iter().map(moved).collect()
    }

    /// The addresses in a stanza's first tag. It was checked before it was stored: attributes stand in quotes, and
    /// nothing of a bare JID is ever escaped.
    pub fn stanza(self, xml: &str) -> Option<String> {
        let mut written = String::new();
        let mut rest = xml;
        let mut is_moved = false;
        loop {
            let quote = rest.find(['\'', '"', '>'])?;
            let (head, behind) = rest.split_at(quote);
            if behind.starts_with('>') {
                written.push_str(rest);
                return is_moved.then_some(written);
            }
            let (mark, behind) = behind.split_at(1);
            let (value, behind) = behind.split_at(behind.find(mark)?);
            let name = head.trim_end_matches([' ', '\n', '=']);
            let is_address = [" from", " to", "\nfrom", "\nto"]
                .iter()
                .any(|address| name.ends_with(address));
            let moved = is_address.then(|| self.jid(value)).flatten();
            is_moved |= moved.is_some();
            for part in [head, mark, moved.as_deref().unwrap_or(value), mark] {
                written.push_str(part);
            }
            rest = behind.split_at(1).1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOVE: Move<'static> = Move {
        old: "a.example",
        new: "b",
    };

    #[test]
    fn only_addresses_of_the_domain_itself_are_moved() {
        for (before, after) in [
            ("a.example", Some("b")),
            ("romeo@a.example", Some("romeo@b")),
            (
                "romeo@a.example/a@a.example/x",
                Some("romeo@b/a@a.example/x"),
            ),
            ("a.example/x", Some("b/x")),
            ("room@chat.a.example/x", Some("room@chat.b/x")),
            ("romeo@x.a.example", None),
            ("romeo@a.example.org", None),
            ("a.example@c", None),
            ("c/a.example", None),
            ("c/x@a.example", None),
        ] {
            assert_eq!(MOVE.jid(before).as_deref(), after, "{before}");
        }
    }

    #[test]
    fn of_a_stanza_only_who_it_is_from_and_to_is_moved() {
        let before = "<message xmlns='jabber:client' from=\"romeo@a.example/x'y\" id='a.example' to='a@a.example' \
                      data-to='a.example'><body to='a.example'>romeo@a.example</body></message>";
        let after = "<message xmlns='jabber:client' from=\"romeo@b/x'y\" id='a.example' to='a@b' \
                     data-to='a.example'><body to='a.example'>romeo@a.example</body></message>";
        assert_eq!(MOVE.stanza(before).as_deref(), Some(after));
        for other in [
            "",
            "<message",
            "<message to='",
            "<message/>",
            "<message to='c'>a.example</message>",
        ] {
            assert_eq!(MOVE.stanza(other), None, "{other}");
        }
    }
}
