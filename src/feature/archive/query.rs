//! XEP-0313 §4: what a query (`asked`) gets: a page (§4.3, XEP-0059).
use std::borrow::Cow;

use crate::state::{Cx, Fault, Origin};
use crate::store::{AccountId, ArchiveId, ArchiveQuery, AtIndex, Place, Shows, Stored};
use crate::xml::ElementRef;
use crate::xmpp::relation::Act;
use crate::xmpp::{BareJid, Condition, Jid, Rsm, StanzaError, ns};

use super::super::{Reply, Request};
use super::asked::{self, Query};
use super::collation::{self, Collated, Reading, Summary};
use super::page::{self, Page};
use super::result::Found;
use super::{as_member, completion};

/// Steps through the index to tell where a page lies, which is not told if that takes more: it must cost little beside the
/// page.
const PLACE_STEPS_MAX: u64 = 128;
/// The same where that is what is asked for.
const ASKED_PLACE_STEPS_MAX: u64 = 10_000;
/// Bytes of a `queryid`, which every result repeats.
const QUERY_ID_BYTES_MAX: usize = 256;

/// An archive that is asked, and how what it keeps looks to whoever asks.
pub struct Source<'a> {
    pub account: AccountId,
    pub jid: &'a BareJid,
    /// Who is meant by `with`; `None`: nobody whose messages are here.
    pub with: &'a dyn Fn(&Cx<'_>, Jid) -> Option<Jid>,
    /// The stanza as it is sent; `None`: not to them.
    pub shown: &'a Shown<'a>,
}

/// How a stanza is shown.
pub type Shown<'a> = dyn for<'s> Fn(&Cx<'_>, &'s Stored) -> Option<Cow<'s, str>> + 'a;

/// Who asks what.
pub struct Asking<'a> {
    pub payload: ElementRef<'a>,
    pub from: &'a Jid,
    pub origin: Origin,
}

/// §4: the results, then how far they reach.
pub fn run(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    // §6.1.3: nodes are for pubsub archives.
    if request.payload.attribute("node").is_some() {
        return Err(Condition::ItemNotFound.into());
    }
    let own = request.account_jid().as_str();
    let source = Source {
        account: request.account_id(),
        jid: request.account_jid(),
        with: &|_, with| Some(with),
        shown: &|cx, stored| Some(as_owner(cx, stored, own)),
    };
    let asking = Asking {
        payload: request.payload,
        from: request.from,
        origin: request.origin,
    };
    // Who asks on behalf of an account cannot be given a page.
    request.own_session()?;
    page_of(cx, &asking, &source)
}

/// As it is kept; a channel of our own keeps it once for all of its participants.
pub fn as_owner<'s>(cx: &Cx<'_>, stored: &'s Stored, own: &str) -> Cow<'s, str> {
    match stored.channel {
        Some(_) => Cow::Owned(as_member(cx, stored, own)),
        None => Cow::Borrowed(&*stored.xml),
    }
}

/// A page of an archive.
pub fn page_of(cx: &mut Cx<'_>, asking: &Asking<'_>, source: &Source<'_>) -> Result<Reply, Fault> {
    let payload = asking.payload;
    let account = source.account;
    let query_id = payload.attribute("queryid");
    if query_id
        .as_ref()
        .is_some_and(|id| id.len() > QUERY_ID_BYTES_MAX)
    {
        return Err(StanzaError::new(Condition::BadRequest)
            .text("The queryid is too long.")
            .into());
    }
    let mut query = asked::read(payload, &cx.state.settings, &cx.state.archive_ids)?;
    require_known_ids(cx, account, &query)?;
    query.filter.during = Some(cx.tx.during(&query.filter)?);
    let is_of_nobody = match query.filter.with.take() {
        Some(with) => {
            query.filter.with = (source.with)(cx, with);
            query.filter.with.is_none()
        }
        None => false,
    };
    if query.filter.words.is_some() {
        cx.tx.prepare_to_search(account)?;
    }
    let mut page = match !is_of_nobody && find_index(cx, account, &mut query)? {
        true => page::read(cx, (source.jid, account), &query.filter, query.of())?,
        false => Page::nothing_more(),
    };
    let place = match is_of_nobody {
        true => None,
        false => place(cx, account, &query, &page)?,
    };
    page.complete |= !query.tells_of_before() && place.is_some_and(|place| place.count == 0);
    let mut collated = match query.summary {
        Some(Summary::Collate) => {
            let reading = Reading::of_query(account, &query.filter, query.ids.is_some());
            collation::of(cx, &reading, &mut page)?
        }
        _ => Vec::new(),
    };
    let first_last = ends(cx, &query, &page);
    if query.flipped {
        page.stanzas.reverse();
        collated.reverse();
    }
    send_page(
        cx,
        (asking, source),
        query_id.as_deref(),
        (&query, &page, &collated),
    )?;
    let latest = latest(cx, account, &query)?;
    Ok(Reply::payload(|w| {
        w.open_ns("fin", ns::MAM)
            .attr_opt("complete", page.complete.then_some("true"));
        let first_last = first_last
            .as_ref()
            .map(|(first, last)| (first.as_str(), last.as_str()));
        // COMPAT(slixmpp, 1.17): where index and count add up it takes the page for the last one, also when it pages back.
        let index = query.index.or(place.map(|place| place.index));
        let index = index.filter(|_| !query.filter.backward);
        Rsm::write_answer(w, first_last, index, place.map(|place| place.count));
        if let Some(id) = &latest {
            w.open_ns("latest", collation::NS).attr("id", id).close();
        }
        w.close();
    }))
}

