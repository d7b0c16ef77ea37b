//! Which stanza has an id: hashes of the ids that messages came with and of what channels called them, in blocks in the order of arrival. What is asked for came
//! lately most often, so it is looked for from the end; six bytes a message, written one behind the other, where an index by
//! id would touch a page of the file for each.
use super::super::stanza::{bare, is_groupchat};
use crate::store::engine::table::WriteTransaction;
use crate::store::schema::NAMES;
use crate::store::{StoreError, View};
use crate::xml::{Escaped, parse_stored};
use crate::xmpp::ns;
use crate::xmpp::relation::Act;

/// Entries of a block.
const BLOCK_ENTRIES_MAX: usize = 2048;
/// The same when names came among them later.
const BLOCK_ENTRIES_FULL: usize = 2 * BLOCK_ENTRIES_MAX;
/// Blocks that one look goes back through, a quarter of a million messages: who asks for what is not there takes no more.
const BLOCKS_LOOK_MAX: usize = 128;
const ENTRY_BYTES: usize = 6;

/// FNV-1a, of an id as it stands in the stored stanza.
pub fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// The id that a stored stanza came with, as it stands there.
pub fn name_of(xml: &str) -> Option<&str> {
    let tag = xml.split('>').next().unwrap_or_default();
    let (_, behind) = tag.split_once(" id='")?;
    let (name, _) = behind.split_once('\'')?;
    (!name.is_empty()).then_some(name)
}

/// What else a stored stanza is called: by its sender (`origin-id`), or by the channel elsewhere that passed it on (XEP-0359).
fn other_name(xml: &str) -> Option<String> {
    if !xml.contains(ns::STANZA_ID) {
        return None;
    }
    let is_groupchat = is_groupchat(xml);
    // Most senders call it the same in both places.
    let (_, behind) = xml.split_once("<origin-id").unwrap_or_default();
    let tag = behind.split('>').next().unwrap_or_default();
    let is_same = |name| tag.split(['\'', '"']).any(|part| part == name);
    if !is_groupchat && (tag.is_empty() || name_of(xml).is_some_and(is_same)) {
        return None;
    }
    let element = parse_stored(xml, ns::CLIENT).ok()?;
    let message = element.root();
    let id = match is_groupchat {
        true => {
            let from = message.attribute("from")?;
            let mut children = message.children();
            children.find(|child| {
                child.is("stanza-id", ns::STANZA_ID)
                    && child.attribute("by").as_deref() == Some(bare(&from))
            })
        }
        false => message.child("origin-id", ns::STANZA_ID),
    };
    let id = id?.attribute("id").filter(|id| !id.is_empty())?;
    Some(Escaped(&id).to_string())
}

/// The hash of that, if it is not the id it came with.
pub fn second(xml: &str) -> Option<u32> {
    let other = other_name(xml)?;
    (name_of(xml) != Some(&other)).then(|| hash(&other))
}

/// Of all that a stored stanza is called.
pub fn hashes(xml: &str) -> impl Iterator<Item = u32> {
    name_of(xml).map(hash).into_iter().chain(second(xml))
}

/// Whether it is the one that another stanza calls so. Of what a channel passed on its sender's id is for corrections alone
/// (XEP-0424 §5.1, XEP-0444 §4.2, XEP-0333 §4.3).
pub fn is_called(xml: &str, act: Act, name: &str) -> bool {
    let is_name = name_of(xml) == Some(name);
    if is_name && (act == Act::Corrects || !is_groupchat(xml)) {
        return true;
    }
    match other_name(xml) {
        Some(other) => other == name,
        None => is_name,
    }
}

/// Those that are not in the table yet.
#[derive(Default)]
pub struct NewNames(Entries);

impl NewNames {
    /// A stanza came.
    pub fn add(&mut self, sequence: u64, xml: &str) {
        self.0.extend(hashes(xml).map(|hash| (sequence, hash)));
    }

    /// Writes down those of stanzas before one. The last block is filled first.
    pub fn settle(&mut self, txn: &WriteTransaction, before: u64) -> Result<(), StoreError> {
        let view = txn.view(NAMES)?;
        let last = view.range(..)?.next_back().transpose()?;
        let last = last.map(|(key, block)| (key.value(), block.value().to_vec()));
        drop(view);
        let settled = self.0.partition_point(|(sequence, _)| *sequence < before);
        let stays = self.0.split_off(settled);
        write(txn, last.unwrap_or_default(), (&self.0, BLOCK_ENTRIES_MAX))?;
        self.0 = stays;
        Ok(())
    }

