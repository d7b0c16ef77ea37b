//! XEP-0059: Result Set Management.
use std::ops::Range;

use crate::xml::{ElementRef, Writer};

use super::{Condition, ns};

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RsmStart {
    First,
    /// The page that follows this id.
    After(String),
    /// The page that ends before this id; `None`: the last page.
    Before(Option<String>),
    /// The page that begins at this index.
    Index(u64),
}

/// What a request's `<set/>` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rsm {
    pub max: Option<usize>,
    pub start: RsmStart,
}

impl Rsm {
    /// Reads the `<set/>` of a request's payload; none means everything from the start.
    pub fn parse(payload: ElementRef<'_>) -> Result<Rsm, Condition> {
        let Some(set) = payload.child("set", ns::RSM) else {
            return Ok(Rsm {
                max: None,
                start: RsmStart::First,
            });
        };
        let text = |name| {
            set.child(name, ns::RSM)
                .map(|c| c.text().trim().to_string())
        };
        let max = text("max")
            .map(|t| t.parse())
            .transpose()
            .map_err(|_| Condition::BadRequest)?;
        let start = match (text("after"), text("before"), text("index")) {
            // COMPAT(escalus, 4.8): after nothing is from the start.
            (Some(id), None, None) if id.is_empty() => RsmStart::First,
            (Some(id), None, None) => RsmStart::After(id),
            (None, Some(id), None) => RsmStart::Before(Some(id).filter(|id| !id.is_empty())),
            (None, None, Some(index)) => {
                RsmStart::Index(index.parse().map_err(|_| Condition::BadRequest)?)
            }
            (None, None, None) => RsmStart::First,
            _ => return Err(Condition::BadRequest),
        };
        Ok(Rsm { max, start })
    }

    /// What of a list of so many is the page of at most `max`. `place`: where an id stands, or would; `None`: nowhere.
    pub fn span(
        &self,
        len: usize,
        max: usize,
        place: &dyn Fn(&str) -> Option<Range<usize>>,
    ) -> Result<Range<usize>, Condition> {
        let place = |id: &str| place(id).ok_or(Condition::ItemNotFound);
        let max = self.max.unwrap_or(max).min(max);
        let from = match &self.start {
            RsmStart::First => 0,
            RsmStart::After(id) => place(id)?.end,
            RsmStart::Index(index) => usize::try_from(*index).unwrap_or(len).min(len),
            RsmStart::Before(id) => {
                let end = match id {
                    Some(id) => place(id)?.start,
                    None => len,
                };
                return Ok(end.saturating_sub(max)..end);
            }
        };
        Ok(from..from.saturating_add(max).min(len))
    }

    /// Writes the `<set/>` of an answer. `first_last`: ids of the page's ends, none when it is empty.
    pub fn write_answer(
        w: &mut Writer<'_>,
        first_last: Option<(&str, &str)>,
        index: Option<u64>,
        count: Option<u64>,
    ) {
        w.open_ns("set", ns::RSM);
        if let Some((first, last)) = first_last {
            w.open("first")
                .attr_opt("index", index.map(|i| i.to_string()).as_deref())
                .text(first)
                .close();
            w.leaf("last", last);
        }
        if let Some(count) = count {
            w.leaf("count", &count.to_string());
        }
        w.close();
    }
}
