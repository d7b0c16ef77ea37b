//! A segment of the index of words: which of some stanzas of one archive that came one after the other have which term.
//!
//! Rows of `search`, (archive, first stanza, term) -> bytes. Behind all others, where whoever goes back comes first, stands what
//! the segment is as a whole (`Head`); under terms a block of terms in their order, the first of which the key is (`terms`). A
//! block is a page of the file at most.
use super::terms::{Reading, Terms, distances, each, join, sequences};
use crate::store::engine::codec::{Decoder, Encoder, damaged};
use crate::store::engine::table::{Table, WriteTransaction};
use crate::store::schema::SEARCH;
use crate::store::{StoreError, View};

/// With key and sum a row of so many bytes is in one page.
const BLOCK_BYTES: usize = 3_900;
/// Where the head stands: no character of a word.
const HEAD: &str = "\u{10FFFF}";

pub type Rows = (u32, u64, &'static str);
pub type Blocks<'t> = View<'t, Rows, &'static [u8]>;

/// Which segment: the archive, and its first stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub archive: u32,
    pub first: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The last stanza.
    pub last: u64,
    /// Stanzas that are or were in it.
    pub stanzas: u64,
    /// Of more words than are indexed: whoever looks for a word looks at them.
    pub long: Vec<u64>,
}

impl Place {
    fn rows(self) -> std::ops::Range<(u32, u64, &'static str)> {
        (self.archive, self.first, "")..(self.archive, self.first.saturating_add(1), "")
    }

    /// `None`: there is none, or it is damaged, which was reported.
    pub fn head(self, blocks: &Blocks<'_>) -> Result<Option<Head>, StoreError> {
        match blocks.get((self.archive, self.first, HEAD)) {
            Err(StoreError::Damaged { .. }) | Ok(None) => Ok(None),
            Ok(Some(row)) => self.read_head(row.value()).map(Some),
            Err(error) => Err(error),
        }
    }

    fn read_head(self, row: &[u8]) -> Result<Head, StoreError> {
        let mut head = Decoder::new(row);
        Ok(Head {
            last: self.first + head.number()?,
            stanzas: head.number()?,
            long: sequences(head.rest(), self.first)?,
        })
    }

    /// The last segment that begins before this, with its head as `head` has it.
    pub fn before(
        blocks: &Blocks<'_>,
        archive: u32,
        before: u64,
    ) -> Result<Option<(Place, Option<Head>)>, StoreError> {
        let range = (archive, 0, "")..(archive, before, "");
        let Some((key, row)) = blocks.range(range)?.next_back().transpose()? else {
            return Ok(None);
        };
        let (_, first, term) = key.value();
        let place = Place { archive, first };
        let head = match term {
            HEAD => Some(place.read_head(row.value())?),
            _ => None,
        };
        Ok(Some((place, head)))
    }

    /// The first that begins within.
    pub fn within(
        blocks: &Blocks<'_>,
        archive: u32,
        (from, to): (u64, u64),
    ) -> Result<Option<Place>, StoreError> {
        let row = blocks.range((archive, from, "")..(archive, to, ""))?.next();
        Ok(row.transpose()?.map(|(key, _)| Place {
            archive,
            first: key.value().1,
        }))
    }

    /// Adds the stanzas that have a term, or one that begins so. Returns how many blocks were read.
    pub fn find(
        self,
        blocks: &Blocks<'_>,
        (wanted, begins): (&str, bool),
        found: &mut Vec<u64>,
    ) -> Result<u64, StoreError> {
        let Place { archive, first } = self;
        let mut goes_on = true;
        let mut look = |block: &[u8]| {
            each(block, &mut |term, postings| {
                let is_it = match begins {
                    true => term.starts_with(wanted.as_bytes()),
                    false => term == wanted.as_bytes(),
                };
                if is_it {
                    found.extend(sequences(postings, first)?);
                }
                goes_on = begins && is_it || term < wanted.as_bytes();
                Ok(goes_on)
            })?;
            Ok::<_, StoreError>(goes_on)
        };
        let up_to = (archive, first, "")..=(archive, first, wanted);
        let mut read = 0;
        let mut behind = wanted.to_string();
        if let Some((key, block)) = blocks.range(up_to)?.next_back().transpose()? {
            read += 1;
            if !look(block.value())? || !begins {
                return Ok(read);
            }
            // What begins so may begin a block, and be longer.
            behind = [key.value().2, "\0"].concat().max(behind);
        }
        if !begins {
            return Ok(read);
        }
        let rows = (archive, first, behind.as_str())..(archive, first, HEAD);
        for row in blocks.range(rows)? {
            let (key, block) = row?;
            if !key.value().2.starts_with(wanted) {
                break;
            }
            read += 1;
            if !look(block.value())? {
                break;
            }
        }
        Ok(read)
    }

    /// All its terms, with those of a later segment that begins with `first`.
    pub fn joined(
        self,
        blocks: &Blocks<'_>,
        (later, first): (&Terms, u64),
    ) -> Result<Terms, StoreError> {
        let mut all = Terms::default();
        let mut later = Reading::of(&later.bytes);
        let mut more = later.next()?;
        let mut both = Vec::new();
        let mut add = |all: &mut Terms, term: &[u8], earlier: &[u8], later: &[u8]| {
            both.clear();
            join(&mut both, (self.first, earlier), (first, later))?;
            all.push(term, &both);
            Ok::<_, StoreError>(())
        };
        for row in blocks.range(self.rows())? {
            let (key, row) = row?;
            if key.value().2 == HEAD {
                continue;
            }
            let mut earlier = Reading::of(row.value());
            while let Some(postings) = earlier.next()? {
                while let Some(alone) = more.filter(|_| later.term < earlier.term) {
                    add(&mut all, &later.term, &[], alone)?;
                    more = later.next()?;
                }
                match more.filter(|_| later.term == earlier.term) {
                    Some(of_both) => {
                        add(&mut all, &earlier.term, postings, of_both)?;
                        more = later.next()?;
                    }
                    None => all.push(&earlier.term, postings),
                }
            }
        }
        while let Some(alone) = more {
            add(&mut all, &later.term, &[], alone)?;
            more = later.next()?;
        }
        Ok(all)
    }

