//! How many have read a message: marks (XEP-0333) are of all before them, so they are looked for from the end of the conversation.
use std::collections::BTreeMap;

use crate::feature::archive::related::Looks;
use crate::state::{Cx, Fault};
use crate::store::{AccountId, ArchiveId, Conversation, Facts};
use crate::xmpp::relation::Act;

use super::gathered::Gathered;

/// Steps back through a conversation for its marks, and through all of one page.
const MARK_STEPS_MAX: u64 = 2_000;
const MARK_STEPS_OF_PAGE_MAX: u64 = 20_000;

/// How far each sender's marks reach in each conversation.
#[derive(Default)]
pub struct Marks(BTreeMap<(u32, String), BTreeMap<(Act, String), ArchiveId>>);

impl Marks {
    pub fn of(cx: &Cx<'_>, page: &[Gathered], looks: &mut Looks) -> Result<Marks, Fault> {
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
            let parts = looks.parts(cx, AccountId(archive))?;
            let conversation = Conversation {
                archive: AccountId(archive),
                parts: &parts,
                with,
                from,
            };
            let steps_max = MARK_STEPS_MAX.min(left);
            let steps = cx.tx.visit_marks(conversation, steps_max, &mut |mark| {
                let up_to = reach.entry((mark.act, mark.sender.into())).or_default();
                *up_to = mark.up_to.max(*up_to);
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
    pub fn count(&self, facts: &Facts, (archive, id): (AccountId, ArchiveId), act: Act) -> u64 {
        let Some(reach) = self.0.get(&(archive.0, facts.with.clone())) else {
            return 0;
        };
        let of_act = reach.iter().filter(|((of, _), _)| *of == act);
        let others = of_act.filter(|((_, sender), up_to)| **up_to >= id && *sender != facts.sender);
        u64::try_from(others.count()).unwrap_or(u64::MAX)
    }
}
