//! What was written and is not durable yet. Whoever is told of it must wait for the disk, and nobody else: a step that read or
//! wrote it, and what comes after that step for the same account or connection. Kept as bits for hashes of accounts, keys and
//! connections; where two fall on the same bits, somebody waits who need not.
use std::cell::{Cell, RefCell};

/// Commits are counted; 0 is durable from the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

const WORDS: usize = 64;
/// An account's number.
const ACCOUNT_BYTES: usize = 4;
/// Longer keys that are texts are told apart by so much of them.
const TEXT_BYTES: usize = 16;

#[derive(Debug)]
pub struct Fresh {
    /// Of the commit on its way to the disk, if there is one, and of what is not committed yet.
    under_way: RefCell<Bits>,
    open: RefCell<Bits>,
    /// The next commit.
    next: Cell<Epoch>,
    durable: Cell<Epoch>,
    /// The latest that a step came upon.
    met: Cell<Epoch>,
    /// Rows were written that are in no journal, since the file was made durable.
    pub has_derived: Cell<bool>,
}

#[derive(Debug)]
struct Bits {
    words: [u64; WORDS],
    is_empty: bool,
}

impl Default for Fresh {
    fn default() -> Fresh {
        Fresh {
            under_way: RefCell::default(),
            open: RefCell::default(),
            next: Cell::new(Epoch(1)),
            durable: Cell::default(),
            met: Cell::default(),
            has_derived: Cell::default(),
        }
    }
}

impl Fresh {
    /// The batch was committed and is on its way to the disk.
    pub fn commit(&self) -> Epoch {
        self.under_way.swap(&self.open);
        self.open.borrow_mut().clear();
        let epoch = self.next.get();
        self.next.set(Epoch(epoch.0 + 1));
        epoch
    }

    /// Everything up to this commit is on the disk.
    pub fn is_durable(&self, epoch: Epoch) {
        self.durable.set(epoch);
        self.under_way.borrow_mut().clear();
    }

    /// The latest commit that is on the disk.
    pub fn durable(&self) -> Epoch {
        self.durable.get()
    }

    /// The commit that has to be durable before anybody hears of what was read and written since the last call.
    pub fn take_met(&self) -> Epoch {
        self.met.take()
    }

    /// A row was written.
    pub fn wrote(&self, key: &[u8]) {
        let mut open = self.open.borrow_mut();
        open.is_empty = false;
        if let Some(hash) = of_key(key) {
            open.set(hash);
        }
        self.met.set(self.next.get());
    }

    /// A row was looked for.
    pub fn read(&self, key: &[u8]) {
        if self.is_clean() {
            return;
        }
        if let Some(hash) = of_key(key) {
            self.met.set(self.met.get().max(self.of(hash)));
        }
    }

    /// Everything there is, is durable with this.
    pub fn latest(&self) -> Epoch {
        let next = self.next.get();
        match (
            self.open.borrow().is_empty,
            self.under_way.borrow().is_empty,
        ) {
            (false, _) => next,
            (true, false) => Epoch(next.0 - 1),
            (true, true) => self.durable.get(),
        }
    }

    /// All that is known is durable.
    pub fn is_clean(&self) -> bool {
        self.under_way.borrow().is_empty && self.open.borrow().is_empty
    }

    pub fn mark_account(&self, account: u32, epoch: Epoch) {
        if let Some(hash) = of_key(&account.to_be_bytes()) {
            self.mark(hash, epoch);
        }
    }

    pub fn mark_connection(&self, connection: u64, epoch: Epoch) {
        self.mark(of_connection(connection), epoch);
    }

    /// What an account's sessions are sent must wait for this commit.
    pub fn of_account(&self, account: u32) -> Epoch {
        of_key(&account.to_be_bytes()).map_or(Epoch(0), |hash| self.of(hash))
    }

    pub fn of_connection(&self, connection: u64) -> Epoch {
        self.of(of_connection(connection))
    }

    fn mark(&self, hash: u64, epoch: Epoch) {
        if epoch >= self.next.get() {
            self.open.borrow_mut().set(hash);
        } else if epoch > self.durable.get() {
            self.under_way.borrow_mut().set(hash);
        }
    }

    fn of(&self, hash: u64) -> Epoch {
        if self.open.borrow().has(hash) {
            return self.next.get();
        }
        match self.under_way.borrow().has(hash) {
            true => Epoch(self.next.get().0 - 1),
            false => Epoch(0),
        }
    }
}

