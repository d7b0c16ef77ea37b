//! What later messages did to those of a page: looked for within limits, for `completion` and `collation` alike.
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use crate::state::Cx;
use crate::store::{AccountId, ArchiveId, Around, Facts, Glance, Parts, StoreError, Stored};
use crate::xml::{Element, parse_stored};
use crate::xmpp::ns;
use crate::xmpp::relation::{Act, REACTIONS};

/// Relations that are looked through for one page, and for one message of it: the latest.
const LOOK_MAX: usize = 10_000;
const LOOK_EACH_MAX: usize = 2_000;
/// Bytes of later messages that are read for one page.
const LOOK_BYTES_MAX: usize = 4 << 20;

/// Reactions of one sender to one message that are read.
const REACTIONS_MAX: usize = 64;

/// How much of a page's looks is left, and what of archives may be looked at.
pub struct Looks {
    account: AccountId,
    /// Archives of which everything may be.
    whole: Vec<AccountId>,
    parts: HashMap<AccountId, Rc<Parts>>,
    /// What was read of archives already.
    around: HashMap<AccountId, Around>,
    left: usize,
    bytes: usize,
}

impl Looks {
    pub fn new(account: AccountId, whole: &[AccountId]) -> Looks {
        Looks {
            account,
            whole: whole.to_vec(),
            parts: HashMap::new(),
            around: HashMap::new(),
            left: LOOK_MAX,
            bytes: 0,
        }
    }

    pub fn is_over(&self) -> bool {
        self.left == 0 || self.bytes >= LOOK_BYTES_MAX
    }

    /// Whoever left a channel is not told what became of it later.
    pub fn parts(&mut self, cx: &Cx<'_>, archive: AccountId) -> Result<Rc<Parts>, StoreError> {
        if let Some(parts) = self.parts.get(&archive) {
            return Ok(Rc::clone(parts));
        }
        let parts = match self.whole.contains(&archive) {
            true => Parts::all(),
            false => cx.tx.parts(self.account, archive)?,
        };
        let parts = Rc::new(parts);
        self.parts.insert(archive, Rc::clone(&parts));
        Ok(parts)
    }

    /// Reads what is close to a page's messages at once, where that is little.
    pub fn read_ahead(&mut self, cx: &Cx<'_>, page: &[Stored]) -> Result<(), StoreError> {
        let mut archives: BTreeMap<AccountId, BTreeSet<ArchiveId>> = BTreeMap::new();
        for stored in page {
            let archive = stored.channel.unwrap_or(self.account);
            archives.entry(archive).or_default().insert(stored.id);
        }
        for (archive, ids) in archives {
            if let Some(around) = cx.tx.around(archive, &ids)? {
                self.around.insert(archive, around);
            }
        }
        Ok(())
    }

    pub fn facts(
        &self,
        cx: &Cx<'_>,
        archive: AccountId,
        id: ArchiveId,
    ) -> Result<Option<Facts>, StoreError> {
        let around = self.around.get(&archive);
        match around.and_then(|around| around.facts(id)) {
            Some(facts) => Ok(Some(facts.clone())),
            None => cx.tx.facts(archive, id),
        }
    }

    /// The latest first.
    pub fn relations(
        &mut self,
        cx: &Cx<'_>,
        archive: AccountId,
        of: ArchiveId,
    ) -> Result<Vec<(Act, ArchiveId)>, StoreError> {
        let look = LOOK_EACH_MAX.min(self.left);
        let around = self.around.get(&archive);
        let mut relations = match around.and_then(|around| around.relations(of)) {
            Some(relations) => relations.iter().copied().take(look).collect(),
            None => cx.tx.relations(archive, of, look)?,
        };
        self.left -= relations.len();
        let parts = self.parts(cx, archive)?;
        relations.retain(|(_, id)| parts.hold(*id));
        Ok(relations)
    }

    /// Looks at later messages of an archive, the latest first, as long as that is not too much.
    pub fn each(
        &mut self,
        cx: &Cx<'_>,
        archive: AccountId,
        relations: &[(Act, ArchiveId)],
        visit: &mut dyn FnMut(Act, Glance<'_>),
    ) -> Result<(), StoreError> {
        let bytes = &mut self.bytes;
        let mut take = |act, later: Glance<'_>| {
            let has_room = *bytes < LOOK_BYTES_MAX;
            if has_room {
                *bytes += later.xml.len();
                visit(act, later);
            }
            has_room
        };
        if let Some(around) = self.around.get(&archive) {
            let known = relations.iter();
            let known = known.map_while(|(act, id)| Some((*act, around.later(*id)?)));
            let known: Vec<_> = known.collect();
            if known.len() == relations.len() {
                for (act, later) in known {
                    take(act, later);
                }
                return Ok(());
            }
        }
        let mut acts = relations.iter();
        let ids = relations.iter().map(|(_, id)| *id);
        cx.tx.glance(ids, &mut |later| {
            let act = acts.find(|(_, id)| *id == later.id);
            act.is_none_or(|(act, _)| take(*act, later))
        })
    }
}

/// The retraction (XEP-0424, XEP-0425), if there is one.
pub fn retraction(relations: &[(Act, ArchiveId)]) -> Option<(Act, ArchiveId)> {
    let is_gone = |(act, _): &&(Act, ArchiveId)| matches!(act, Act::Retracts | Act::Moderates);
    relations.iter().find(is_gone).copied()
}

pub fn element_of(later: Glance<'_>) -> Option<Element> {
    parse_stored(later.xml, ns::CLIENT).ok()
}

/// XEP-0444 §4: all that its sender feels from then on; each once.
pub fn reactions_of(later: Glance<'_>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let Some(element) = element_of(later) else {
        return texts;
    };
    let reactions = element.root().child("reactions", REACTIONS);
    let each = reactions.into_iter().flat_map(|it| it.children());
    for text in each.take(REACTIONS_MAX).map(|one| one.text().into_owned()) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}
