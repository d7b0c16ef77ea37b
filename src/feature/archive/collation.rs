//! XEP-0427: MAM Fastening Collation. A page of what was said, each with a summary of what was done to it since.
//!
//! Where the text is silent, this is how it is read here:
//!
//! - §2.2 calls `simplified` the default. A query without the field is answered as by `full`: who does not know this
//!   specification is to get what XEP-0313 says.
//! - An instant message is what was said (`Kind`): not what has an effect on another message, and not what says nothing by itself.
//!   A reply (XEP-0461) is one, and so is a correction of a message that is not in the archive.
//! - `fastenings`: which message is meant is said by one id in the field `ids` of XEP-0313. Of marks, those are given that name it.
//! - Pseudo-fastenings are also, each without the `id`, which is that of the parent:
//!   - corrections (XEP-0308): `<replace/>`, the last version's payloads in it, of the type `<replace/>`;
//!   - retractions (XEP-0424, XEP-0425): `<retract/>`; then nothing else is told of the message;
//!   - reactions (XEP-0444): `<reactions/>` with one `<reaction/>`; its text belongs to the summary, and the count is that of the
//!     senders whose last reactions have it.
//! - Marks (XEP-0333) apply to all previous messages, so a strict count would grow with each message that is read. What is
//!   counted is senders: of a message, those other than its author whose last mark of that type is at it or behind it.
//! - What corrects, or reacts to, a correction is about the first version.
//! - Of fastenings (XEP-0422) a later one of the same sender and type takes the place of the earlier one, and `clear` takes it away.
//! - An incremental result bears the id of the parent and comes once: at the last thing that was done to it. Where `start` or
//!   `after-id` say from where on, `<after/>` does not make parents be told again that were on a page before.
//! - `first` and `last` are places in the archive, which for an incremental result is that of the fastening; `count` counts
//!   instant messages.
use std::collections::{BTreeMap, HashSet};

use crate::state::{Cx, Fault};
use crate::store::{AccountId, ArchiveId, Conversation, Facts, Stored};
use crate::xml::{ElementRef, Writer};
use crate::xmpp::ns;
use crate::xmpp::relation::{Act, CORRECT, FASTEN, Kind, REACTIONS, RETRACT};

use super::page::Page;
use super::related::{Later, Looks, of_act, retraction};

pub const NS: &str = "urn:xmpp:mamfc:0";
pub const FIELD: &str = "{urn:xmpp:mamfc:0}summary";

/// Summaries of one message; of the latest that were fastened.
const SUMMARIES_MAX: usize = 64;
/// Bytes of the summaries of one page; it ends behind the message that passes them.
const BYTES_MAX: usize = 256 << 10;
/// Steps back through a conversation for its marks, and through all of one page.
const MARK_STEPS_MAX: u64 = 2_000;
const MARK_STEPS_OF_PAGE_MAX: u64 = 20_000;

/// The forms of §2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summary {
    Simplified,
    Full,
    Collate,
    Fastenings,
}

impl Summary {
    pub const ALL: [Summary; 4] = [
        Summary::Simplified,
        Summary::Full,
        Summary::Collate,
        Summary::Fastenings,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Summary::Simplified => "simplified",
            Summary::Full => "full",
            Summary::Collate => "collate",
            Summary::Fastenings => "fastenings",
        }
    }

    pub fn named(name: &str) -> Option<Summary> {
        Summary::ALL.into_iter().find(|form| form.as_str() == name)
    }
}

/// A message of a page with what was done to it.
pub struct Collated {
    pub id: ArchiveId,
    /// It lies before the page: it is not sent itself (§3.4).
    pub is_outside: bool,
    /// The `<applied/>` of it.
    pub applied: String,
}

