//! What was done to one message of a page, summarized, before marks are counted.
use std::borrow::Cow;
use std::collections::HashSet;

use crate::feature::archive::related::{Looks, element_of, reactions_of, retraction};
use crate::state::{Cx, Fault};
use crate::store::{AccountId, ArchiveId, Facts, Glance, Stored};
use crate::xmpp::ns;
use crate::xmpp::relation::{Act, FASTEN, Kind};

use super::fastening::{correction_xml, reaction_xml, retract_xml, shell_of};

/// Summaries of one message; of the latest that were fastened.
const SUMMARIES_MAX: usize = 64;
/// XEP-0184
const RECEIPT: &str = "<received xmlns='urn:xmpp:receipts'/>";

/// What is known of one message before marks are counted.
pub struct Gathered {
    pub id: ArchiveId,
    pub is_outside: bool,
    pub archive: AccountId,
    pub facts: Option<Facts>,
    pub is_gone: bool,
    /// Who marked it itself: act and sender.
    pub marks: Vec<(Act, String)>,
    /// In order of their kinds, of one kind the latest first.
    pub summaries: Vec<Applied>,
    /// Who reacted, or fastened something of a type.
    heard: HashSet<String>,
}

/// In the order they are told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    Retraction,
    Correction,
    Reaction,
    Receipt,
    Fastening,
    Mark,
}

/// One summary.
pub struct Applied {
    sort: Sort,
    /// By what fastenings of one sort differ.
    key: String,
    pub count: u64,
    /// The last fastening; none of a shell.
    pub xml: Cow<'static, str>,
}

impl Gathered {
    pub fn of(
        cx: &Cx<'_>,
        account: AccountId,
        stored: &Stored,
        looks: &mut Looks,
    ) -> Result<Gathered, Fault> {
        let archive = stored.channel.unwrap_or(account);
        let own = looks.facts(cx, archive, stored.id)?;
        let done = own.as_ref().filter(|own| own.kind == Kind::Ancillary);
        let parent = done.and_then(|own| own.relation).map(|done| done.target);
        let facts = match parent {
            Some(parent) => looks.facts(cx, archive, parent)?,
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
            heard: HashSet::new(),
        };
        let mut relations = looks.relations(cx, archive, one.id)?;
        let retraction = retraction(&relations).map(|(_, id)| id);
        one.is_gone |= retraction.is_some();
        let is_gone = one.is_gone;
        // Of corrections the last is read, the others are counted. Marks of what is gone reach what was said before it.
        let is_correction = |(act, _): &&(Act, ArchiveId)| *act == Act::Corrects;
        let corrections = relations.iter().filter(is_correction).count();
        let last = relations.iter().find(is_correction).map(|(_, id)| *id);
        let delivered = relations.iter().filter(|(act, _)| *act == Act::Delivers);
        let delivered = delivered.filter(|_| !is_gone).count();
        let delivered = u64::try_from(delivered).unwrap_or(u64::MAX);
        one.counted(Sort::Receipt, delivered, Cow::Borrowed(RECEIPT));
        relations.retain(|(act, id)| match act {
            Act::Delivers => false,
            Act::Retracts | Act::Moderates => retraction == Some(*id),
            Act::Corrects => !is_gone && last == Some(*id),
            Act::Replies => false,
            act => act.is_mark() || !is_gone,
        });
        looks.each(cx, archive, &relations, &mut |act, later| {
            one.add(act, later, corrections);
        })?;
        one.summaries.sort_by_key(|summary| summary.sort);
        Ok(one)
    }

    fn add(&mut self, act: Act, later: Glance<'_>, corrections: usize) {
        match act {
            Act::Receives if !later.xml.contains(ns::MARKERS) => {
                if !self.is_gone {
                    self.summary(Sort::Receipt, "", || Cow::Borrowed(RECEIPT));
                }
            }
            act if act.is_mark() => self.marks.push((act, later.sender.to_string())),
            Act::Reacts if self.heard.contains(later.sender) => {}
            Act::Reacts => {
                self.heard.insert(later.sender.to_string());
                for text in reactions_of(later) {
                    self.summary(Sort::Reaction, &text, || reaction_xml(&text).into());
                }
            }
            Act::Corrects | Act::Retracts | Act::Moderates => {
                let Some(element) = element_of(later) else {
                    return;
                };
                let root = element.root();
                let (sort, count, xml) = match act {
                    Act::Corrects => (Sort::Correction, corrections, correction_xml(root)),
                    _ => (Sort::Retraction, 1, retract_xml(root)),
                };
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                self.counted(sort, count, xml.into());
            }
            _ => self.fasten(later),
        }
    }

    /// XEP-0422
    fn fasten(&mut self, later: Glance<'_>) {
        let Some(element) = element_of(later) else {
            return;
        };
        let Some(apply) = element.root().child("apply-to", FASTEN) else {
            return;
        };
        let says = |name| matches!(apply.attribute(name).as_deref(), Some("true" | "1"));
        if says("shell") {
            self.summary(Sort::Fastening, "", || Cow::Borrowed(""));
            return;
        }
        let Some(first) = apply.children().find(|one| !one.is("external", FASTEN)) else {
            return;
        };
        let (name, namespace) = (first.name(), first.namespace());
        let typed = format!("{name} {namespace} {}", later.sender);
        if !self.heard.insert(typed) || says("clear") {
            return;
        }
        for one in apply.children().filter(|one| one.is(name, namespace)) {
            self.summary(Sort::Fastening, &shell_of(one), || {
                one.to_xml().into_owned().into()
            });
        }
    }

    /// One more of these; the latest comes first.
    fn summary(&mut self, sort: Sort, key: &str, xml: impl FnOnce() -> Cow<'static, str>) {
        let mut known = self.summaries.iter_mut();
        if let Some(known) = known.find(|known| known.sort == sort && known.key == key) {
            known.count += 1;
        } else if self.summaries.len() < SUMMARIES_MAX {
            self.summaries.push(Applied {
                sort,
                key: key.to_string(),
                count: 1,
                xml: xml(),
            });
        }
    }

    /// So many of these, if there are any.
    pub fn counted(&mut self, sort: Sort, count: u64, xml: Cow<'static, str>) {
        if count > 0 {
            self.summaries.push(Applied {
                sort,
                key: String::new(),
                count,
                xml,
            });
        }
    }
}
