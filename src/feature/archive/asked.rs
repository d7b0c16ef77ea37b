//! XEP-0313 §4.1, §4.3: a query as it is asked: its filters and which page of what they let through.
use crate::state::{ArchiveIds, Settings};
use crate::store::{ArchiveId, ArchiveQuery, Before, Shows};
use crate::xml::ElementRef;
use crate::xmpp::{Condition, DataForm, FormKind, Jid, Rsm, RsmStart, StanzaError, Timestamp, ns};

use super::collation::{self, Summary};
use super::completion;
use super::page::Of;
use super::search;

/// What is asked of the archive.
#[derive(Debug, Default)]
pub struct Query {
    pub filter: ArchiveQuery,
    /// The page begins with the stanza that so many come before (XEP-0059 §2.6).
    pub index: Option<u64>,
    /// Only these.
    pub ids: Option<Vec<ArchiveId>>,
    /// §4.3.4: the page is sent newest first.
    pub flipped: bool,
    /// What became of its messages later is sent with it (`completion`).
    pub completed: bool,
    /// In which form of XEP-0427 it is answered.
    pub summary: Option<Summary>,
}

impl Query {
    /// Of which stanzas the page is.
    pub fn of(&self) -> Of<'_> {
        match (&self.ids, self.summary) {
            (None, _) => Of::All,
            (Some(ids), Some(Summary::Fastenings)) => {
                Of::DoneTo(ids.first().copied().unwrap_or_default())
            }
            (Some(ids), _) => Of::Ids(ids),
        }
    }

    /// What was done to messages before its start is in it.
    pub fn tells_of_before(&self) -> bool {
        matches!(self.filter.shows, Shows::SaidAndDone(before) if before != Before::default())
    }
}

pub fn read(
    payload: ElementRef<'_>,
    settings: &Settings,
    ids: &ArchiveIds,
) -> Result<Query, StanzaError> {
    let mut query = match payload.child("x", ns::DATA_FORM) {
        Some(form) => read_form(form, settings, ids)?,
        None => Query::default(),
    };
    query.flipped = payload.child("flip-page", ns::MAM).is_some();
    let rsm = Rsm::parse(payload)?;
    let page_max = settings.archive_page_max;
    query.filter.max = rsm.max.unwrap_or(page_max).min(page_max);
    match rsm.start {
        RsmStart::First => {}
        RsmStart::After(id) => query.filter.page_after = Some(known_form(ids, &id)?),
        RsmStart::Before(id) => {
            query.filter.backward = true;
            query.filter.page_before = id.map(|id| known_form(ids, &id)).transpose()?;
        }
        // Ids that are named are not counted, nor is what is found by its words.
        RsmStart::Index(_) if query.ids.is_some() || query.filter.words.is_some() => {
            return Err(Condition::FeatureNotImplemented.into());
        }
        RsmStart::Index(index) => query.index = Some(index),
    }
    show(&mut query)?;
    Ok(query)
}

/// XEP-0427 §3.1: what each form of summary shows.
fn show(query: &mut Query) -> Result<(), Condition> {
    let filter = &mut query.filter;
    filter.shows = match query.summary {
        None | Some(Summary::Full | Summary::Fastenings) => Shows::All,
        Some(Summary::Simplified) => Shows::Said,
        Some(Summary::Collate) => Shows::SaidAndDone(Before {
            start: filter.start,
            up_to: match (filter.start, filter.after_id) {
                // Behind a start, a page's `after` is only where the page before it ended.
                (None, None) => filter.page_after,
                (_, after_id) => after_id,
            },
        }),
    };
    // §2.2: of one message.
    let is_of_one = query.ids.as_ref().is_some_and(|ids| ids.len() == 1);
    match query.summary {
        Some(Summary::Fastenings) if !is_of_one || query.index.is_some() => {
            Err(Condition::BadRequest)
        }
        // Each says what became of messages.
        Some(Summary::Collate | Summary::Fastenings) if query.completed => {
            Err(Condition::BadRequest)
        }
        _ => Ok(()),
    }
}

/// §4.1: the filters. A field without a value, or with an empty one, filters nothing.
fn read_form(
    x: ElementRef<'_>,
    settings: &Settings,
    ids: &ArchiveIds,
) -> Result<Query, StanzaError> {
    let form = DataForm::parse(x)
        .filter(|form| form.kind == FormKind::Submit && form.form_type() == Some(ns::MAM))
        .ok_or(Condition::BadRequest)?;
    let mut query = Query::default();
    let filter = &mut query.filter;
    for field in &form.fields {
        let value = field.values.first().map(|value| value.trim());
        let value = value.filter(|value| !value.is_empty());
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
            "ids" if !field.values.is_empty() => {
                let named: Result<Vec<_>, _> =
                    field.values.iter().map(|id| known_form(ids, id)).collect();
                query.ids = Some(named?);
            }
            "ids" => {}
            // §4.1.4: they are part of the answer unless a client wants none.
            "include-groupchat" => filter.without_groupchat = flag(value)? == Some(false),
            collation::FIELD => {
                let known = |value| Summary::named(value).ok_or(Condition::BadRequest);
                query.summary = value.map(known).transpose()?;
            }
            completion::FIELD => query.completed = flag(value)?.unwrap_or(false),
            search::FIELD if settings.archive_search => {
                filter.words = search::wanted(value.unwrap_or_default())?;
            }
            _ => return Err(Condition::FeatureNotImplemented.into()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse_stored;

    fn read_text(children: &str) -> Result<Query, Condition> {
        let query = format!("<query xmlns='urn:xmpp:mam:2'>{children}</query>");
        let settings = Settings {
            archive_page_max: 50,
            ..Settings::new("localhost")
        };
        let query = read(parse_stored(&query, "").unwrap().root(), &settings, &ids());
        query.map_err(|error| error.condition)
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
            (field(collation::FIELD, "short"), Condition::BadRequest),
            (field(collation::FIELD, "fastenings"), Condition::BadRequest),
            (field("mood", "sad"), Condition::FeatureNotImplemented),
            (field(search::FIELD, "?!"), Condition::BadRequest),
            (
                field(search::FIELD, &"a ".repeat(17)),
                Condition::BadRequest,
            ),
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
