//! How many have read a message: marks (XEP-0333) are of all before them, so they are looked for from the end of the conversation.
use std::collections::{BTreeMap, HashMap};

use crate::feature::archive::related::Looks;
use crate::state::{Cx, Fault};
use crate::store::{AccountId, ArchiveId, Conversation, Facts};
use crate::xmpp::relation::Act;

use super::gathered::Gathered;

/// Steps back through a conversation for its marks, and through all of one page.
const MARK_STEPS_MAX: u64 = 500;
const MARK_STEPS_OF_PAGE_MAX: u64 = 5_000;

/// XEP-0333
pub const MARKS: [(Act, &str); 3] = [
    (Act::Receives, "<received xmlns='urn:xmpp:chat-markers:0'/>"),
    (
        Act::Displays,
        "<displayed xmlns='urn:xmpp:chat-markers:0'/>",
    ),
    (
        Act::Acknowledges,
        "<acknowledged xmlns='urn:xmpp:chat-markers:0'/>",
    ),
];

/// How far each sender's marks reach, in each conversation of a page.
pub struct Marks(BTreeMap<(AccountId, String), Reach>);

/// Of each act the senders.
type Reach = [HashMap<String, ArchiveId>; MARKS.len()];

/// From where on marks of a conversation are looked for.
struct Start {
    /// The last message of those between which there is no other one.
    last: ArchiveId,
    /// The first of the others.
    first: ArchiveId,
}

impl Default for Start {
    fn default() -> Start {
        Start {
            last: ArchiveId(0),
            first: ArchiveId(u64::MAX),
        }
    }
}

impl Start {
    fn place(&self) -> ArchiveId {
        match self.first.0 {
            u64::MAX => self.last,
            _ => self.first,
        }
    }
}

impl Marks {
    /// `is_dense`: marks that name a message of the page are known; what is looked for are those that name later ones.
    pub fn of(
        cx: &Cx<'_>,
        (page, is_dense): (&[Gathered], bool),
        looks: &mut Looks,
    ) -> Result<Marks, Fault> {
        let mut talks: BTreeMap<(AccountId, &str), (Start, Reach)> = BTreeMap::new();
        for one in page {
            let Some(facts) = &one.facts else { continue };
            let talk = talks.entry((one.archive, &facts.with));
            let (from, reach) = talk.or_default();
            match is_dense && !one.is_outside {
                true => from.last = one.id.max(from.last),
                false => from.first = one.id.min(from.first),
            }
            for (act, sender) in &one.marks {
                reaches(reach, (*act, sender), one.id);
            }
        }
        let mut left = MARK_STEPS_OF_PAGE_MAX;
        for ((archive, with), (from, reach)) in &mut talks {
            let parts = looks.parts(cx, *archive)?;
            let conversation = Conversation {
                archive: *archive,
                parts: &parts,
                with,
                from: from.place(),
            };
            let steps_max = MARK_STEPS_MAX.min(left);
            let steps = cx.tx.visit_marks(conversation, steps_max, &mut |mark| {
                reaches(reach, (mark.act, mark.sender), mark.up_to);
            })?;
            left = left.saturating_sub(steps);
        }
        let known = talks.into_iter();
        let known = known.map(|((archive, with), (_, reach))| ((archive, with.to_string()), reach));
        Ok(Marks(known.collect()))
    }

    /// How many others have marked a message so, of which these are known.
    pub fn count(
        &self,
        facts: &Facts,
        (archive, id): (AccountId, ArchiveId),
    ) -> [u64; MARKS.len()] {
        let mut counts = [0; MARKS.len()];
        let Some(reach) = self.0.get(&(archive, facts.with.clone())) else {
            return counts;
        };
        for (count, senders) in counts.iter_mut().zip(reach) {
            let others = senders.iter();
            let others = others.filter(|(sender, up_to)| **up_to >= id && **sender != facts.sender);
            *count = u64::try_from(others.count()).unwrap_or(u64::MAX);
        }
        counts
    }
}

fn reaches(reach: &mut Reach, (act, sender): (Act, &str), to: ArchiveId) {
    let at = MARKS.iter().position(|(of, _)| *of == act);
    let Some(senders) = at.and_then(|at| reach.get_mut(at)) else {
        return;
    };
    match senders.get_mut(sender) {
        Some(up_to) => *up_to = to.max(*up_to),
        None => _ = senders.insert(sender.to_string(), to),
    }
}