/// In the page's order. The page is cut where that is too much.
pub fn of(
    cx: &Cx<'_>,
    account: AccountId,
    page: &mut Page,
    is_backward: bool,
) -> Result<Vec<Collated>, Fault> {
    let mut gathered = Vec::with_capacity(page.stanzas.len());
    let (mut looks, mut bytes) = (Looks::new(), 0);
    let mut at = page.stanzas.iter();
    while let Some(stored) = match is_backward {
        true => at.next_back(),
        false => at.next(),
    } {
        if looks.is_over() || bytes >= BYTES_MAX {
            break;
        }
        let one = Gathered::of(cx, account, stored, &mut looks)?;
        bytes += one.summaries.iter().map(|one| one.xml.len()).sum::<usize>();
        gathered.push(one);
    }
    if gathered.len() < page.stanzas.len() {
        (page.complete, page.reached) = (false, None);
        match is_backward {
            true => drop(page.stanzas.drain(..page.stanzas.len() - gathered.len())),
            false => page.stanzas.truncate(gathered.len()),
        }
    }
    if is_backward {
        gathered.reverse();
    }
    let marks = Marks::of(cx, &gathered)?;
    Ok(gathered
        .into_iter()
        .map(|one| one.collated(&marks))
        .collect())
}

/// What is known of one message before marks are counted.
struct Gathered {
    id: ArchiveId,
    is_outside: bool,
    archive: AccountId,
    facts: Option<Facts>,
    is_gone: bool,
    /// Who marked it itself: act and sender.
    marks: Vec<(Act, String)>,
    summaries: Vec<Applied>,
}

/// One summary.
#[derive(Default)]
struct Applied {
    key: String,
    count: u64,
    /// The last fastening; none of a shell.
    xml: String,
}

impl Gathered {
    fn of(
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
        one.summarize(cx, &relations)?;
        Ok(one)
    }

    fn summarize(&mut self, cx: &Cx<'_>, relations: &[(Act, ArchiveId)]) -> Result<(), Fault> {
        let receipts = self.take_marks(cx, relations)?;
        if let Some((_, id)) = retraction(relations) {
            self.is_gone = true;
            if let Some(later) = Later::read(cx, id)? {
                self.add("retract", &retract_xml(later.element.root()));
            }
            return Ok(());
        }
        if self.is_gone {
            return Ok(());
        }
        let mut is_last = true;
        for id in of_act(relations, Act::Corrects) {
            let xml = match std::mem::take(&mut is_last) {
                true => Later::read(cx, id)?.map(|later| correction_xml(later.element.root())),
                false => None,
            };
            self.add("replace", &xml.unwrap_or_default());
        }
        let mut reacted = HashSet::new();
        for id in of_act(relations, Act::Reacts) {
            let Some(later) = Later::read(cx, id)? else {
                continue;
            };
            let reactions = later.reactions();
            if reacted.insert(later.sender) {
                for text in reactions {
                    self.add(&text, &reaction_xml(&text));
                }
            }
        }
        if receipts > 0 {
            self.summaries.push(Applied {
                count: receipts,
                xml: mark_xml("received", ns::RECEIPTS),
                ..Applied::default()
            });
        }
        self.add_fastenings(cx, relations)
    }

    /// Also of what is gone: they reach what was said before it. Returns how many receipts there are beside them.
    fn take_marks(&mut self, cx: &Cx<'_>, relations: &[(Act, ArchiveId)]) -> Result<u64, Fault> {
        let mut receipts = 0;
        for (act, id) in relations.iter().filter(|(act, _)| act.is_mark()) {
            match cx.tx.later(*id)? {
                Some((sender, xml)) if xml.contains(ns::MARKERS) => self.marks.push((*act, sender)),
                Some(_) => receipts += 1,
                None => {}
            }
        }
        Ok(receipts)
    }

