//! XEP-0433: Extended Channel Search, among the channels of this service.
use crate::feature::Reply;
use crate::state::{Cx, Fault};
use crate::xml::Writer;
use crate::xmpp::{
    Condition, DataForm, ErrorType, FormKind, IqKind, Rsm, StanzaError, ns, open_form,
};

use super::{Asked, Found, Row, findable, people_of};
use crate::channel::config::{Config, field, whois};

pub const NS: &str = "urn:xmpp:channel-search:0:search";
const PARAMS: &str = "urn:xmpp:channel-search:0:search-params";
const ERROR: &str = "urn:xmpp:channel-search:0:error";
const BY_ADDRESS: &str = "{urn:xmpp:channel-search:0:order}address";
const BY_USERS: &str = "{urn:xmpp:channel-search:0:order}nusers";

/// Channels that are looked through.
const SEARCHED_MAX: usize = 1_000;
/// Results on one page.
const PAGE_MAX: usize = 50;
/// Characters that a term needs.
const TERM_CHARS_MIN: usize = 2;
/// Terms of one question.
const TERMS_MAX: usize = 10;

pub const ROWS: &[Row] = &[(IqKind::Get, NS, "search", search)];

struct Question {
    /// Folded; every one must be found. None: all channels.
    terms: Vec<String>,
    in_name: bool,
    in_description: bool,
    in_address: bool,
    users_min: u64,
    by_users: bool,
    wants_mix: bool,
}

fn search(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let Some(x) = asked.payload.child("x", ns::DATA_FORM) else {
        return Ok(form());
    };
    let form = DataForm::parse_answer(x).filter(|form| form.kind == FormKind::Submit);
    let form = form.ok_or(Condition::BadRequest)?;
    let question = read(&form)?;
    let (found, _) = findable(cx, &asked.who, "", SEARCHED_MAX)?;
    let mut found: Vec<(u64, Found)> = found
        .into_iter()
        .map(|one| (people_of(cx, &one.row), one))
        .filter(|(users, one)| question.is_met(*users, one))
        .collect();
    if question.by_users {
        found.sort_by(|(one, _), (other, _)| other.cmp(one));
    }
    page(cx, asked, (&question, &found))
}

fn read(form: &DataForm) -> Result<Question, StanzaError> {
    let flag = |var| match form.value(var) {
        None => true,
        Some(text) => matches!(text, "true" | "1"),
    };
    let all = form
        .value("all")
        .is_some_and(|text| matches!(text, "true" | "1"));
    let asked = form.value("q").filter(|text| !text.trim().is_empty());
    let terms: Vec<String> = match (asked, all) {
        (Some(_), true) => return Err(refused(Condition::BadRequest, "conflicting-fields")),
        (None, false) => {
            let refusal = refused(Condition::BadRequest, "no-search-conditions");
            return Err(refusal.kind(ErrorType::Cancel));
        }
        (None, true) => Vec::new(),
        (Some(text), false) => {
            let terms = text.split_whitespace().map(str::to_lowercase);
            let terms = terms.filter(|term| term.chars().count() >= TERM_CHARS_MIN);
            let terms: Vec<_> = terms.take(TERMS_MAX).collect();
            if terms.is_empty() {
                return Err(refused(Condition::BadRequest, "invalid-search-terms"));
            }
            terms
        }
    };
    let by_users = match form.value("key") {
        None | Some(BY_USERS) => true,
        Some(BY_ADDRESS) => false,
        Some(_) => {
            return Err(refused(
                Condition::FeatureNotImplemented,
                "invalid-sort-key",
            ));
        }
    };
    let types = form.values("types").unwrap_or_default();
    let wants = |kind: &str| types.iter().any(|known| known == kind);
    if !types.is_empty() && !wants("xep-0369") && !wants("xep-0045") {
        return Err(refused(Condition::BadRequest, "no-search-conditions"));
    }
    Ok(Question {
        wants_mix: wants("xep-0369"),
        terms,
        in_name: flag("sinname"),
        in_description: flag("sindescription"),
        in_address: flag("sinaddr"),
        users_min: form
            .value("min_users")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0),
        by_users,
    })
}

fn refused(condition: Condition, application: &'static str) -> StanzaError {
    StanzaError::new(condition)
        .kind(ErrorType::Modify)
        .application(application, ERROR)
}