impl Default for Bits {
    fn default() -> Bits {
        Bits {
            words: [0; WORDS],
            is_empty: true,
        }
    }
}

impl Bits {
    fn set(&mut self, hash: u64) {
        self.is_empty = false;
        for (word, bit) in places(hash) {
            if let Some(word) = self.words.get_mut(word) {
                *word |= bit;
            }
        }
    }

    fn has(&self, hash: u64) -> bool {
        let is_set = |(word, bit): (usize, u64)| self.words.get(word).is_some_and(|w| w & bit != 0);
        !self.is_empty && places(hash).into_iter().all(is_set)
    }

    fn clear(&mut self) {
        if !self.is_empty {
            *self = Bits::default();
        }
    }
}

/// Two bits: which word, and which of its bits.
fn places(hash: u64) -> [(usize, u64); 2] {
    [hash, hash >> 32].map(|part| {
        let word = usize::try_from(part >> 6 & 63).unwrap_or(0);
        (word, 1 << (part & 63))
    })
}

/// Keys of an account's rows begin with its number, so they stand for the account; others are texts, or the sequence of a
/// stanza, whose owners are marked instead.
fn of_key(key: &[u8]) -> Option<u64> {
    let length = match key.first()? {
        // 0xFF: a service stands where accounts do, and no text begins so.
        0 | 0xFF => ACCOUNT_BYTES,
        _ => TEXT_BYTES,
    };
    let key = key.get(..length).unwrap_or(key);
    let is_nobody = key.iter().all(|byte| *byte == 0);
    (!is_nobody).then(|| {
        hash(key.chunks(8).map(|part| {
            let mut bytes = [0; 8];
            bytes
                .iter_mut()
                .zip(part)
                .for_each(|(byte, of)| *byte = *of);
            u64::from_le_bytes(bytes)
        }))
    })
}

fn of_connection(connection: u64) -> u64 {
    hash([!connection].into_iter())
}

fn hash(parts: impl Iterator<Item = u64>) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    parts.fold(ODD, |hash, part| {
        let mixed = (hash ^ part).wrapping_mul(ODD);
        mixed ^ mixed >> 29
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Epoch = Epoch(0);

    #[test]
    fn what_was_written_is_fresh_until_it_is_durable() {
        let fresh = Fresh::default();
        let romeo = 7_u32.to_be_bytes();
        fresh.wrote(&[&romeo[..], b"juliet"].concat());
        let first = fresh.take_met();
        assert_eq!((first, fresh.take_met()), (Epoch(1), NOTHING));
        fresh.read(&[&romeo[..], b"mercutio"].concat());
        fresh.read(&8_u32.to_be_bytes());
        assert_eq!(fresh.take_met(), first);
        assert_eq!(fresh.commit(), first);
        assert_eq!((fresh.of_account(7), fresh.of_account(8)), (first, NOTHING));
        fresh.wrote(b"romeo");
        let second = fresh.take_met();
        assert_eq!(second, Epoch(2));
        fresh.read(b"rome");
        assert_eq!(fresh.take_met(), NOTHING);
        fresh.read(b"romeo");
        assert_eq!(fresh.take_met(), second);
        assert_eq!(fresh.latest(), second);
        fresh.is_durable(first);
        assert!(!fresh.is_clean());
        assert_eq!(fresh.of_account(7), NOTHING);
        fresh.is_durable(fresh.commit());
        assert!(fresh.is_clean());
        assert_eq!(fresh.durable(), second);
    }

    #[test]
    fn whoever_is_marked_waits_as_long_as_that() {
        let fresh = Fresh::default();
        fresh.mark_connection(3, Epoch(1));
        fresh.mark_account(5, Epoch(1));
        let first = fresh.commit();
        fresh.mark_connection(4, Epoch(2));
        fresh.mark_connection(6, first);
        let until = [3, 4, 5, 6].map(|connection| fresh.of_connection(connection));
        assert_eq!(until, [first, Epoch(2), NOTHING, first]);
        assert_eq!(fresh.of_account(5), first);
        fresh.is_durable(first);
        fresh.mark_connection(9, first);
        assert_eq!(fresh.of_connection(9), NOTHING);
        assert_eq!(fresh.of_connection(4), Epoch(2));
    }

    #[test]
    fn stanzas_are_known_by_their_owners() {
        let fresh = Fresh::default();
        fresh.mark_account(1, Epoch(1));
        fresh.read(&4711_u64.to_be_bytes());
        assert_eq!(fresh.take_met(), NOTHING);
    }
}