/// From where to where the page is.
fn ends(cx: &Cx<'_>, query: &Query, page: &Page) -> Option<(String, String)> {
    let text = |id: ArchiveId| cx.state.archive_ids.text(id);
    let first = page.stanzas.first().map(|stored| stored.id);
    let last = page.stanzas.last().map(|stored| stored.id);
    let (first, last) = match (page.reached, query.filter.backward) {
        (None, _) => (first, last),
        (reached, true) => (reached, last.or(reached)),
        (reached, false) => (first.or(reached), reached),
    };
    first.map(text).zip(last.map(text))
}

/// XEP-0427 §3.3: for who asks in its words.
fn latest(cx: &Cx<'_>, account: AccountId, query: &Query) -> Result<Option<String>, Fault> {
    if query.summary.is_none() {
        return Ok(None);
    }
    let ends = cx.tx.archive_ends(account)?;
    Ok(ends.map(|[_, (id, _)]| cx.state.archive_ids.text(id)))
}

/// The results, and with them what became of the messages if that is asked for.
fn send_page(
    cx: &mut Cx<'_>,
    (asking, source): (&Asking<'_>, &Source<'_>),
    query_id: Option<&str>,
    (query, page, collated): (&Query, &Page, &[Collated]),
) -> Result<(), Fault> {
    let mut collated = collated.iter();
    for stored in &page.stanzas {
        let with = collated.next().map_or(With::Nothing, With::Collated);
        send_result(cx, (asking, source), query_id, (stored, with));
    }
    if query.completed {
        for related in completion::of(cx, source.account, &page.stanzas)? {
            let about = With::About(related.act, related.target);
            send_result(cx, (asking, source), query_id, (&related.stored, about));
        }
    }
    Ok(())
}

/// What stands in a result beside the stanza.
enum With<'a> {
    Nothing,
    About(Act, ArchiveId),
    Collated(&'a Collated),
}

/// §4.2
fn send_result(
    cx: &mut Cx<'_>,
    (asking, source): (&Asking<'_>, &Source<'_>),
    query_id: Option<&str>,
    (stored, with): (&Stored, With<'_>),
) {
    let (id, is_whole) = match &with {
        With::Collated(collated) => (collated.id, !collated.is_outside),
        _ => (stored.id, true),
    };
    let id = cx.state.archive_ids.text(id);
    let beside = match with {
        With::Nothing => String::new(),
        With::About(act, target) => completion::mark(act, &cx.state.archive_ids.text(target)),
        With::Collated(collated) => collated.applied.clone(),
    };
    let Some(xml) = (source.shown)(cx, stored) else {
        return;
    };
    let found = Found {
        query_id,
        id: &id,
        stanza: is_whole.then_some((stored, &*xml)),
        beside: &beside,
    };
    let stanza = cx.write(|w| {
        w.open("message")
            .attr("from", source.jid.as_str())
            .attr("to", asking.from.as_str());
        found.write(w);
        w.close();
    });
    match asking.origin {
        Origin::Session(session) => cx.deliver(session, stanza),
        Origin::Component(component) => {
            cx.pass(component, &stanza.into());
        }
        Origin::Own => {}
    }
}

/// §4.1.3, §4.3.2: every id named must be in this archive.
fn require_known_ids(cx: &Cx<'_>, account: AccountId, query: &Query) -> Result<(), Fault> {
    let ArchiveQuery {
        after_id,
        before_id,
        page_after,
        page_before,
        ..
    } = query.filter;
    let ids = query.ids.iter().flatten().copied();
    let named = [after_id, before_id, page_after, page_before];
    for id in named.into_iter().flatten().chain(ids) {
        if !cx.tx.archived(account, id)? {
            return Err(Condition::ItemNotFound.into());
        }
    }
    Ok(())
}

/// XEP-0059 §2.6: the page begins at the index asked for. False: that is behind all there is.
fn find_index(cx: &Cx<'_>, account: AccountId, query: &mut Query) -> Result<bool, Fault> {
    let Some(index) = query.index else {
        return Ok(true);
    };
    let found = cx
        .tx
        .at_index(account, &query.filter, index, ASKED_PLACE_STEPS_MAX)?;
    match found {
        AtIndex::Stanza(id) => {
            query.filter.page_after = id.0.checked_sub(1).map(ArchiveId);
            Ok(true)
        }
        AtIndex::Behind => Ok(false),
        AtIndex::TooFar => Err(StanzaError::new(Condition::FeatureNotImplemented)
            .text("The index is too far from the start.")
            .into()),
    }
}

/// XEP-0059 §2.5 to §2.7: where the page lies, and how much there is; `None`: counting that takes too long.
fn place(
    cx: &Cx<'_>,
    account: AccountId,
    query: &Query,
    page: &Page,
) -> Result<Option<Place>, Fault> {
    let filter = &query.filter;
    let is_all = page.complete && filter.page_after.is_none() && filter.page_before.is_none();
    // What is said alone may come with what was done before.
    let is_counted = is_all && filter.shows == Shows::All && query.index.is_none();
    if query.ids.is_some() || filter.words.is_some() || is_counted {
        let count = u64::try_from(page.stanzas.len()).ok();
        return Ok(count
            .filter(|_| is_all)
            .map(|count| Place { index: 0, count }));
    }
    let is_asked = filter.max == 0 || query.index.is_some();
    let steps_max = match is_asked {
        true => ASKED_PLACE_STEPS_MAX,
        false => PLACE_STEPS_MAX,
    };
    let first = page.stanzas.first().map(|stored| stored.id);
    Ok(cx.tx.place(account, filter, first, steps_max)?)
}
