//! XEP-0313 §4: what a page holds, as far as its bytes go.
use std::ops::Bound;

use crate::state::{Cx, Fault};
use crate::store::{AccountId, ArchiveId, ArchiveQuery, Shows, StoreError, Stored};
use crate::xml::parse_stored;
use crate::xmpp::relation::{Act, Kind};
use crate::xmpp::said::says;
use crate::xmpp::words::Wanted;
use crate::xmpp::{BareJid, Condition, Jid, StanzaError, ns};

/// Bytes of a page; it ends behind the message that passes them.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// What was done to one message and is looked through for one page.
const FASTENINGS_LOOK_MAX: usize = 2_000;

/// Of an archive.
#[derive(Default)]
pub struct Page {
    /// In order of arrival.
    pub stanzas: Vec<Stored>,
    bytes: usize,
    pub complete: bool,
    /// It ends here, though nothing is shown of it: so much was passed over.
    pub reached: Option<ArchiveId>,
}

/// Of which stanzas a page is.
#[derive(Clone, Copy)]
pub enum Of<'a> {
    All,
    /// §4.1.3
    Ids(&'a [ArchiveId]),
    /// XEP-0427 §2.2
    DoneTo(ArchiveId),
}

/// The page that a query gets.
pub fn read(
    cx: &Cx<'_>,
    (owner, account): (&BareJid, AccountId),
    filter: &ArchiveQuery,
    of: Of<'_>,
) -> Result<Page, Fault> {
    if filter.max == 0 {
        // XEP-0059 §2.7: only how much there is. With nothing behind it, it is the last page all the same (§4.3.2).
        let one = ArchiveQuery {
            max: 1,
            ..filter.clone()
        };
        let page = read(cx, (owner, account), &one, of)?;
        return Ok(match page.complete && page.stanzas.is_empty() {
            true => Page::nothing_more(),
            false => Page::default(),
        });
    }
    let mut page = Page::default();
    match of {
        Of::All => page = Page::of_all(cx, account, filter)?,
        Of::Ids(ids) => page.fill_from_ids(cx, (owner, account), filter, ids)?,
        Of::DoneTo(target) => page.fill_with_fastenings(cx, (owner, account), filter, target)?,
    }
    if filter.backward && !matches!(of, Of::All) {
        page.stanzas.reverse();
    }
    let came_nowhere = page.stanzas.is_empty() && page.reached.is_none() && !page.complete;
    match came_nowhere && filter.words.is_some() {
        true => Err(StanzaError::new(Condition::ResourceConstraint)
            .text("There are too many words to look for in so many channels at once.")
            .into()),
        false => Ok(page),
    }
}

impl Page {
    pub fn nothing_more() -> Page {
        Page {
            complete: true,
            ..Page::default()
        }
    }

    /// Of everything; in order of arrival already.
    fn of_all(cx: &Cx<'_>, account: AccountId, filter: &ArchiveQuery) -> Result<Page, StoreError> {
        let read = cx.tx.page(
            account,
            &ArchiveQuery {
                bytes_max: Some(PAGE_BYTES_MAX),
                ..filter.clone()
            },
        )?;
        Ok(Page {
            bytes: read.stanzas.iter().map(|stored| stored.xml.len()).sum(),
            stanzas: read.stanzas,
            complete: read.complete,
            reached: read.reached,
        })
    }

    /// §4.1.3: of these ids, those the other filters let through.
    fn fill_from_ids(
        &mut self,
        cx: &Cx<'_>,
        (owner, account): (&BareJid, AccountId),
        filter: &ArchiveQuery,
        ids: &[ArchiveId],
    ) -> Result<(), Fault> {
        let mut ids = ids.to_vec();
        ids.sort_unstable_by_key(|id| id.0);
        ids.dedup();
        ids.retain(|id| is_between(filter, *id));
        if filter.backward {
            ids.reverse();
        }
        for id in ids {
            let stored = cx.tx.archived_ids(account, &[id])?.unwrap_or_default();
            for stored in stored.into_iter().filter(|one| matches(filter, owner, one)) {
                if filter.shows != Shows::All && !is_said(cx, account, &stored)? {
                    continue;
                }
                if self.bytes >= PAGE_BYTES_MAX || self.stanzas.len() >= filter.max {
                    return Ok(());
                }
                self.take(stored);
            }
        }
        self.complete = true;
        Ok(())
    }

