//! XEP-0431: Full Text Search in MAM. A field of a query's form, with which all others can be combined:
//! `<field var='{urn:xmpp:fulltext:0}fulltext'><value>garden par</value></field>`
//!
//! Found is what has all of the words in its bodies and its subject (`xmpp::said`), whatever their case and their accents; the last
//! may be the beginning of one (`xmpp::words`). There is no `count`, but where one page has all.
//!
//! One look goes so far. A page that ends there is not complete, and its `first` and `last` say where to go on, also when nothing
//! was found by then.
use crate::xmpp::words::{NotWanted, Wanted};
use crate::xmpp::{Condition, StanzaError};

use super::super::{Feature, Spec, To};

pub const NS: &str = "urn:xmpp:fulltext:0";
pub const FIELD: &str = "{urn:xmpp:fulltext:0}fulltext";

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete(
        "XEP-0431",
        "Full Text Search in MAM",
        "0.2.0",
    )],
    is_on: |settings| settings.archive_search,
    disco: &[(To::OwnAccount, NS)],
    ..Feature::new("archive search")
};

/// The field's value; one that is empty is none.
pub fn wanted(text: &str) -> Result<Option<Wanted>, StanzaError> {
    if text.is_empty() {
        return Ok(None);
    }
    let refused = |why| StanzaError::new(Condition::BadRequest).text(why);
    Wanted::parse(text).map(Some).map_err(|not| match not {
        NotWanted::NoWord => refused("There is no word in what is looked for."),
        NotWanted::TooMany => refused("Too many words are looked for at once."),
    })
}