    /// Calls `accept` for stanzas before one whose id may be it, newest first, until it says yes.
    pub fn find(
        &self,
        table: &View<'_, u64, &'static [u8]>,
        (hash, before): (u32, u64),
        accept: &mut dyn FnMut(u64) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        for (sequence, of_it) in self.0.iter().rev() {
            if *of_it == hash && *sequence < before && accept(*sequence)? {
                return Ok(());
            }
        }
        for block in table.range(..before)?.rev().take(BLOCKS_LOOK_MAX) {
            // One that is damaged hides what is in it; it was reported.
            let Ok((first, block)) = block else { continue };
            for (sequence, of_it) in entries(first.value(), block.value()).rev() {
                if of_it == hash && sequence < before && accept(sequence)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn entries(first: u64, block: &[u8]) -> impl DoubleEndedIterator<Item = (u64, u32)> {
    block.chunks_exact(ENTRY_BYTES).filter_map(move |entry| {
        let (delta, hash) = entry.split_first_chunk()?;
        let sequence = first + u64::from(u16::from_le_bytes(*delta));
        Some((sequence, u32::from_le_bytes(hash.try_into().ok()?)))
    })
}

/// Writes names of stanzas down among those of before; in the order of arrival.
pub fn put_among(txn: &WriteTransaction, names: &[(u64, u32)]) -> Result<(), StoreError> {
    let mut left = names;
    while let Some((sequence, _)) = left.first() {
        let (block, end) = around(&txn.view(NAMES)?, *sequence)?;
        let (here, others) = left.split_at(left.partition_point(|name| name.0 < end));
        left = others;
        let Some(mut all) = block else { continue };
        for name in here {
            // Those of a stanza stand side by side, in whatever order.
            let begin = all.partition_point(|known| known.0 < name.0);
            let of_it = all.iter().skip(begin).take_while(|known| known.0 == name.0);
            if !of_it.clone().any(|known| known == name) {
                all.insert(begin + of_it.count(), *name);
            }
        }
        write(txn, Block::default(), (&all, BLOCK_ENTRIES_FULL))?;
    }
    Ok(())
}

/// The entries of the block that those of a stanza belong to, and where the next begins. One that is damaged is left alone; it was
/// reported.
fn around(
    table: &View<'_, u64, &'static [u8]>,
    sequence: u64,
) -> Result<(Option<Entries>, u64), StoreError> {
    let behind = table.range(sequence + 1..)?.find_map(Result::ok);
    let end = behind.map_or(u64::MAX, |(key, _)| key.value());
    let block = match table.range(..=sequence)?.next_back() {
        None => Some(Vec::new()),
        Some(Err(_)) => None,
        Some(Ok((first, block))) => Some(entries(first.value(), block.value()).collect()),
    };
    Ok((block, end))
}

/// Stanzas and the hashes of their names.
type Entries = Vec<(u64, u32)>;

/// Its first sequence, and its entries: how far behind the first each is, and the hash.
type Block = (u64, Vec<u8>);

fn write(
    txn: &WriteTransaction,
    mut block: Block,
    (names, entries_max): (&[(u64, u32)], usize),
) -> Result<(), StoreError> {
    let mut table = txn.open_table(NAMES)?;
    let mut is_changed = false;
    for (sequence, hash) in names {
        let has_room = (1..entries_max * ENTRY_BYTES).contains(&block.1.len());
        let delta = sequence.checked_sub(block.0).map(u16::try_from);
        let delta = match delta {
            Some(Ok(delta)) if has_room => delta,
            _ => {
                if is_changed {
                    table.insert(block.0, block.1.as_slice())?;
                }
                block = (*sequence, Vec::new());
                0
            }
        };
        block.1.extend(delta.to_le_bytes());
        block.1.extend(hash.to_le_bytes());
        is_changed = true;
    }
    if is_changed {
        table.insert(block.0, block.1.as_slice())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn found(
        names: &NewNames,
        tx: &crate::store::Tx,
        name: &str,
        before: u64,
    ) -> Result<Vec<u64>, StoreError> {
        let mut found = Vec::new();
        let table = tx.view(NAMES)?;
        names.find(&table, (hash(name), before), &mut |sequence| {
            found.push(sequence);
            Ok(false)
        })?;
        Ok(found)
    }

    #[test]
    fn the_id_is_that_of_the_message() {
        for (xml, expected) in [
            ("<message id='a' to='b'><x id='c'/></message>", Some("a")),
            ("<message to='b' id='a&apos;'/>", Some("a&apos;")),
            ("<message to='b'><x id='c'/></message>", None),
            ("<message id=''/>", None),
        ] {
            assert_eq!(name_of(xml), expected);
        }
    }

    #[test]
    fn a_message_may_have_two_names() {
        const CALLED: &str = "<message from='c@x/1' id='a' type='groupchat'>\
            <stanza-id xmlns='urn:xmpp:sid:0' by='d@x' id='d'/><stanza-id xmlns='urn:xmpp:sid:0' by='c@x' id='c'/></message>";
        const NOT_CALLED: &str = "<message from='c@x/1' id='a' type='groupchat'>\
            <origin-id xmlns='urn:xmpp:sid:0' id='o'/></message>";
        const ONES_OWN: &str =
            "<message from='r@x/1' id='a'><origin-id xmlns='urn:xmpp:sid:0' id='o'/></message>";
        const UNNAMED: &str =
            "<message from='r@x/1'><origin-id xmlns='urn:xmpp:sid:0' id='o'/></message>";
        const NAMED_ALIKE: &str =
            "<message from='r@x/1' id='a'><origin-id xmlns='urn:xmpp:sid:0' id=\"a\"/></message>";
        for (xml, act, expected) in [
            (CALLED, Act::Reacts, &["c"][..]),
            (CALLED, Act::Corrects, &["a", "c"]),
            (NOT_CALLED, Act::Reacts, &["a"]),
            (ONES_OWN, Act::Reacts, &["a", "o"]),
            (ONES_OWN, Act::Corrects, &["a", "o"]),
            (UNNAMED, Act::Reacts, &["o"]),
            (NAMED_ALIKE, Act::Reacts, &["a"]),
        ] {
            let names = ["a", "c", "d", "o"].into_iter();
            let names: Vec<&str> = names.filter(|name| is_called(xml, act, name)).collect();
            assert_eq!(names, expected, "{act:?} {xml}");
        }
    }

    #[test]
    fn names_are_found_newest_first_however_they_lie() -> Result<(), StoreError> {
        let store = Store::open_backend(redb::backends::InMemoryBackend::new(), 1 << 20)?;
        let mut tx = store.begin();
        let mut names = NewNames::default();
        let mut sequence = 10;
        let mut all = Vec::new();
        for round in 0..9_u64 {
            for n in 0..700_u64 {
                // Now and then many have no id.
                sequence += if n == 350 { 70_000 } else { 1 + n % 3 };
                let name = format!("m{}", n % 100);
                names.add(sequence, &format!("<message id='{name}'/>"));
                all.push((sequence, name));
            }
            if round != 8 {
                names.settle(tx.writing()?.txn, u64::MAX)?;
            }
        }
        for (name, before) in [
            ("m0", u64::MAX),
            ("m99", u64::MAX),
            ("m7", 400_000),
            ("m7", 11),
        ] {
            let expected = all.iter().rev();
            let expected = expected.filter(|(at, of_it)| of_it == name && *at < before);
            let expected: Vec<u64> = expected.map(|(at, _)| *at).collect();
            assert_eq!(
                found(&names, &tx, name, before)?,
                expected,
                "{name} {before}"
            );
        }
        assert!(found(&names, &tx, "m100", u64::MAX)?.is_empty());
        Ok(())
    }

    #[test]
    fn one_look_goes_back_so_far() -> Result<(), StoreError> {
        let store = Store::open_backend(redb::backends::InMemoryBackend::new(), 1 << 22)?;
        let mut tx = store.begin();
        let mut names = NewNames::default();
        names.add(1, "<message id='first'/>");
        let entries = u64::try_from(BLOCK_ENTRIES_MAX * BLOCKS_LOOK_MAX).unwrap();
        for sequence in 2..entries {
            names.add(sequence, "<message id='m'/>");
        }
        names.settle(tx.writing()?.txn, u64::MAX)?;
        assert_eq!(found(&names, &tx, "first", u64::MAX)?, [1]);
        names.add(entries, "<message id='m'/>");
        names.add(entries + 1, "<message id='m'/>");
        names.settle(tx.writing()?.txn, u64::MAX)?;
        assert!(found(&names, &tx, "first", u64::MAX)?.is_empty());
        Ok(())
    }
}
