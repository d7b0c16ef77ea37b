//! XEP-0317: hats, which say what somebody is here beside what the room makes of them. The room has a list of them; members
//! wear some. They follow what their occupants say of themselves.
use std::rc::Rc;

use crate::channel::config::{Config, field, set_texts};
use crate::channel::{Channel, change, people, room};
use crate::state::Cx;
use crate::store::{ConfigRow, MemberRow, StoreError};
use crate::xml::Writer;
use crate::xmpp::hashing::digest;
use crate::xmpp::{base64, ns};

use crate::channel::muc::occupants::tell::{self, News};

/// Between the parts of one that is written down; no XML holds it.
const BETWEEN: char = '\u{1f}';

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hat {
    pub uri: String,
    pub title: String,
    /// Degrees of a colour; empty: none is said.
    pub hue: String,
}

/// All that the room has.
pub fn all(config: &ConfigRow) -> Vec<Hat> {
    let texts = Config::texts(config, field::HATS).iter();
    texts
        .map(|text| {
            let mut parts = text.split(BETWEEN).map(str::to_string);
            let mut next = || parts.next().unwrap_or_default();
            Hat {
                uri: next(),
                title: next(),
                hue: next(),
            }
        })
        .collect()
}

/// §3: tells one list from another.
pub fn hash(config: &ConfigRow) -> Option<String> {
    let texts = Config::texts(config, field::HATS);
    let hash = digest::digest(&digest::SHA256, texts.join("\n").as_bytes());
    (!texts.is_empty()).then(|| base64(hash.as_ref()))
}

/// What somebody says of themselves, and what the channel says of them.
pub fn worn(channel: &Channel, shown: &Rc<str>, member: &MemberRow) -> Rc<str> {
    match element(&channel.row.config, member) {
        Some(element) => format!("{shown}{element}").into(),
        None => Rc::clone(shown),
    }
}

/// §4.1
fn element(config: &ConfigRow, member: &MemberRow) -> Option<String> {
    if member.hats.is_empty() {
        return None;
    }
    let all = all(config);
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    w.open_ns("hats", ns::HATS);
    for hat in all.iter().filter(|hat| member.hats.contains(&hat.uri)) {
        let hue = Some(&*hat.hue).filter(|hue| !hue.is_empty());
        w.open("hat")
            .attr("uri", &hat.uri)
            .attr("title", &hat.title)
            .attr_opt("hue", hue)
            .close();
    }
    w.close();
    String::from_utf8(bytes).ok()
}

/// Somebody wears others from now on.
pub fn set_worn(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    jid: &str,
    hats: Vec<String>,
) -> Result<(), StoreError> {
    let before = people::member(cx, channel, jid)?;
    let now = MemberRow {
        hats,
        ..before.clone()
    };
    people::set(cx, channel, jid, &now)?;
    let config = &channel.row.config;
    let elements = (element(config, &before), element(config, &now));
    show(cx, channel, jid, elements);
    Ok(())
}

/// The room has another list. Whoever wears what is no more does so no more.
pub fn set_all(cx: &mut Cx<'_>, channel: &mut Channel, hats: &[Hat]) -> Result<(), StoreError> {
    let before = channel.row.config.clone();
    let texts = hats.iter().map(|hat| {
        let Hat { uri, title, hue } = hat;
        format!("{uri}{BETWEEN}{title}{BETWEEN}{hue}")
    });
    let texts = texts.collect();
    change(cx, channel, |_, row| {
        set_texts(&mut row.config, field::HATS, texts);
        Ok(())
    })?;
    for (jid, row) in wearers(cx, channel)? {
        let mut now = row.clone();
        now.hats
            .retain(|uri| hats.iter().any(|hat| hat.uri == *uri));
        if now != row {
            people::set(cx, channel, &jid, &now)?;
        }
        let elements = (element(&before, &row), element(&channel.row.config, &now));
        show(cx, channel, &jid, elements);
    }
    Ok(())
}

/// Everybody who wears some.
pub fn wearers(cx: &Cx<'_>, channel: &Channel) -> Result<Vec<(String, MemberRow)>, StoreError> {
    let mut found = Vec::new();
    people::each(cx, channel, &mut |jid, row| {
        if !row.hats.is_empty() {
            found.push((jid, row));
        }
    })?;
    Ok(found)
}

/// All inside are told, each nick once.
fn show(
    cx: &mut Cx<'_>,
    channel: &Channel,
    jid: &str,
    (before, now): (Option<String>, Option<String>),
) {
    if before == now {
        return;
    }
    let (before, now) = (before.unwrap_or_default(), now.unwrap_or_default());
    let mut changed = Vec::new();
    for one in &mut room(cx, channel).occupants {
        if one.jid.bare_str() == jid {
            let said = one.presence.strip_suffix(&*before);
            let presence = format!("{}{now}", said.unwrap_or(&one.presence));
            one.presence = presence.into();
            changed.retain(|other: &crate::state::Occupant| other.key != one.key);
            changed.push(one.clone());
        }
    }
    for one in &changed {
        tell::announce(cx, channel, &News::of(one));
    }
}
