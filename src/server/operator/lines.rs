//! What an archive holds as an operator reads it: a line for each stanza, with what it does to another one.
use std::fmt::Write as _;

use crate::store::{AccountId, ArchiveId, Facts, StoreError, Stored, Tx};
use crate::xml::{ElementRef, parse_stored};
use crate::xmpp::relation::{Act, REACTIONS, RETRACT, act_of, is_encrypted};
use crate::xmpp::said::each_text;
use crate::xmpp::{ns, on_one_line, quoted};

/// Characters of a message that are repeated where another one is about it.
const REPEATED_MAX: usize = 40;

/// When, who to whom, what. `own`: whose archive it is.
pub fn show(
    tx: &Tx,
    text: &mut String,
    stored: &Stored,
    (archive, own): (AccountId, &str),
) -> Result<(), StoreError> {
    let Ok(element) = parse_stored(&stored.xml, ns::CLIENT) else {
        return Ok(());
    };
    let root = element.root();
    let side = |name| {
        root.attribute(name)
            .map_or(own.to_string(), |jid| jid.into_owned())
    };
    let mut from = side("from");
    // In a channel people are known by their nicks.
    let mix = root.child("mix", ns::MIX);
    if let Some(nick) = mix.and_then(|mix| mix.child("nick", ns::MIX))
        && let Some((channel, _)) = from.split_once('/')
    {
        from = format!("{channel}/{}", nick.text());
    }
    let said = said(tx, stored, root, archive)?;
    let _ = writeln!(
        text,
        "{}\t{} -> {}\t{said}",
        stored.at,
        quoted(&from),
        quoted(&side("to")),
    );
    Ok(())
}

fn said(
    tx: &Tx,
    stored: &Stored,
    root: ElementRef<'_>,
    archive: AccountId,
) -> Result<String, StoreError> {
    let words = words(&stored.xml, root);
    let has_body = root.child("body", ns::CLIENT).is_some();
    let act = act_of(root).filter(|(act, _)| !(act.is_mark() && has_body));
    let Some((act, name)) = act else {
        return Ok(words);
    };
    let target = target(tx, (archive, stored.id))?;
    let target = quoted(target.as_deref().unwrap_or(&name)).to_string();
    Ok(match act {
        Act::Corrects => format!("[corrects {target}] {words}"),
        Act::Replies => format!("[replies to {target}] {words}"),
        Act::Reacts => format!("[reacts to {target}] {}", reactions(root)),
        Act::Retracts | Act::Moderates => format!("[retracts {target}]"),
        Act::Displays => format!("[has seen {target}]"),
        Act::Acknowledges => format!("[acknowledges {target}]"),
        Act::Receives | Act::Delivers => format!("[has received {target}]"),
        Act::Fastens => format!("[adds to {target}]"),
    })
}

/// What it says in words, or why it says none.
fn words(xml: &str, root: ElementRef<'_>) -> String {
    let mut words = String::new();
    each_text(xml, &mut |text| {
        words.push_str(text);
        words.push(' ');
    });
    match on_one_line(&words) {
        words if !words.is_empty() => words,
        _ if root.child("retracted", RETRACT).is_some() => "[retracted]".to_string(),
        _ if is_encrypted(root) => "[encrypted]".to_string(),
        _ => "[no text]".to_string(),
    }
}

/// The beginning of what another one is about, if that is there and says something.
fn target(tx: &Tx, (archive, id): (AccountId, ArchiveId)) -> Result<Option<String>, StoreError> {
    let facts = tx.facts(archive, id)?;
    let Some(relation) = facts.and_then(|Facts { relation, .. }| relation) else {
        return Ok(None);
    };
    let Some(target) = tx.stanza(relation.target)? else {
        return Ok(None);
    };
    let mut words = String::new();
    each_text(&target.xml, &mut |text| {
        if words.is_empty() {
            words = on_one_line(text);
        }
    });
    if let Some((end, _)) = words.char_indices().nth(REPEATED_MAX) {
        words.truncate(end);
        words.push('…');
    }
    Ok(Some(words).filter(|words| !words.is_empty()))
}

fn reactions(root: ElementRef<'_>) -> String {
    let reactions = root.child("reactions", REACTIONS);
    let all: Vec<String> = reactions
        .into_iter()
        .flat_map(|reactions| reactions.children())
        .map(|reaction| on_one_line(&reaction.text()))
        .collect();
    match all.is_empty() {
        true => "[no more]".to_string(),
        false => all.join(" "),
    }
}