    /// XEP-0427 §2.2: what was done to one message, in the direction of paging.
    fn fill_with_fastenings(
        &mut self,
        cx: &Cx<'_>,
        (owner, account): (&BareJid, AccountId),
        filter: &ArchiveQuery,
        target: ArchiveId,
    ) -> Result<(), Fault> {
        let of = cx.tx.archived_ids(account, &[target])?.unwrap_or_default();
        let channel = of.first().and_then(|of| of.channel);
        let archive = channel.unwrap_or(account);
        let after = filter.after_id.max(filter.page_after);
        let before = [filter.before_id, filter.page_before].into_iter().flatten();
        let bounds = (
            after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.0)),
            before
                .min()
                .map_or(Bound::Unbounded, |id| Bound::Excluded(id.0)),
        );
        let place = (archive, target);
        let done = cx
            .tx
            .relations_in(place, bounds, filter.backward, FASTENINGS_LOOK_MAX)?;
        let is_all = done.len() < FASTENINGS_LOOK_MAX;
        let parts = cx.tx.parts(account, archive)?;
        for (act, id) in done {
            let stored = match act {
                Act::Replies => None,
                _ if !parts.hold(id) => None,
                _ => cx.tx.stanza(id)?,
            };
            self.reached = Some(id);
            let Some(stored) = stored.filter(|one| matches(filter, owner, one)) else {
                continue;
            };
            if self.bytes >= PAGE_BYTES_MAX || self.stanzas.len() >= filter.max {
                self.reached = None;
                return Ok(());
            }
            self.take(Stored { channel, ..stored });
        }
        self.complete = is_all;
        self.reached.take_if(|_| is_all);
        Ok(())
    }

    /// False: it has no room for more.
    pub fn takes(&mut self, stored: Stored) -> bool {
        let has_room = !self.is_full();
        if has_room {
            self.take(stored);
        }
        has_room
    }

    pub fn is_full(&self) -> bool {
        self.bytes >= PAGE_BYTES_MAX
    }

    fn take(&mut self, stored: Stored) {
        self.bytes += stored.xml.len();
        self.stanzas.push(stored);
    }
}

fn is_said(cx: &Cx<'_>, account: AccountId, stored: &Stored) -> Result<bool, Fault> {
    let facts = cx.tx.facts(stored.channel.unwrap_or(account), stored.id)?;
    Ok(facts.is_some_and(|facts| facts.kind != Kind::Ancillary))
}

fn is_between(filter: &ArchiveQuery, id: ArchiveId) -> bool {
    let after = |limit: Option<ArchiveId>| limit.is_none_or(|limit| id.0 > limit.0);
    let before = |limit: Option<ArchiveId>| limit.is_none_or(|limit| id.0 < limit.0);
    after(filter.after_id)
        && after(filter.page_after)
        && before(filter.before_id)
        && before(filter.page_before)
}

/// §4.1.1, §4.1.2, §4.1.4
fn matches(filter: &ArchiveQuery, owner: &BareJid, stored: &Stored) -> bool {
    let in_time = filter.start.is_none_or(|start| stored.at >= start)
        && filter.end.is_none_or(|end| stored.at <= end);
    let with = |with: &Jid| is_with(with, owner, &stored.xml);
    let is_left_out = filter.without_groupchat && stored.is_groupchat();
    let words = |wanted: &Wanted| says(&stored.xml, wanted);
    in_time
        && !is_left_out
        && filter.with.as_ref().is_none_or(with)
        && filter.words.as_ref().is_none_or(words)
}

/// True if one side of the message is `with`; both are when that is the owner.
fn is_with(with: &Jid, owner: &BareJid, xml: &str) -> bool {
    let Ok(message) = parse_stored(xml, ns::CLIENT) else {
        return false;
    };
    let side = |name| {
        let jid = message.root().attribute(name);
        jid.map_or(Some(owner.clone().into()), |jid| Jid::parse(&jid).ok())
    };
    let (Some(from), Some(to)) = (side("from"), side("to")) else {
        return false;
    };
    let is = |jid: &Jid| jid == with || jid.bare_str() == with.as_str();
    let is_own = |jid: &Jid| jid.bare_str() == owner.as_str();
    (is(&from) || is(&to)) && (!is_own(with) || (is_own(&from) && is_own(&to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_oneself_means_both_sides() {
        let owner = BareJid::parse("a@x").unwrap();
        let is = |with: &str, from: &str, to: &str| {
            let xml = format!("<message from='{from}' to='{to}'/>");
            is_with(&Jid::parse(with).unwrap(), &owner, &xml)
        };
        assert!(is("b@x", "a@x/r", "b@x") && is("b@x", "b@x/s", "a@x/r"));
        assert!(is("b@x/s", "b@x/s", "a@x") && !is("b@x/s", "b@x/t", "a@x"));
        assert!(!is("a@x", "a@x/r", "b@x") && is("a@x", "a@x/r", "a@x"));
        assert!(!is("c@x", "a@x/r", "b@x"));
    }
}
