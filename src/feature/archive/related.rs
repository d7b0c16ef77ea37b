//! What later messages did to those of a page: looked for within limits, for `completion` and `collation` alike.
use crate::state::Cx;
use crate::store::{AccountId, ArchiveId, StoreError};
use crate::xml::{Element, parse_stored};
use crate::xmpp::ns;
use crate::xmpp::relation::{Act, REACTIONS};

/// Relations that are looked through for one page, and for one message of it: the latest.
const LOOK_MAX: usize = 10_000;
const LOOK_EACH_MAX: usize = 2_000;

/// Reactions of one sender to one message that are read.
const REACTIONS_MAX: usize = 64;

/// How much of a page's looks is left.
pub struct Looks(usize);

impl Looks {
    pub fn new() -> Looks {
        Looks(LOOK_MAX)
    }

    pub fn is_over(&self) -> bool {
        self.0 == 0
    }

    /// The latest first.
    pub fn relations(
        &mut self,
        cx: &Cx<'_>,
        archive: AccountId,
        of: ArchiveId,
    ) -> Result<Vec<(Act, ArchiveId)>, StoreError> {
        let look = LOOK_EACH_MAX.min(self.0);
        let relations = cx.tx.relations(archive, of, look)?;
        self.0 -= relations.len();
        Ok(relations)
    }
}

/// The retraction (XEP-0424, XEP-0425), if there is one.
pub fn retraction(relations: &[(Act, ArchiveId)]) -> Option<(Act, ArchiveId)> {
    let is_gone = |(act, _): &&(Act, ArchiveId)| matches!(act, Act::Retracts | Act::Moderates);
    relations.iter().find(is_gone).copied()
}

pub fn of_act(
    relations: &[(Act, ArchiveId)],
    act: Act,
) -> impl Iterator<Item = ArchiveId> + use<'_> {
    let of_it = relations.iter().filter(move |(of, _)| *of == act);
    of_it.map(|(_, id)| *id)
}

/// What a later message says.
pub struct Later {
    /// In channels the whole sender, else the bare JID.
    pub sender: String,
    pub element: Element,
}

impl Later {
    pub fn read(cx: &Cx<'_>, id: ArchiveId) -> Result<Option<Later>, StoreError> {
        let later = cx.tx.later(id)?;
        Ok(later.and_then(|(sender, xml)| {
            let element = parse_stored(&xml, ns::CLIENT).ok()?;
            Some(Later { sender, element })
        }))
    }

    /// XEP-0444 §4: all that its sender feels from then on; each once.
    pub fn reactions(&self) -> Vec<String> {
        let reactions = self.element.root().child("reactions", REACTIONS);
        let each = reactions.into_iter().flat_map(|it| it.children());
        let mut texts: Vec<String> = Vec::new();
        for text in each.take(REACTIONS_MAX).map(|one| one.text().into_owned()) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }
}
