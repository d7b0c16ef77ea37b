//! XEP-0292 §7: vcard-temp (XEP-0054) and vCard4 turned into each other, by one table. What one form has no word for stays as
//! it was in the other.
#[cfg(test)]
mod tests;

use crate::xml::{ElementRef, Escaped, Writer};

/// XEP-0054
pub const TEMP_NS: &str = "vcard-temp";
/// RFC 6351
pub const FOUR_NS: &str = "urn:ietf:params:xml:ns:vcard-4.0";
/// Before a picture within a URI (RFC 2397).
const DATA: &str = "data:";
const BASE64: &str = ";base64,";

/// One property in both forms.
struct Property {
    temp: &'static str,
    four: &'static str,
    shape: Shape,
}

/// How a property looks.
enum Shape {
    /// Text, and the element it stands in in vCard4, behind a prefix.
    Text(&'static str, &'static str),
    /// Date or time.
    Date,
    /// Elements of their own, the same in both but for the name.
    Parts(&'static [(&'static str, &'static str)]),
    /// One element holds the text: its name, and as `Text`.
    Held(&'static str, &'static str, &'static str),
    /// One element for each text; the first may have a name of its own.
    List(&'static str, &'static str),
    Place,
    Picture,
}

const fn row(temp: &'static str, four: &'static str, shape: Shape) -> Property {
    Property { temp, four, shape }
}

const NAME: &[(&str, &str)] = &[
    ("FAMILY", "surname"),
    ("GIVEN", "given"),
    ("MIDDLE", "additional"),
    ("PREFIX", "prefix"),
    ("SUFFIX", "suffix"),
];
const ADDRESS: &[(&str, &str)] = &[
    ("POBOX", "pobox"),
    ("EXTADD", "ext"),
    ("STREET", "street"),
    ("LOCALITY", "locality"),
    ("REGION", "region"),
    ("PCODE", "code"),
    ("CTRY", "country"),
];

/// Where two have the same name in one form, the first is what that becomes.
const PROPERTIES: &[Property] = &[
    row("FN", "fn", Shape::Text("text", "")),
    row("N", "n", Shape::Parts(NAME)),
    row("NICKNAME", "nickname", Shape::Text("text", "")),
    row("PHOTO", "photo", Shape::Picture),
    row("BDAY", "bday", Shape::Date),
    row("ADR", "adr", Shape::Parts(ADDRESS)),
    row("TEL", "tel", Shape::Held("NUMBER", "uri", "tel:")),
    row("EMAIL", "email", Shape::Held("USERID", "text", "")),
    row("JABBERID", "impp", Shape::Text("uri", "xmpp:")),
    row("TZ", "tz", Shape::Text("text", "")),
    row("GEO", "geo", Shape::Place),
    row("TITLE", "title", Shape::Text("text", "")),
    row("ROLE", "role", Shape::Text("text", "")),
    row("LOGO", "logo", Shape::Picture),
    row("ORG", "org", Shape::List("ORGNAME", "ORGUNIT")),
    row(
        "CATEGORIES",
        "categories",
        Shape::List("KEYWORD", "KEYWORD"),
    ),
    // What clients call a note in vcard-temp.
    row("DESC", "note", Shape::Text("text", "")),
    row("NOTE", "note", Shape::Text("text", "")),
    row("PRODID", "prodid", Shape::Text("text", "")),
    row("UID", "uid", Shape::Text("uri", "")),
    row("URL", "url", Shape::Text("uri", "")),
    row("KEY", "key", Shape::Held("CRED", "text", "")),
];

/// Kinds of addresses and numbers (§7.4, §7.5).
const TYPES: &[(&str, &str)] = &[
    ("HOME", "home"),
    ("WORK", "work"),
    ("TEXT", "text"),
    ("VOICE", "voice"),
    ("FAX", "fax"),
    ("CELL", "cell"),
    ("VIDEO", "video"),
    ("PAGER", "pager"),
    ("TEXTPHONE", "textphone"),
];

/// A vCard4 of a vcard-temp. `before`: the one there was; what vcard-temp cannot say is kept of it.
pub fn four_of_temp(temp: ElementRef<'_>, before: Option<ElementRef<'_>>) -> String {
    let mut xml = Vec::new();
    let mut w = Writer::new(&mut xml);
    w.open_ns("vcard", FOUR_NS);
    for child in temp.children().filter(|child| is_of(*child, TEMP_NS)) {
        if let Some(row) = PROPERTIES.iter().find(|row| row.temp == child.name()) {
            write_four(&mut w, row, child);
        }
    }
    let kept = before.into_iter().flat_map(ElementRef::children);
    for child in kept.filter(|child| !is_said_by_temp(*child)) {
        w.raw(&child.to_xml());
    }
    w.close();
    String::from_utf8(xml).expect("the writer writes UTF-8")
}

/// The other way.
pub fn temp_of_four(four: ElementRef<'_>, before: Option<ElementRef<'_>>) -> String {
    let mut xml = Vec::new();
    let mut w = Writer::new(&mut xml);
    w.open_ns("vCard", TEMP_NS);
    for child in four.children().filter(|child| is_said_by_temp(*child)) {
        if let Some(row) = PROPERTIES.iter().find(|row| row.four == child.name()) {
            write_temp(&mut w, row, child);
        }
    }
    let kept = before.into_iter().flat_map(ElementRef::children);
    let is_mapped = |child: &ElementRef<'_>| {
        is_of(*child, TEMP_NS) && PROPERTIES.iter().any(|row| row.temp == child.name())
    };
    for child in kept.filter(|child| !is_mapped(child)) {
        w.raw(&child.to_xml());
    }
    w.close();
    String::from_utf8(xml).expect("the writer writes UTF-8")
}

fn is_of(child: ElementRef<'_>, namespace: &str) -> bool {
    child.namespace() == namespace
}

/// Whether vcard-temp has a word for this property of a vCard4: of addresses for messages only for those of XMPP.
fn is_said_by_temp(child: ElementRef<'_>) -> bool {
    let row = PROPERTIES.iter().find(|row| row.four == child.name());
    let Some(row) = row.filter(|_| is_of(child, FOUR_NS)) else {
        return false;
    };
    match row.shape {
        Shape::Text(element, prefix) if !prefix.is_empty() => {
            let value = child.child(element, FOUR_NS);
            value.is_some_and(|value| value.text().starts_with(prefix))
        }
        _ => true,
    }
}

fn write_four(w: &mut Writer<'_>, row: &Property, child: ElementRef<'_>) {
    let text_of = |name| child.child(name, TEMP_NS).map(|part| part.text());
    w.open(row.four);
    match row.shape {
        Shape::Text(element, prefix) => {
            w.leaf(element, &format!("{prefix}{}", child.text().trim()));
        }
        Shape::Date => {
            let text = child.text();
            let element = if text.contains('T') {
                "date-time"
            } else {
                "date"
            };
            w.leaf(element, text.trim());
        }
        Shape::Parts(parts) => {
            write_parameters(w, child);
            for (temp, four) in parts {
                if let Some(text) = text_of(temp) {
                    w.leaf(four, &text);
                }
            }
        }
        Shape::Held(holder, element, prefix) => {
            write_parameters(w, child);
            // Some have the text without its element.
            let text = text_of(holder).unwrap_or_else(|| child.text());
            w.leaf(element, &format!("{prefix}{}", text.trim()));
        }
        Shape::List(first, others) => {
            for part in child.children() {
                if is_of(part, TEMP_NS) && [first, others].contains(&part.name()) {
                    w.leaf("text", &part.text());
                }
            }
        }
        Shape::Place => {
            let (lat, lon) = (text_of("LAT"), text_of("LON"));
            let (lat, lon) = (lat.unwrap_or_default(), lon.unwrap_or_default());
            w.leaf("uri", &format!("geo:{},{}", lat.trim(), lon.trim()));
        }
        Shape::Picture => match (text_of("EXTVAL"), text_of("BINVAL")) {
            (Some(uri), _) => _ = w.leaf("uri", uri.trim()),
            (None, bytes) => {
                let kind = text_of("TYPE").unwrap_or_default();
                let bytes: String = bytes.unwrap_or_default().split_whitespace().collect();
                w.leaf("uri", &format!("{DATA}{}{BASE64}{bytes}", kind.trim()));
            }
        },
    }
    w.close();
}

fn write_parameters(w: &mut Writer<'_>, child: ElementRef<'_>) {
    let has = |name: &str| child.child(name, TEMP_NS).is_some();
    let is_preferred = has("PREF");
    let types: Vec<&str> = TYPES
        .iter()
        .filter(|(temp, _)| has(temp))
        .map(|(_, four)| *four)
        .collect();
    if types.is_empty() && !is_preferred {
        return;
    }
    w.open("parameters");
    if !types.is_empty() {
        w.open("type");
        for kind in types {
            w.leaf("text", kind);
        }
        w.close();
    }
    if is_preferred {
        w.open("pref").leaf("integer", "1").close();
    }
    w.close();
}

fn write_temp(w: &mut Writer<'_>, row: &Property, child: ElementRef<'_>) {
    let text_of = |name| child.child(name, FOUR_NS).map(|part| part.text());
    let values = || {
        let children = child.children();
        children.filter(|value| is_of(*value, FOUR_NS) && value.name() != "parameters")
    };
    // A URI where there is text, text where there is a URI: the value is what there is.
    let value = |prefix: &str| {
        let text = values()
            .next()
            .map(|value| value.text())
            .unwrap_or_default();
        let text = text.trim();
        text.strip_prefix(prefix).unwrap_or(text).to_string()
    };
    if let Shape::Text("text", "") = row.shape {
        // One property may have several texts (RFC 6351 §5).
        for text in values() {
            w.leaf(row.temp, &text.text());
        }
        return;
    }
    w.open(row.temp);
    match row.shape {
        Shape::Text(_, prefix) => _ = w.text(&value(prefix)),
        Shape::Date => _ = w.text(&value("")),
        Shape::Parts(parts) => {
            write_types(w, child);
            for (temp, four) in parts {
                if let Some(text) = text_of(four) {
                    w.leaf(temp, &text);
                }
            }
        }
        Shape::Held(holder, _, prefix) => {
            write_types(w, child);
            w.leaf(holder, &value(prefix));
        }
        Shape::List(first, others) => {
            for (nth, text) in values().enumerate() {
                w.leaf(if nth == 0 { first } else { others }, &text.text());
            }
        }
        Shape::Place => {
            let place = value("geo:");
            // Behind a semicolon there are parameters (RFC 5870).
            let place = place.split(';').next().unwrap_or_default();
            let mut numbers = place.split(',');
            w.leaf("LAT", numbers.next().unwrap_or_default());
            w.leaf("LON", numbers.next().unwrap_or_default());
        }
        Shape::Picture => {
            let uri = value("");
            match uri
                .strip_prefix(DATA)
                .and_then(|data| data.split_once(BASE64))
            {
                Some((kind, bytes)) => w.leaf("TYPE", kind).leaf("BINVAL", bytes),
                None => w.leaf("EXTVAL", &uri),
            };
        }
    }
    w.close();
}

fn write_types(w: &mut Writer<'_>, child: ElementRef<'_>) {
    let Some(parameters) = child.child("parameters", FOUR_NS) else {
        return;
    };
    let kinds = parameters
        .children()
        .filter(|part| part.is("type", FOUR_NS));
    let kinds: Vec<String> = kinds
        .flat_map(ElementRef::children)
        .map(|kind| kind.text().trim().to_ascii_lowercase())
        .collect();
    for (temp, four) in TYPES {
        if kinds.iter().any(|kind| kind == four) {
            w.open(temp).close();
        }
    }
    if parameters.child("pref", FOUR_NS).is_some() {
        w.open("PREF").close();
    }
}

/// A vCard as it stands, but for its picture, which is this now: at the place of the first one, else at the end.
pub fn with_photo(card: ElementRef<'_>, photo: &str) -> String {
    let namespace = card.namespace();
    let (root, name) = match namespace == TEMP_NS {
        true => ("vCard", "PHOTO"),
        false => ("vcard", "photo"),
    };
    let inner = card.inner_source();
    let tags = card
        .source()
        .rsplit_once("</")
        .filter(|_| !inner.is_empty());
    let tags = tags.and_then(|(before, end)| Some((before.strip_suffix(inner)?, end.to_string())));
    let (mut xml, end) = match tags {
        Some((head, end)) => (head.to_string(), end),
        None => (format!("<{root} xmlns='{namespace}'>"), format!("{root}>")),
    };
    let mut photo = Some(photo);
    for child in card.children() {
        match child.is(name, namespace) {
            true => xml.push_str(photo.take().unwrap_or_default()),
            false => xml.push_str(child.source()),
        }
    }
    xml.push_str(photo.unwrap_or_default());
    xml.push_str("</");
    xml.push_str(&end);
    xml
}

/// A picture within a vCard4.
pub fn four_photo(kind: &str, bytes: &str) -> String {
    format!(
        "<photo xmlns='{FOUR_NS}'><uri>{DATA}{}{BASE64}{}</uri></photo>",
        Escaped(kind),
        Escaped(bytes)
    )
}

/// A picture within a vcard-temp.
pub fn photo(kind: &str, bytes: &str) -> String {
    let mut xml = Vec::new();
    let mut w = Writer::new(&mut xml);
    w.open_ns("PHOTO", TEMP_NS).leaf("TYPE", kind);
    w.leaf("BINVAL", bytes).close();
    String::from_utf8(xml).expect("the writer writes UTF-8")
}
