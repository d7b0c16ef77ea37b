//! What a message says in words that a server can read: its bodies in all languages, and its subject.
//!
//! Not what a body says in place of something else: beside an encrypted payload, a retraction or reactions (XEP-0428), nor what a
//! reply quotes (XEP-0461 §3). A correction says what it says.
use crate::xml::{ElementRef, each_child, parse_stored};

use super::ns;
use super::relation::{FASTEN, REACTIONS, REPLY, RETRACT};
use super::words::Wanted;

const FALLBACK: &str = "urn:xmpp:fallback:0";

const TEXTS: &[&str] = &["body", "subject"];

/// Beside these a body says nothing, or not all of it does.
const WORDLESS: &[(&str, &str)] = &[
    ("fallback", FALLBACK),
    ("encrypted", "eu.siacs.conversations.axolotl"),
    ("encrypted", "urn:xmpp:omemo:1"),
    ("encrypted", "urn:xmpp:omemo:2"),
    ("encryption", "urn:xmpp:eme:0"),
    ("openpgp", "urn:xmpp:openpgp:0"),
    ("x", "jabber:x:encrypted"),
    ("retract", RETRACT),
    ("retract", ns::MIX_MISC),
    ("apply-to", FASTEN),
    ("reactions", REACTIONS),
];

/// Parts of a body that are not said by its sender.
const CUTS_MAX: usize = 8;

/// Calls `visit` with each text of a stored message.
pub fn each_text(message: &str, visit: &mut dyn FnMut(&str)) {
    // Most messages say what they say in the plainest way.
    let mut texts = Vec::new();
    let is_plain = each_child(message, &mut |child| {
        let is_text = TEXTS.contains(&child.name);
        if is_text {
            texts.push(child.inside);
        }
        match is_text {
            true => !child.attributes.contains("xmlns") && !child.inside.contains(['<', '&']),
            false => !child.name.contains(':') && !WORDLESS.iter().any(|it| it.0 == child.name),
        }
    });
    if is_plain {
        texts.into_iter().for_each(visit);
    } else if let Ok(element) = parse_stored(message, ns::CLIENT) {
        each_text_in(element.root(), visit);
    }
}

fn each_text_in(message: ElementRef<'_>, visit: &mut dyn FnMut(&str)) {
    let mut is_cut = false;
    for child in message.children() {
        let is = |(name, namespace): &&(&str, &str)| child.is(name, namespace);
        match WORDLESS.iter().find(is) {
            Some((_, FALLBACK)) => is_cut = true,
            Some(_) => return,
            None => {}
        }
    }
    let namespace = message.namespace();
    let cuts = match is_cut {
        true => cuts(message),
        false => Vec::new(),
    };
    for child in message.children() {
        if child.is("subject", namespace) || (child.is("body", namespace) && cuts.is_empty()) {
            visit(&child.text());
        } else if child.is("body", namespace) {
            let text = child.text();
            let is_left = |at: usize| !cuts.iter().any(|(from, to)| (*from..*to).contains(&at));
            let left = text.chars().enumerate().filter(|(at, _)| is_left(*at));
            visit(&left.map(|(_, char)| char).collect::<String>());
        }
    }
}

/// The texts of a stored message together have all words.
pub fn says(message: &str, wanted: &Wanted) -> bool {
    let mut said = String::new();
    each_text(message, &mut |text| {
        said.push_str(text);
        said.push('\n');
    });
    wanted.is_in(&said)
}

/// What of the body is quoted, counted in characters.
fn cuts(message: ElementRef<'_>) -> Vec<(usize, usize)> {
    const ALL: (usize, usize) = (0, usize::MAX);
    let mut cuts = Vec::new();
    for fallback in message.children() {
        let of = fallback.attribute("for");
        if !fallback.is("fallback", FALLBACK) || of.as_deref() != Some(REPLY) {
            continue;
        }
        let mut parts = fallback.children().peekable();
        if parts.peek().is_none() {
            cuts.push(ALL);
        }
        for part in parts.filter(|part| part.name() == "body") {
            let number = |name| part.attribute(name).map(|it| it.trim().parse().ok());
            cuts.push(match (number("start"), number("end")) {
                (None, None) => ALL,
                (Some(Some(from)), Some(Some(to))) => (from, to),
                _ => continue,
            });
        }
    }
    cuts.truncate(CUTS_MAX);
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(children: &str) -> Vec<String> {
        let xml = format!("<message xmlns='jabber:client'>{children}</message>");
        let (mut said, mut parsed) = (Vec::new(), Vec::new());
        each_text(&xml, &mut |text| said.push(text.to_string()));
        // The plain way says the same.
        let element = parse_stored(&xml, ns::CLIENT).unwrap();
        each_text_in(element.root(), &mut |text| parsed.push(text.to_string()));
        assert_eq!(said, parsed, "{xml}");
        said
    }

    #[test]
    fn what_is_said() {
        let reply = "<reply xmlns='urn:xmpp:reply:0' id='x'/>";
        let fallback = |inside: &str| {
            format!(
                "<body>&gt; ébé\nyes</body>{reply}<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'>{inside}</fallback>"
            )
        };
        for (children, expected) in [
            ("<body>hi &amp; bye</body>", &["hi & bye"][..]),
            (
                "<body xml:lang='de'>eins</body><body xml:lang='en'>one</body>",
                &["eins", "one"],
            ),
            ("<subject>s</subject><body>b</body>", &["s", "b"]),
            ("<body xmlns='urn:other'>no</body>", &[]),
            ("<x:body xmlns:x='jabber:client'>yes</x:body>", &["yes"]),
            (
                "<body>a</body><x xmlns='urn:other'><body>no</body></x>",
                &["a"],
            ),
            ("<body><![CDATA[<b>]]></body>", &["<b>"]),
            ("<body/><subject>s</subject>", &["", "s"]),
            (
                "<body>new</body><replace xmlns='urn:xmpp:message-correct:0' id='o'/>",
                &["new"],
            ),
            (
                "<body>I sent you an OMEMO encrypted message</body><encrypted xmlns='urn:xmpp:omemo:2'/>",
                &[],
            ),
            (
                "<body>took it back</body><retract xmlns='urn:xmpp:message-retract:1' id='x'/>",
                &[],
            ),
            (
                "<body>+1</body><reactions xmlns='urn:xmpp:reactions:0' id='x'/>",
                &[],
            ),
            (&fallback("<body start='0' end='6'/>"), &["yes"]),
            (&fallback("<body/>"), &[""]),
            (&fallback(""), &[""]),
            (&fallback("<body start='x' end='6'/>"), &["> ébé\nyes"]),
            (&fallback("<subject/>"), &["> ébé\nyes"]),
            (
                &fallback(&"<body start='9' end='9'/>".repeat(99)),
                &["> ébé\nyes"],
            ),
        ] {
            assert_eq!(said(children), expected, "{children}");
        }
    }
}
