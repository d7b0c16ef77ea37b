//! What was done to one message of a page, summarized, before marks are counted.
use std::collections::HashSet;

use crate::feature::archive::related::{Looks, of_act, retraction};
use crate::state::{Cx, Fault};
use crate::store::{AccountId, ArchiveId, Facts, Stored};
use crate::xmpp::ns;
use crate::xmpp::relation::{Act, FASTEN, Kind};

use super::fastening::{correction_xml, mark_xml, reaction_xml, retract_xml, shell_of};

/// Summaries of one message; of the latest that were fastened.
const SUMMARIES_MAX: usize = 64;

/// What is known of one message before marks are counted.
pub struct Gathered {
    pub id: ArchiveId,
    pub is_outside: bool,
    pub archive: AccountId,
    pub facts: Option<Facts>,
    pub is_gone: bool,
    /// Who marked it itself: act and sender.
    pub marks: Vec<(Act, String)>,
    pub summaries: Vec<Applied>,
}

/// One summary.
pub struct Applied {
    key: String,
    pub count: u64,
    /// The last fastening; none of a shell.
    pub xml: String,
}

impl Gathered {
    pub fn of(
        cx: &Cx<'_>,
        account: AccountId,
        stored: &Stored,
        looks: &mut Looks,
    ) -> Result<Gathered, Fault> {
        let archive = stored.channel.unwrap_or(account);
        let own = cx.tx.facts(archive, stored.id)?;
        let done = own.as_ref().filter(|own| own.kind == Kind::Ancillary);
        let parent = done.and_then(|own| own.relation).map(|done| done.target);
        let facts = match parent {
            Some(parent) => cx.tx.facts(archive, parent)?,
            None => own,
        };
        let mut one = Gathered {
            id: parent.unwrap_or(stored.id),
            is_outside: parent.is_some(),
            archive,
            is_gone: facts.as_ref().is_some_and(|facts| facts.kind == Kind::Gone),
            facts,
            marks: Vec::new(),
            summaries: Vec::new(),
        };
        let relations = looks.relations(cx, archive, one.id)?;
        one.summarize(cx, &relations, looks)?;
        Ok(one)
    }

    fn summarize(
        &mut self,
        cx: &Cx<'_>,
        relations: &[(Act, ArchiveId)],
        looks: &mut Looks,
    ) -> Result<(), Fault> {
        let receipts = self.take_marks(cx, relations, looks)?;
        if let Some((_, id)) = retraction(relations) {
            self.is_gone = true;
            if let Some(element) = looks.later(cx, id)?.and_then(|later| later.element()) {
                self.count(1, retract_xml(element.root()));
            }
            return Ok(());
        }
        if self.is_gone {
            return Ok(());
        }
        let mut corrections = of_act(relations, Act::Corrects);
        if let Some(id) = corrections.next()
            && let Some(last) = looks.later(cx, id)?.and_then(|later| later.element())
        {
            let count = u64::try_from(corrections.count()).unwrap_or(u64::MAX);
            self.count(count.saturating_add(1), correction_xml(last.root()));
        }
        let mut reacted = HashSet::new();
        for id in of_act(relations, Act::Reacts) {
            let Some(later) = looks.later(cx, id)? else {
                continue;
            };
            if !reacted.contains(&later.sender) {
                for text in later.reactions() {
                    self.add(&format!("reaction {text}"), &reaction_xml(&text));
                }
                reacted.insert(later.sender);
            }
        }
        self.count(receipts, mark_xml("received", ns::RECEIPTS));
        self.add_fastenings(cx, relations, looks)
    }

    /// Also of what is gone: they reach what was said before it. Returns how many receipts there are beside them.
    fn take_marks(
        &mut self,
        cx: &Cx<'_>,
        relations: &[(Act, ArchiveId)],
        looks: &mut Looks,
    ) -> Result<u64, Fault> {
        let mut receipts = 0;
        for (act, id) in relations.iter().filter(|(act, _)| act.is_mark()) {
            match looks.later(cx, *id)? {
                Some(later) if later.xml.contains(ns::MARKERS) => {
                    self.marks.push((*act, later.sender));
                }
                Some(_) => receipts += 1,
                None => {}
            }
        }
        Ok(receipts)
    }

    /// XEP-0422
    fn add_fastenings(
        &mut self,
        cx: &Cx<'_>,
        relations: &[(Act, ArchiveId)],
        looks: &mut Looks,
    ) -> Result<(), Fault> {
        let mut fastened = HashSet::new();
        for id in of_act(relations, Act::Fastens) {
            let Some(later) = looks.later(cx, id)? else {
                continue;
            };
            let Some(element) = later.element() else {
                continue;
            };
            let Some(apply) = element.root().child("apply-to", FASTEN) else {
                continue;
            };
            let says = |name| matches!(apply.attribute(name).as_deref(), Some("true" | "1"));
            if says("shell") {
                self.add("shell", "");
                continue;
            }
            let Some(first) = apply.children().find(|one| !one.is("external", FASTEN)) else {
                continue;
            };
            let kind = (first.name(), first.namespace());
            let is_latest = fastened.insert(format!("{} {} {}", later.sender, kind.0, kind.1));
            if !is_latest || says("clear") {
                continue;
            }
            for one in apply.children().filter(|one| one.is(kind.0, kind.1)) {
                self.add(&shell_of(one), &one.to_xml());
            }
        }
        Ok(())
    }

    /// So many of these, if there are any.
    pub fn count(&mut self, count: u64, xml: String) {
        if count > 0 {
            self.summaries.push(Applied {
                key: String::new(),
                count,
                xml,
            });
        }
    }

    /// The latest comes first.
    fn add(&mut self, key: &str, xml: &str) {
        if let Some(known) = self.summaries.iter_mut().find(|known| known.key == key) {
            known.count += 1;
        } else if self.summaries.len() < SUMMARIES_MAX {
            self.summaries.push(Applied {
                key: key.to_string(),
                count: 1,
                xml: xml.to_string(),
            });
        }
    }
}
