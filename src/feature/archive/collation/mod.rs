//! XEP-0427: MAM Fastening Collation. A page of what was said, each with a summary of what was done to it since.
//!
//! Where the text is silent, this is how it is read here:
//!
//! - §2.2 calls `simplified` the default. A query without the field is answered as by `full`: who does not know this
//!   specification is to get what XEP-0313 says.
//! - An instant message is what was said (`Kind`): not what has an effect on another message, and not what says nothing by itself.
//!   A reply (XEP-0461) is one, and so is a correction of a message that is not in the archive.
//! - `fastenings`: which message is meant is said by one id in the field `ids` of XEP-0313. Of marks, those are given that name it.
//! - Pseudo-fastenings are also, each without the `id`, which is that of the parent:
//!   - corrections (XEP-0308): `<replace/>`, the last version's payloads in it, of the type `<replace/>`;
//!   - retractions (XEP-0424, XEP-0425): `<retract/>`; then nothing else is told of the message;
//!   - reactions (XEP-0444): `<reactions/>` with one `<reaction/>`; its text belongs to the summary, and the count is that of the
//!     senders whose last reactions have it.
//! - Marks (XEP-0333) apply to all previous messages, so a strict count would grow with each message that is read. What is
//!   counted is senders: of a message, those other than its author whose last mark of that type is at it or behind it.
//! - What corrects, or reacts to, a correction is about the first version.
//! - Of fastenings (XEP-0422) a later one of the same sender and type takes the place of the earlier one, and `clear` takes it away.
//! - An incremental result bears the id of the parent and comes once: at the last thing that was done to it. Where `start` or
//!   `after-id` say from where on, `<after/>` does not make parents be told again that were on a page before.
//! - `first` and `last` are places in the archive, which for an incremental result is that of the fastening; `count` counts
//!   instant messages.
mod fastening;
mod gathered;
mod marks;

use crate::state::{Cx, Fault};
use crate::store::{AccountId, ArchiveId, ArchiveQuery};

use super::page::Page;
use super::related::Looks;
pub use fastening::written;
use gathered::{Gathered, Sort};
use marks::{MARKS, Marks};

pub const NS: &str = "urn:xmpp:mamfc:0";
pub const FIELD: &str = "{urn:xmpp:mamfc:0}summary";

/// Bytes of the summaries of one page; it ends behind the message that passes them.
const BYTES_MAX: usize = 256 << 10;

/// The forms of §2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summary {
    Simplified,
    Full,
    Collate,
    Fastenings,
}

impl Summary {
    pub const ALL: [Summary; 4] = [
        Summary::Simplified,
        Summary::Full,
        Summary::Collate,
        Summary::Fastenings,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Summary::Simplified => "simplified",
            Summary::Full => "full",
            Summary::Collate => "collate",
            Summary::Fastenings => "fastenings",
        }
    }

    pub fn named(name: &str) -> Option<Summary> {
        Summary::ALL.into_iter().find(|form| form.as_str() == name)
    }
}

/// A message of a page with what was done to it.
pub struct Collated {
    pub id: ArchiveId,
    /// It lies before the page: it is not sent itself (§3.4).
    pub is_outside: bool,
    /// The `<applied/>` of it.
    pub applied: String,
}

/// Whose page it is, and what it shows.
pub struct Reading<'a> {
    pub account: AccountId,
    /// Channels whose archives the account reads as a whole.
    pub whole: &'a [AccountId],
    pub is_backward: bool,
    /// Between two messages of one conversation on it there is no other one.
    is_dense: bool,
}

impl Reading<'_> {
    pub fn of_query(account: AccountId, filter: &ArchiveQuery, has_ids: bool) -> Reading<'static> {
        Reading {
            account,
            whole: &[],
            is_backward: filter.backward,
            is_dense: !has_ids && filter.start.is_none() && filter.end.is_none(),
        }
    }

    /// The last message of each conversation.
    pub fn of_lasts(account: AccountId, whole: &[AccountId]) -> Reading<'_> {
        Reading {
            account,
            whole,
            is_backward: false,
            is_dense: true,
        }
    }
}

/// In the page's order. The page is cut where that is too much.
pub fn of(cx: &Cx<'_>, reading: &Reading<'_>, page: &mut Page) -> Result<Vec<Collated>, Fault> {
    let Reading {
        account,
        whole,
        is_backward,
        is_dense,
    } = *reading;
    let mut gathered = Vec::with_capacity(page.stanzas.len());
    let (mut looks, mut bytes) = (Looks::new(account, whole), 0);
    looks.read_ahead(cx, &page.stanzas)?;
    let mut at = page.stanzas.iter();
    while let Some(stored) = match is_backward {
        true => at.next_back(),
        false => at.next(),
    } {
        if looks.is_over() || bytes >= BYTES_MAX {
            break;
        }
        let one = Gathered::of(cx, account, stored, &mut looks)?;
        bytes += one.summaries.iter().map(|one| one.xml.len()).sum::<usize>();
        gathered.push(one);
    }
    if gathered.len() < page.stanzas.len() {
        (page.complete, page.reached) = (false, None);
        match is_backward {
            true => drop(page.stanzas.drain(..page.stanzas.len() - gathered.len())),
            false => page.stanzas.truncate(gathered.len()),
        }
    }
    if is_backward {
        gathered.reverse();
    }
    let marks = Marks::of(cx, (&gathered, is_dense), &mut looks)?;
    Ok(gathered
        .into_iter()
        .map(|one| collated(one, &marks))
        .collect())
}

fn collated(mut one: Gathered, marks: &Marks) -> Collated {
    if let Some(facts) = one.facts.take().filter(|_| !one.is_gone) {
        let counts = marks.count(&facts, (one.archive, one.id));
        for (count, (_, xml)) in counts.into_iter().zip(MARKS) {
            one.counted(Sort::Mark, count, xml.into());
        }
    }
    let applied = written(|w| {
        for summary in &one.summaries {
            w.open_ns("applied", NS);
            w.attr_opt("shell", summary.xml.is_empty().then_some("true"));
            let count = (summary.count != 1).then(|| summary.count.to_string());
            w.attr_opt("count", count.as_deref())
                .raw(&summary.xml)
                .close();
        }
    });
    Collated {
        id: one.id,
        is_outside: one.is_outside,
        applied,
    }
}
