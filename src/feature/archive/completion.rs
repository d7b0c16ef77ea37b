//! Pages that tell what became of their messages. A page of XEP-0313 ends between a message and its correction, and whoever
//! pages back sees a text that was corrected long ago. A client that asks for it, by a field of the query's form, gets behind
//! the messages of a page what later ones, not on the page, did to them last:
//!
//! - the latest correction (XEP-0308),
//! - the retraction (XEP-0424, XEP-0425); then nothing else,
//! - the latest reactions of each who reacted (XEP-0444); of whoever took theirs back only if the page says that they reacted.
//!
//! `<field var='{urn:stonechat:archive:0}complete'><value>true</value></field>`
//!
//! Each is a result as others are, with its own id, in the order they came, and says what it is there for:
//! `<result xmlns='urn:xmpp:mam:2' id='…'><forwarded/><about xmlns='urn:stonechat:archive:0' id='…' act='correct'/></result>`,
//! where `id` is the archive's id of the message it is about. They do not count: neither for `max` nor in the answer's
//! `first`, `last` and `count`.
use std::collections::{HashMap, HashSet};

use crate::state::{Cx, Fault};
use crate::store::{AccountId, ArchiveId, Stored};
use crate::xmpp::relation::Act;

use super::related::{Looks, reactions_of, retraction};

pub const NS: &str = "urn:stonechat:archive:0";
pub const FIELD: &str = "{urn:stonechat:archive:0}complete";

/// Who reacted to one message.
const REACTED_MAX: usize = 200;
/// Bytes of all that is sent with a page.
const BYTES_MAX: usize = 256 << 10;

/// What was done to a message of the page.
pub struct Related {
    pub act: Act,
    pub target: ArchiveId,
    pub stored: Stored,
}

/// In the order they came.
pub fn of(cx: &Cx<'_>, account: AccountId, page: &[Stored]) -> Result<Vec<Related>, Fault> {
    let on_page: HashSet<ArchiveId> = page.iter().map(|stored| stored.id).collect();
    let mut found = Found {
        related: Vec::new(),
        looks: Looks::new(account, &[]),
        bytes: 0,
    };
    found.looks.read_ahead(cx, page)?;
    for stored in page {
        let archive = stored.channel.unwrap_or(account);
        found.add(cx, (archive, stored), &on_page)?;
    }
    found.related.sort_by_key(|related| related.stored.id);
    Ok(found.related)
}

struct Found {
    related: Vec<Related>,
    looks: Looks,
    bytes: usize,
}

impl Found {
    /// The latest come first.
    fn add(
        &mut self,
        cx: &Cx<'_>,
        (archive, about): (AccountId, &Stored),
        on_page: &HashSet<ArchiveId>,
    ) -> Result<(), Fault> {
        let relations = self.looks.relations(cx, archive, about.id)?;
        if let Some(retraction) = retraction(&relations) {
            return self.take(cx, about, retraction, on_page);
        }
        let is_correction = |(act, _): &&(Act, ArchiveId)| *act == Act::Corrects;
        if let Some(correction) = relations.iter().find(is_correction) {
            self.take(cx, about, *correction, on_page)?;
        }
        let mut relations = relations;
        relations.retain(|(act, _)| *act == Act::Reacts);
        // Who reacted -> with what they took that back, if they did.
        let mut reacted: HashMap<String, Option<ArchiveId>> = HashMap::new();
        let mut taken = Vec::new();
        self.looks.each(cx, archive, &relations, &mut |_, later| {
            let is_known = reacted.contains_key(later.sender);
            if !is_known && reacted.len() < REACTED_MAX {
                let is_empty = reactions_of(later).is_empty();
                reacted.insert(later.sender.to_string(), is_empty.then_some(later.id));
                if !is_empty {
                    taken.push(later.id);
                }
            } else if is_known && on_page.contains(&later.id) {
                // The page says that they reacted.
                let empty = reacted.get_mut(later.sender).and_then(Option::take);
                taken.extend(empty);
            }
        })?;
        for id in taken {
            self.take(cx, about, (Act::Reacts, id), on_page)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        cx: &Cx<'_>,
        about: &Stored,
        (act, id): (Act, ArchiveId),
        on_page: &HashSet<ArchiveId>,
    ) -> Result<(), Fault> {
        if on_page.contains(&id) || self.bytes >= BYTES_MAX {
            return Ok(());
        }
        if let Some(stored) = cx.tx.stanza(id)? {
            self.bytes += stored.xml.len();
            self.related.push(Related {
                act,
                target: about.id,
                stored: Stored {
                    channel: about.channel,
                    ..stored
                },
            });
        }
        Ok(())
    }
}

/// What a result is there for.
pub fn mark(act: Act, target: &str) -> String {
    let act = match act {
        Act::Corrects => "correct",
        Act::Retracts | Act::Moderates => "retract",
        _ => "react",
    };
    format!("<about xmlns='{NS}' id='{target}' act='{act}'/>")
}
