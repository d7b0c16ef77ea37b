//! XEP-0313 §4: a query, its filters (§4.1), and the page it gets (§4.3, XEP-0059).
use std::borrow::Cow;

use crate::state::{ArchiveIds, Cx, Fault, Origin};
use crate::store::{AccountId, ArchiveId, ArchiveQuery, AtIndex, Place, Stored};
use crate::xml::ElementRef;
use crate::xmpp::relation::Act;
use crate::xmpp::{
    BareJid, Condition, DataForm, FormKind, Jid, Rsm, RsmStart, StanzaError, Timestamp, ns,
};

use super::super::{Reply, Request};
use super::page::{self, Page};
use super::{as_member, completion};

/// Steps through the index to tell where a page lies, which is not told if that takes more: it must cost little beside the
/// page.
const PLACE_STEPS_MAX: u64 = 256;
/// The same where that is what is asked for.
const ASKED_PLACE_STEPS_MAX: u64 = 10_000;
/// Bytes of a `queryid`, which every result repeats.
const QUERY_ID_BYTES_MAX: usize = 256;

/// What is asked of the archive.
#[derive(Debug, Default)]
struct Query {
    filter: ArchiveQuery,
    /// The page begins with the stanza that so many come before (XEP-0059 §2.6).
    index: Option<u64>,
    /// Only these.
    ids: Option<Vec<ArchiveId>>,
    /// §4.3.4: the page is sent newest first.
    flipped: bool,
    /// What became of its messages later is sent with it (`completion`).
    completed: bool,
}

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
fn as_owner<'s>(cx: &Cx<'_>, stored: &'s Stored, own: &str) -> Cow<'s, str> {
    match stored.channel {
        Some(_) => {
            let id = cx.state.archive_ids.text(stored.id);
            Cow::Owned(as_member(&stored.xml, &id, own))
        }
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
    let mut query = read(
        payload,
        cx.state.settings.archive_page_max,
        &cx.state.archive_ids,
    )?;
    require_known_ids(cx, account, &query)?;
    let is_of_nobody = match query.filter.with.take() {
        Some(with) => {
            query.filter.with = (source.with)(cx, with);
            query.filter.with.is_none()
        }
        None => false,
    };
    let mut page = match !is_of_nobody && find_index(cx, account, &mut query)? {
        true => page::read(
            cx,
            (source.jid, account),
            &query.filter,
            query.ids.as_deref(),
        )?,
        false => Page::nothing_more(),
    };
    let place = match is_of_nobody {
        true => None,
        false => place(cx, account, &query, &page)?,
    };
    page.complete |= place.is_some_and(|place| place.count == 0);
    let text = |stored: &Stored| cx.state.archive_ids.text(stored.id);
    let first_last = page
        .stanzas
        .first()
        .map(text)
        .zip(page.stanzas.last().map(text));
    if query.flipped {
        page.stanzas.reverse();
    }
    send_page(cx, (asking, source), query_id.as_deref(), (&query, &page))?;
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
        w.close();
    }))
}

/// The results, and with them what became of the messages if that is asked for.
fn send_page(
    cx: &mut Cx<'_>,
    (asking, source): (&Asking<'_>, &Source<'_>),
    query_id: Option<&str>,
    (query, page): (&Query, &Page),
) -> Result<(), Fault> {
    for stored in &page.stanzas {
        send_result(cx, (asking, source), query_id, (stored, None));
    }
    if query.completed {
        for related in completion::of(cx, source.account, &page.stanzas)? {
            let about = Some((related.act, related.target));
            send_result(cx, (asking, source), query_id, (&related.stored, about));
        }
    }
    Ok(())
}

/// §4.2
fn send_result(
    cx: &mut Cx<'_>,
    (asking, source): (&Asking<'_>, &Source<'_>),
    query_id: Option<&str>,
    (stored, about): (&Stored, Option<(Act, ArchiveId)>),
) {
    let id = cx.state.archive_ids.text(stored.id);
    let about = about.map(|(act, target)| (act, cx.state.archive_ids.text(target)));
    let Some(xml) = (source.shown)(cx, stored) else {
        return;
    };
    let stanza = cx.write(|w| {
        w.open("message")
            .attr("from", source.jid.as_str())
            .attr("to", asking.from.as_str());
        w.open_ns("result", ns::MAM)
            .attr_opt("queryid", query_id)
            .attr("id", &id);
        w.open_ns("forwarded", ns::FORWARD);
        w.open_ns("delay", ns::DELAY)
            .attr("stamp", &stored.at.to_string())
            .close();
        w.raw(&xml).close();
        if let Some((act, target)) = &about {
            completion::mark(w, *act, target);
        }
        w.close().close();
    });
    match asking.origin {
        Origin::Session(session) => cx.deliver(session, stanza),
        Origin::Component(component) => {
            cx.pass(component, &stanza.into());
        }
        Origin::Own => {}
    }
}

fn read(payload: ElementRef<'_>, page_max: usize, ids: &ArchiveIds) -> Result<Query, Condition> {
    let mut query = match payload.child("x", ns::DATA_FORM) {
        Some(form) => read_form(form, ids)?,
        None => Query::default(),
    };
    query.flipped = payload.child("flip-page", ns::MAM).is_some();
    let rsm = Rsm::parse(payload)?;
    query.filter.max = rsm.max.unwrap_or(page_max).min(page_max);
    match rsm.start {
        RsmStart::First => {}
        RsmStart::After(id) => query.filter.page_after = Some(known_form(ids, &id)?),
        RsmStart::Before(id) => {
            query.filter.backward = true;
            query.filter.page_before = id.map(|id| known_form(ids, &id)).transpose()?;
        }
        // Ids that are named are not counted.
        RsmStart::Index(_) if query.ids.is_some() => {
            return Err(Condition::FeatureNotImplemented);
        }
        RsmStart::Index(index) => query.index = Some(index),
    }
    Ok(query)
}

