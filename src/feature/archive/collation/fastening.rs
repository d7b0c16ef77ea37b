//! Fastenings as they stand in a summary: without the id, which is that of the parent (XEP-0427 §4).
use crate::xml::{ElementRef, Writer};
use crate::xmpp::ns;
use crate::xmpp::relation::{CORRECT, REACTIONS, RETRACT};

pub fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes));
    String::from_utf8(bytes).expect("the writer writes UTF-8")
}

pub fn reaction_xml(text: &str) -> String {
    written(|w| {
        w.open_ns("reactions", REACTIONS)
            .leaf("reaction", text)
            .close();
    })
}

pub fn retract_xml(message: ElementRef<'_>) -> String {
    let mut children = message.children();
    let retract = children.find(|child| child.name() == "retract");
    written(|w| match retract {
        Some(retract) => {
            w.open_ns("retract", retract.namespace());
            for child in retract.children() {
                w.raw(&child.to_xml());
            }
            w.close();
        }
        // In the words of before version 0.4 of XEP-0424.
        None => {
            w.open_ns("retract", RETRACT).close();
        }
    })
}

/// Of a correction what is not about the message as a stanza.
pub fn correction_xml(message: ElementRef<'_>) -> String {
    const ABOUT_STANZA: &[&str] = &[
        CORRECT,
        ns::MIX,
        ns::MUC_USER,
        ns::OCCUPANT_ID,
        ns::STANZA_ID,
        ns::HINTS,
        ns::RECEIPTS,
        ns::MARKERS,
        ns::CHAT_STATES,
        ns::DELAY,
    ];
    written(|w| {
        w.open_ns("replace", CORRECT);
        for child in message.children() {
            if !ABOUT_STANZA.contains(&child.namespace()) {
                w.raw(&child.to_xml());
            }
        }
        w.close();
    })
}

/// Name, namespace and attributes: by these summaries differ (§2.2.1).
pub fn shell_of(fastening: ElementRef<'_>) -> String {
    let attributes = fastening.attributes();
    let mut attributes: Vec<String> = attributes
        .map(|one| format!(" {{{}}}{}={:?}", one.namespace, one.name, one.value))
        .collect();
    attributes.sort_unstable();
    format!(
        "{{{}}}{}{}",
        fastening.namespace(),
        fastening.name(),
        attributes.concat()
    )
}
