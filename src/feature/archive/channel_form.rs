//! What a channel distributed (XEP-0369), as a participant is sent it: the archive keeps it as the channel sent it, once for all.
use crate::xml::Escaped;

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

/// XEP-0369 §7.1.3: a message of a channel has the id of the archive, and is to the participant. `xml`: of the channel's own
/// archive.
pub fn as_member(xml: &str, id: &str, to: &str) -> String {
    readdressed(xml, to, Some(id))
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
            as_member(kept, "42", "a@b"),
            "<message xmlns='jabber:client' to='a@b' id='42' from='c@x/p' type='groupchat'><mix xmlns='urn:xmpp:mix:core:1'><nick id='n'>N</nick></mix></message>"
        );
        let kept = "<message xmlns='jabber:client' from='c@x/p' to='a@b' id='i' type='groupchat'/>";
        assert_eq!(
            readdressed(kept, "a@b/'", None),
            "<message xmlns='jabber:client' to='a@b/&apos;' from='c@x/p' id='i' type='groupchat'/>"
        );
    }
}