/// §4.1: the filters. A field without a value filters nothing.
fn read_form(x: ElementRef<'_>, ids: &ArchiveIds) -> Result<Query, Condition> {
    let form = DataForm::parse(x)
        .filter(|form| form.kind == FormKind::Submit && form.form_type() == Some(ns::MAM))
        .ok_or(Condition::BadRequest)?;
    let mut query = Query::default();
    let filter = &mut query.filter;
    for field in &form.fields {
        let value = field.values.first().map(|value| value.trim());
        let time = || value.map(|value| Timestamp::parse(value).ok_or(Condition::BadRequest));
        let id = || value.map(|value| known_form(ids, value));
        match field.var.as_str() {
            "FORM_TYPE" => {}
            "with" => {
                let jid = value.map(|value| Jid::parse(value).map_err(|_| Condition::BadRequest));
                filter.with = jid.transpose()?;
            }
            "start" => filter.start = time().transpose()?,
            "end" => filter.end = time().transpose()?,
            "before-id" => filter.before_id = id().transpose()?,
            "after-id" => filter.after_id = id().transpose()?,
            "ids" if value.is_some() => {
                let named: Result<Vec<_>, _> =
                    field.values.iter().map(|id| known_form(ids, id)).collect();
                query.ids = Some(named?);
            }
            "ids" => {}
            // §4.1.4: they are part of the answer unless a client wants none.
            "include-groupchat" => filter.without_groupchat = flag(value)? == Some(false),
            completion::FIELD => query.completed = flag(value)?.unwrap_or(false),
            _ => return Err(Condition::FeatureNotImplemented),
        }
    }
    Ok(query)
}

fn flag(value: Option<&str>) -> Result<Option<bool>, Condition> {
    match value {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(_) => Err(Condition::BadRequest),
    }
}

/// A text that is no id of ours is the id of nothing.
fn known_form(ids: &ArchiveIds, text: &str) -> Result<ArchiveId, Condition> {
    ids.parse(text).ok_or(Condition::ItemNotFound)
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
    if query.ids.is_some() {
        let is_all = page.complete && filter.page_after.is_none() && filter.page_before.is_none();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse_stored;

    fn read_text(children: &str) -> Result<Query, Condition> {
        let query = format!("<query xmlns='urn:xmpp:mam:2'>{children}</query>");
        read(parse_stored(&query, "").unwrap().root(), 50, &ids())
    }

    fn ids() -> ArchiveIds {
        ArchiveIds::new(&[1; 32])
    }

    fn form(fields: &str) -> String {
        format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>{fields}</x>"
        )
    }

    fn field(var: &str, value: &str) -> String {
        form(&format!(
            "<field var='{var}'><value>{value}</value></field>"
        ))
    }

    #[test]
    fn filters_and_pages_are_read() {
        let query = read_text("").unwrap();
        assert_eq!((query.filter.max, query.filter.backward), (50, false));
        let rsm =
            "<set xmlns='http://jabber.org/protocol/rsm'><max>500</max><before/></set><flip-page/>";
        let fields = "<field var='with'><value>A@x</value></field>\
            <field var='start'><value>1970-01-01T00:00:01Z</value></field>\
            <field var='ids'><value>TWO</value><value>ONE</value></field>\
            <field var='include-groupchat'><value>true</value></field>\
            <field var='end'/>";
        let text = |n| ids().text(ArchiveId(n));
        let fields = fields.replace("TWO", &text(2)).replace("ONE", &text(1));
        let query = read_text(&format!("{}{rsm}", form(&fields))).unwrap();
        assert_eq!((query.filter.max, query.filter.backward), (50, true));
        assert_eq!(query.filter.with.unwrap().as_str(), "a@x");
        assert_eq!(query.filter.start, Some(Timestamp(1000)));
        assert_eq!(query.filter.end, None);
        assert_eq!(query.ids, Some(vec![ArchiveId(2), ArchiveId(1)]));
        assert!(query.flipped);
    }

    #[test]
    fn bad_queries_are_refused() {
        let rsm = |start| format!("<set xmlns='http://jabber.org/protocol/rsm'>{start}</set>");
        for (children, condition) in [
            (field("with", "@"), Condition::BadRequest),
            (field("start", "yesterday"), Condition::BadRequest),
            (field("end", "2010-08-07"), Condition::BadRequest),
            (field("include-groupchat", "some"), Condition::BadRequest),
            (field("mood", "sad"), Condition::FeatureNotImplemented),
            (field("after-id", "1"), Condition::ItemNotFound),
            (field("ids", "x"), Condition::ItemNotFound),
            (rsm("<after>x</after>"), Condition::ItemNotFound),
            (rsm("<before>x</before>"), Condition::ItemNotFound),
            (rsm("<index>x</index>"), Condition::BadRequest),
            (rsm("<max>many</max>"), Condition::BadRequest),
            (
                "<x xmlns='jabber:x:data' type='submit'/>".into(),
                Condition::BadRequest,
            ),
            (form("").replace("mam:2", "mam:1"), Condition::BadRequest),
            (form("").replace("submit", "form"), Condition::BadRequest),
        ] {
            assert_eq!(read_text(&children).err(), Some(condition), "{children}");
        }
    }
}