impl Question {
    fn is_met(&self, users: u64, one: &Found) -> bool {
        let texts = [
            (self.in_name, one.row.text(field::NAME)),
            (self.in_description, one.row.text(field::DESCRIPTION)),
            (self.in_address, &*one.name),
        ];
        let texts = texts.into_iter().filter(|(is_wanted, _)| *is_wanted);
        let texts: Vec<String> = texts.map(|(_, text)| text.to_lowercase()).collect();
        let mut terms = self.terms.iter();
        users >= self.users_min
            && terms.all(|term| texts.iter().any(|text| text.contains(term.as_str())))
    }
}

fn page(
    cx: &Cx<'_>,
    asked: &Asked<'_>,
    (question, found): (&Question, &[(u64, Found)]),
) -> Result<Reply, Fault> {
    // §5.3: a channel of both kinds is told of as the newer one, if that was asked for.
    let kind = match question.wants_mix {
        true => "xep-0369",
        false => "xep-0045",
    };
    let rsm = Rsm::parse(asked.payload)?;
    let span = rsm.span(found.len(), PAGE_MAX, &|name| {
        let at = found.iter().position(|(_, one)| one.name == name)?;
        Some(at..at + 1)
    })?;
    let page = found.get(span.clone()).unwrap_or_default();
    let domain = cx.state.domains.channels().unwrap_or_default();
    Ok(Reply::payload(|w| {
        w.open_ns("result", NS);
        for (users, one) in page {
            write(w, (domain, kind), *users, one);
        }
        let ends = page.first().zip(page.last());
        let ends = ends.map(|((_, first), (_, last))| (&*first.name, &*last.name));
        Rsm::write_answer(
            w,
            ends,
            u64::try_from(span.start).ok(),
            u64::try_from(found.len()).ok(),
        );
        w.close();
    }))
}

fn write(w: &mut Writer<'_>, (domain, kind): (&str, &str), users: u64, one: &Found) {
    let row = &one.row;
    w.open("item")
        .attr("address", &format!("{}@{domain}", one.name));
    for (name, text) in [
        ("name", row.text(field::NAME)),
        ("description", row.text(field::DESCRIPTION)),
        ("language", row.text(field::LANGUAGE)),
    ] {
        if !text.is_empty() {
            w.leaf(name, text);
        }
    }
    w.leaf("nusers", &users.to_string());
    w.leaf("service-type", kind);
    let is_open = !row.flag(field::MEMBERS_ONLY) && row.text(field::PASSWORD).is_empty();
    w.leaf("is-open", if is_open { "true" } else { "false" });
    let anonymity = match row.number(field::WHOIS) {
        whois::ANYONE => "{urn:xmpp:channel-search:0:anonymity}none",
        _ => "muc_semianonymous",
    };
    w.leaf("anonymity-mode", anonymity);
    w.close();
}

fn form() -> Reply {
    Reply::payload(|w| {
        w.open_ns("search", NS);
        open_form(w, FormKind::Form, PARAMS);
        for (var, kind, label, value) in [
            ("q", "text-single", "Search for", ""),
            ("all", "boolean", "All channels", "false"),
            ("sinname", "boolean", "Search in name", "true"),
            ("sindescription", "boolean", "Search in description", "true"),
            ("sinaddr", "boolean", "Search in address", "true"),
            ("min_users", "text-single", "Least number of users", "0"),
        ] {
            w.open("field")
                .attr("var", var)
                .attr("type", kind)
                .attr("label", label);
            if !value.is_empty() {
                w.leaf("value", value);
            }
            w.close();
        }
        w.open("field")
            .attr("var", "types")
            .attr("type", "list-multi")
            .attr("label", "Kinds");
        w.leaf("value", "xep-0045");
        for (label, value) in [("Rooms", "xep-0045"), ("Channels", "xep-0369")] {
            w.open("option").attr("label", label);
            w.leaf("value", value).close();
        }
        w.close();
        w.open("field")
            .attr("var", "key")
            .attr("type", "list-single")
            .attr("label", "Order");
        w.leaf("value", BY_USERS);
        for (label, value) in [("Number of users", BY_USERS), ("Address", BY_ADDRESS)] {
            w.open("option").attr("label", label);
            w.leaf("value", value).close();
        }
        w.close().close().close();
    })
}