    pub fn write(
        self,
        txn: &WriteTransaction,
        head: &Head,
        terms: &Terms,
    ) -> Result<(), StoreError> {
        let mut table = txn.open_table(SEARCH)?;
        self.write_head(&mut table, head)?;
        let mut block = Block::default();
        let mut terms = Reading::of(&terms.bytes);
        while let Some(postings) = terms.next()? {
            self.add(&mut table, &mut block, (&terms.term, postings))?;
        }
        self.end(&mut table, &mut block)
    }

    pub fn remove(self, txn: &WriteTransaction) -> Result<(), StoreError> {
        txn.open_table(SEARCH)?.retain_in(self.rows(), |_, _| false)
    }

    /// Blocks in which one of these terms may stand, by their first terms; `None`: all.
    pub fn blocks_of(
        self,
        blocks: &Blocks<'_>,
        terms: Option<&[Box<str>]>,
    ) -> Result<Vec<String>, StoreError> {
        let Place { archive, first } = self;
        let mut firsts: Vec<String> = Vec::new();
        for term in terms.unwrap_or_default() {
            let up_to = (archive, first, "")..=(archive, first, &**term);
            if let Some((key, _)) = blocks.range(up_to)?.next_back().transpose()? {
                let first = key.value().2;
                if !firsts.iter().any(|known| known == first) {
                    firsts.push(first.to_string());
                }
            }
        }
        if terms.is_none() {
            for row in blocks.range(self.rows())? {
                firsts.push(row?.0.value().2.to_string());
            }
        }
        firsts.retain(|first| first != HEAD);
        Ok(firsts)
    }

    /// Leaves only stanzas that `keeps` says, in these blocks and the head; a term that no stanza has goes.
    pub fn retain(
        self,
        txn: &WriteTransaction,
        blocks: &[String],
        keeps: &dyn Fn(u64) -> bool,
    ) -> Result<(), StoreError> {
        let Place { archive, first } = self;
        let view = txn.view(SEARCH)?;
        let Some(mut head) = self.head(&view)? else {
            return Ok(());
        };
        drop(view);
        let mut table = txn.open_table(SEARCH)?;
        for begin in blocks {
            let key = (archive, first, begin.as_str());
            let row = match table.get(key) {
                Err(StoreError::Damaged { .. }) | Ok(None) => continue,
                Ok(Some(row)) => row.value().to_vec(),
                Err(error) => return Err(error),
            };
            table.remove(key)?;
            let mut left = Block::default();
            let mut kept = Vec::new();
            each(&row, &mut |term, postings| {
                let mut sequences = sequences(postings, first)?;
                sequences.retain(|sequence| keeps(*sequence));
                if !sequences.is_empty() {
                    kept.clear();
                    distances(&mut kept, &sequences, first);
                    self.add(&mut table, &mut left, (term, &kept))?;
                }
                Ok(true)
            })?;
            self.end(&mut table, &mut left)?;
        }
        let before = head.long.len();
        head.long.retain(|sequence| keeps(*sequence));
        match head.long.len() == before {
            true => Ok(()),
            false => self.write_head(&mut table, &head),
        }
    }

    /// From now on it is looked at, whatever is looked for.
    pub fn add_long(self, txn: &WriteTransaction, sequence: u64) -> Result<(), StoreError> {
        let view = txn.view(SEARCH)?;
        let head = self.head(&view)?;
        drop(view);
        let Some(mut head) = head else { return Ok(()) };
        head.long.push(sequence);
        head.long.sort_unstable();
        self.write_head(&mut txn.open_table(SEARCH)?, &head)
    }

    fn write_head(self, table: &mut Target<'_>, head: &Head) -> Result<(), StoreError> {
        let mut long = Vec::new();
        distances(&mut long, &head.long, self.first);
        let row = Encoder::default()
            .number(head.last.saturating_sub(self.first))
            .number(head.stanzas)
            .raw(&long);
        table.insert((self.archive, self.first, HEAD), &row.done())
    }

    fn add(
        self,
        table: &mut Target<'_>,
        block: &mut Block,
        (term, postings): (&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        if block.terms.bytes.len() + term.len() + postings.len() > BLOCK_BYTES {
            self.end(table, block)?;
        }
        if block.terms.bytes.is_empty() {
            let first = std::str::from_utf8(term).map_err(|_| damaged())?;
            block.first.push_str(first);
        }
        block.terms.push(term, postings);
        Ok(())
    }

    fn end(self, table: &mut Target<'_>, block: &mut Block) -> Result<(), StoreError> {
        if !block.terms.bytes.is_empty() {
            let key = (self.archive, self.first, block.first.as_str());
            table.insert(key, &block.terms.bytes)?;
        }
        block.first.clear();
        block.terms.clear();
        Ok(())
    }
}

type Target<'t> = Table<'t, Rows, &'static [u8]>;

/// A block that is being written.
#[derive(Default)]
struct Block {
    first: String,
    terms: Terms,
}