    /// XEP-0422
    fn add_fastenings(&mut self, cx: &Cx<'_>, relations: &[(Act, ArchiveId)]) -> Result<(), Fault> {
        let mut fastened = HashSet::new();
        for id in of_act(relations, Act::Fastens) {
            let Some(later) = Later::read(cx, id)? else {
                continue;
            };
            let Some(apply) = later.element.root().child("apply-to", FASTEN) else {
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

    fn collated(mut self, marks: &Marks) -> Collated {
        if let Some(facts) = self.facts.take().filter(|_| !self.is_gone) {
            for (act, name) in MARK_NAMES {
                let count = marks.count(&facts, (self.archive, self.id), act);
                if count > 0 {
                    self.summaries.push(Applied {
                        count,
                        xml: mark_xml(name, ns::MARKERS),
                        ..Applied::default()
                    });
                }
            }
        }
        let applied = written(|w| {
            for one in &self.summaries {
                w.open_ns("applied", NS);
                w.attr_opt("shell", one.xml.is_empty().then_some("true"));
                let count = (one.count != 1).then(|| one.count.to_string());
                w.attr_opt("count", count.as_deref()).raw(&one.xml).close();
            }
        });
        Collated {
            id: self.id,
            is_outside: self.is_outside,
            applied,
        }
    }
}

const MARK_NAMES: [(Act, &str); 3] = [
    (Act::Receives, "received"),
    (Act::Displays, "displayed"),
    (Act::Acknowledges, "acknowledged"),
];

/// How far each sender's marks reach in each conversation.
#[derive(Default)]
struct Marks(BTreeMap<(u32, String), BTreeMap<(Act, String), ArchiveId>>);

impl Marks {
    fn of(cx: &Cx<'_>, page: &[Gathered]) -> Result<Marks, Fault> {
        let mut conversations: BTreeMap<(u32, &str), ArchiveId> = BTreeMap::new();
        for one in page {
            if let Some(facts) = &one.facts {
                let place = (one.archive.0, facts.with.as_str());
                let first = conversations.entry(place).or_insert(one.id);
                *first = one.id.min(*first);
            }
        }
        let mut marks = Marks::default();
        let mut left = MARK_STEPS_OF_PAGE_MAX;
        for ((archive, with), from) in conversations {
            let reach = marks.0.entry((archive, with.to_string())).or_default();
            let conversation = Conversation {
                archive: AccountId(archive),
                with,
                from,
            };
            let steps_max = MARK_STEPS_MAX.min(left);
            let steps = cx.tx.visit_marks(conversation, steps_max, &mut |mark| {
                let up_to = reach.entry((mark.act, mark.sender.into())).or_default();
                *up_to = mark.up_to.max(*up_to);
                true
            })?;
            left = left.saturating_sub(steps);
        }
        for one in page {
            let Some(facts) = &one.facts else { continue };
            let reach = marks
                .0
                .entry((one.archive.0, facts.with.clone()))
                .or_default();
            for mark in &one.marks {
                let up_to = reach.entry(mark.clone()).or_default();
                *up_to = one.id.max(*up_to);
            }
        }
        Ok(marks)
    }

    /// Of a message of which these are known.
    fn count(&self, facts: &Facts, (archive, id): (AccountId, ArchiveId), act: Act) -> u64 {
        let Some(reach) = self.0.get(&(archive.0, facts.with.clone())) else {
            return 0;
        };
        let of_act = reach.iter().filter(|((of, _), _)| *of == act);
        let others = of_act.filter(|((_, sender), up_to)| **up_to >= id && *sender != facts.sender);
        u64::try_from(others.count()).unwrap_or(u64::MAX)
    }
}

fn mark_xml(name: &str, namespace: &str) -> String {
    format!("<{name} xmlns='{namespace}'/>")
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes));
    String::from_utf8(bytes).expect("the writer writes UTF-8")
}

fn reaction_xml(text: &str) -> String {
    written(|w| {
        w.open_ns("reactions", REACTIONS)
            .leaf("reaction", text)
            .close();
    })
}

fn retract_xml(message: ElementRef<'_>) -> String {
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
fn correction_xml(message: ElementRef<'_>) -> String {
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
fn shell_of(fastening: ElementRef<'_>) -> String {
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
