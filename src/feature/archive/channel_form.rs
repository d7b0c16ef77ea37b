//! What a channel distributed (XEP-0369), as a participant is sent it: the archive keeps it as the channel sent it, once for all.
use std::borrow::Cow;

use crate::state::Cx;
use crate::store::{ArchiveId, StoreError, Stored};
use crate::xml::{Escaped, parse_stored};
use crate::xmpp::relation::CORRECT;
use crate::xmpp::{ns, quoted_error};

/// How the archive's text begins.
const BEGIN: &str = "<message xmlns='jabber:client'";

/// The same message to somebody else and, where that is given, with another id. `xml`: as the archive keeps it; what stands in
/// quotes has none of them in it.
pub fn readdressed(xml: &str, to: &str, id: Option<&str>) -> String {
    let inside = xml.strip_prefix(BEGIN).unwrap_or(xml);
    let (tag, rest) = inside.split_at(inside.find('>').unwrap_or(inside.len()));
    let mut tag = without(tag, " to='");
    let mut attributes = format!(" to='{}'", Escaped(to));
    if let Some(id) = id {
        tag = without(&tag, " id='");
        attributes.push_str(&format!(" id='{}'", Escaped(id)));
    }
    [BEGIN, &attributes, &tag, rest].concat()
}

/// XEP-0369 §7.1.3: a message of a channel has the id of the archive, and is to the participant. `stored`: of the channel's own
/// archive.
pub fn as_member(cx: &Cx<'_>, stored: &Stored, to: &str) -> String {
    let id = cx.state.archive_ids.text(stored.id);
    let xml = readdressed(&stored.xml, to, Some(&id));
    naming(cx, stored, &xml).into_owned()
}

/// The others that a message names, what it corrects and what took it back, have such ids, too. `xml`: the message, or what is
/// in it.
pub fn naming<'x>(cx: &Cx<'_>, stored: &Stored, xml: &'x str) -> Cow<'x, str> {
    named(cx, stored, xml).unwrap_or_else(|error| {
        log::error!("channel.failed error={}", quoted_error(&error));
        xml.into()
    })
}

fn named<'x>(cx: &Cx<'_>, stored: &Stored, xml: &'x str) -> Result<Cow<'x, str>, StoreError> {
    let text = |id: ArchiveId| cx.state.archive_ids.text(id);
    if xml.contains("<retracted") {
        let by = cx.tx.taken_back_by(stored.id)?;
        return Ok(by.map_or(xml.into(), |by| taken_back(xml, &text(by))));
    }
    if xml.contains(CORRECT) {
        let corrected = cx.tx.corrected(stored.id)?;
        return Ok(corrected.map_or(xml.into(), |of| correcting(xml, &text(of))));
    }
    Ok(xml.into())
}

/// A tombstone (XEP-0424 §5), as it is written here.
fn taken_back<'x>(xml: &'x str, by: &str) -> Cow<'x, str> {
    const BEGIN: &str = "<retracted xmlns='urn:xmpp:message-retract:1'";
    let Some((before, tag)) = xml.split_once(BEGIN) else {
        return xml.into();
    };
    let (tag, behind) = tag.split_at(tag.find('>').unwrap_or(tag.len()));
    let tag = without(tag, " id='");
    format!("{before}{BEGIN} id='{}'{tag}{behind}", Escaped(by)).into()
}

/// The same message, or what is in one, with another name for what it corrects.
pub fn correcting<'x>(xml: &'x str, named: &str) -> Cow<'x, str> {
    let element = match xml.starts_with(BEGIN) {
        true => parse_stored(xml, ns::CLIENT),
        false => parse_stored(&format!("{BEGIN}>{xml}</message>"), ns::CLIENT),
    };
    let Ok(element) = element else {
        return xml.into();
    };
    match element.root().child("replace", CORRECT) {
        Some(replace) => {
            let other = format!("<replace xmlns='{CORRECT}' id='{}'/>", Escaped(named));
            xml.replacen(replace.source(), &other, 1).into()
        }
        None => xml.into(),
    }
}

fn without(tag: &str, begin: &str) -> String {
    let cut = tag.split_once(begin).and_then(|(before, value)| {
        let (_, behind) = value.split_once('\'')?;
        Some([before, behind].concat())
    });
    cut.unwrap_or_else(|| tag.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addressee_and_id_are_others() {
        let kept = "<message xmlns='jabber:client' from='c@x/p' id='their&apos;s' type='groupchat'><mix xmlns='urn:xmpp:mix:core:1'><nick id='n'>N</nick></mix></message>";
        assert_eq!(
            readdressed(kept, "a@b", Some("42")),
            "<message xmlns='jabber:client' to='a@b' id='42' from='c@x/p' type='groupchat'><mix xmlns='urn:xmpp:mix:core:1'><nick id='n'>N</nick></mix></message>"
        );
        let kept = "<message xmlns='jabber:client' from='c@x/p' to='a@b' id='i' type='groupchat'/>";
        assert_eq!(
            readdressed(kept, "a@b/'", None),
            "<message xmlns='jabber:client' to='a@b/&apos;' from='c@x/p' id='i' type='groupchat'/>"
        );
    }

    #[test]
    fn what_is_corrected_is_named_otherwise() {
        const PAYLOAD: &str = "<body>&lt;replace/&gt;</body><replace id=\"m1\" xmlns=\"urn:xmpp:message-correct:0\"/><x xmlns='urn:x'/>";
        const OTHER: &str = "<body>&lt;replace/&gt;</body><replace xmlns='urn:xmpp:message-correct:0' id='a&apos;'/><x xmlns='urn:x'/>";
        assert_eq!(correcting(PAYLOAD, "a'"), OTHER);
        let whole = |inside| format!("<message xmlns='jabber:client' id='c'>{inside}</message>");
        assert_eq!(correcting(&whole(PAYLOAD), "a'"), whole(OTHER));
        assert_eq!(correcting("<body>b</body>", "a"), "<body>b</body>");
        assert_eq!(
            taken_back(
                "<m/><retracted xmlns='urn:xmpp:message-retract:1' id='t' stamp='s'><x id='t'/></retracted>",
                "b"
            ),
            "<m/><retracted xmlns='urn:xmpp:message-retract:1' id='b' stamp='s'><x id='t'/></retracted>"
        );
    }
}
