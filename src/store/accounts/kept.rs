//! A stanza as it is kept until it is acknowledged: a head of its own, and what many others that were sent at once end with.
use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

/// What several stanzas end with; in memory once.
#[derive(Debug)]
pub struct Body {
    bytes: Box<[u8]>,
    /// Where its bytes are counted as long as it is there.
    counter: Option<Rc<Cell<usize>>>,
    /// In the store, if it was written there.
    number: Cell<Option<u64>>,
}

impl Body {
    pub fn new(bytes: &[u8], counter: &Rc<Cell<usize>>) -> Body {
        counter.set(counter.get() + bytes.len());
        Body {
            bytes: bytes.into(),
            counter: Some(Rc::clone(counter)),
            number: Cell::new(None),
        }
    }

    pub(in crate::store) fn of_store(bytes: &[u8], number: u64) -> Body {
        Body {
            bytes: bytes.into(),
            counter: None,
            number: Cell::new(Some(number)),
        }
    }

    pub(in crate::store) fn number(&self) -> Option<u64> {
        self.number.get()
    }

    pub(in crate::store) fn set_number(&self, number: u64) {
        self.number.set(Some(number));
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(counter) = &self.counter {
            counter.set(counter.get().saturating_sub(self.bytes.len()));
        }
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Body) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Body {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub head: Box<[u8]>,
    pub body: Option<Rc<Body>>,
}

impl Kept {
    /// All of it, in one piece.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match &self.body {
            None => Cow::Borrowed(&self.head),
            Some(body) => Cow::Owned([&self.head, body.bytes()].concat()),
        }
    }

    pub fn len(&self) -> usize {
        let body = self.body.as_ref().map_or(0, |body| body.bytes.len());
        self.head.len() + body
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it shares with others, and is counted elsewhere.
    pub fn shared_len(&self) -> usize {
        let body = self.body.as_ref();
        let shared = body.filter(|body| body.counter.is_some());
        shared.map_or(0, |body| body.bytes.len())
    }
}

impl From<Box<[u8]>> for Kept {
    fn from(head: Box<[u8]>) -> Kept {
        Kept { head, body: None }
    }
}
