//! A stanza in the outbox's buffer. What goes to many has a head for each, and one body that lies there once: as often as it
//! is sent, and once in memory for all who have not acknowledged it (XEP-0198) or are not to hear it yet (XEP-0352).
use std::cell::{Cell, OnceCell};
use std::ops::Range;
use std::rc::Rc;

use crate::store::{Body, Kept};

use super::Outbox;

/// A body of fewer bytes is copied behind each head: up to there both take about as long (measured: 50 to 90 ns for each
/// who hears it, and beyond it never longer), and it takes little room.
pub const SHARED_BYTES_MIN: usize = 512;

/// The end of many stanzas, written to the buffer.
#[derive(Debug)]
pub struct Shared {
    place: Range<usize>,
    /// Once somebody has to keep it.
    kept: OnceCell<Rc<Body>>,
}

impl Shared {
    pub fn at(place: Range<usize>) -> Shared {
        Shared {
            place,
            kept: OnceCell::new(),
        }
    }

    /// Where it lies in the buffer.
    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    fn is_small(&self) -> bool {
        self.place.len() < SHARED_BYTES_MIN
    }
}

/// A stanza in the buffer.
#[derive(Clone, Debug)]
pub struct Written<'s> {
    pub head: Range<usize>,
    body: Option<&'s Shared>,
}

impl From<Range<usize>> for Written<'_> {
    fn from(head: Range<usize>) -> Self {
        Written { head, body: None }
    }
}

impl<'s> Written<'s> {
    pub fn new(head: Range<usize>, body: Option<&'s Shared>) -> Written<'s> {
        Written { head, body }
    }

    /// A stanza that is the same for all of so many.
    pub fn for_all(stanza: &'s Shared, hearers: usize) -> Written<'s> {
        match stanza.is_small() || hearers < 2 {
            true => Written::from(stanza.place.clone()),
            false => Written {
                head: stanza.place.start..stanza.place.start,
                body: Some(stanza),
            },
        }
    }

    /// Where the rest of it lies.
    pub fn body(&self) -> Option<Range<usize>> {
        self.body.map(|shared| shared.place.clone())
    }

    pub fn byte_count(&self) -> usize {
        self.head.len() + self.body.map_or(0, |shared| shared.place.len())
    }
}

impl Outbox {
    /// Gives a body that is in the buffer a head, which `write` writes.
    pub fn with_head<'s>(
        &mut self,
        shared: &'s Shared,
        write: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Written<'s> {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let body = match shared.is_small() {
            true => {
                self.bytes.extend_from_within(shared.place.clone());
                None
            }
            false => Some(shared),
        };
        let head = start..self.bytes.len();
        Written { head, body }
    }

    /// To be kept when the buffer is gone. `counter`: of all bytes that are shared.
    pub fn keep(&self, stanza: &Written<'_>, counter: &Rc<Cell<usize>>) -> Kept {
        let bytes = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        let body = stanza.body.map(|shared| {
            let body = || Rc::new(Body::new(bytes(&shared.place), counter));
            Rc::clone(shared.kept.get_or_init(body))
        });
        Kept {
            head: bytes(&stanza.head).into(),
            body,
        }
    }

    /// Writes to the buffer what was kept: its head, and its body if that is shared.
    pub fn write_kept(&mut self, kept: &Kept) -> (Range<usize>, Option<Shared>) {
        let shared = kept.body.as_ref().map(|body| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(body.bytes());
            Shared {
                place: start..self.bytes.len(),
                kept: OnceCell::from(Rc::clone(body)),
            }
        });
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&kept.head);
        (start..self.bytes.len(), shared)
    }
}
