//! The lists of owners and administrators of a channel, named in a form (XEP-0045 §10.1.3, XEP-0406 §2.4).
use crate::channel::{Channel, people};
use crate::state::{Cx, Fault};
use crate::store::{ChannelAffiliation, MemberRow, StoreError};
use crate::xmpp::{BareJid, Condition, DataForm};

use super::standing::{self, By};

/// Owners and administrators that are named in one form.
pub const RULERS_MAX: usize = 100;

/// Who is to be what from now on.
pub struct Rulers(Vec<(String, ChannelAffiliation)>);

impl Rulers {
    /// By the names of these fields. Only what is named changes; somebody must be left who owns it.
    pub fn read(
        cx: &Cx<'_>,
        channel: &Channel,
        (given, [owner, admin]): (&DataForm, [&str; 2]),
    ) -> Result<Rulers, Fault> {
        let owners = jids(given, owner)?;
        let admins = jids(given, admin)?;
        // XEP-0045 §10.7
        if owners.as_ref().is_some_and(Vec::is_empty) {
            return Err(Condition::Conflict.into());
        }
        let mut changes = Vec::new();
        let lists = [
            (owners, ChannelAffiliation::Owner),
            (admins, ChannelAffiliation::Admin),
        ];
        let mut named: Vec<String> = Vec::new();
        for (list, affiliation) in lists {
            let Some(list) = list else { continue };
            for (jid, is) in members(cx, channel, affiliation)? {
                if is == affiliation && !list.contains(&jid) {
                    changes.push((jid, ChannelAffiliation::Member));
                }
            }
            for jid in list {
                // Whoever owns it administers it, too.
                let owns = people::member(cx, channel, &jid)?.affiliation;
                if owns == ChannelAffiliation::Owner && !changes.iter().any(|(it, _)| *it == jid) {
                    named.push(jid);
                } else if !named.contains(&jid) {
                    named.push(jid.clone());
                    changes.push((jid, affiliation));
                }
            }
        }
        // Whoever is raised is raised before anybody is lowered: it has an owner at all times.
        changes.sort_by_key(|(_, affiliation)| std::cmp::Reverse(*affiliation));
        changes.retain({
            let named = named.clone();
            move |(jid, to)| *to != ChannelAffiliation::Member || !named.contains(jid)
        });
        let mut new = 0;
        for (jid, _) in &changes {
            let member = people::member(cx, channel, jid)?;
            new += u64::from(member == MemberRow::default());
        }
        people::require_room(cx, channel, new)?;
        Ok(Rulers(changes))
    }

    pub fn set(self, cx: &mut Cx<'_>, channel: &mut Channel) -> Result<(), Fault> {
        for (jid, affiliation) in self.0 {
            let now = people::member(cx, channel, &jid)?;
            if now.affiliation != affiliation {
                standing::set_affiliation(cx, channel, &jid, (affiliation, By::default()))?;
            }
        }
        Ok(())
    }
}

fn jids(given: &DataForm, var: &str) -> Result<Option<Vec<String>>, Condition> {
    let Some(values) = given.values(var) else {
        return Ok(None);
    };
    if values.len() > RULERS_MAX {
        return Err(Condition::NotAcceptable);
    }
    let parsed = values.iter().filter(|text| !text.is_empty()).map(|text| {
        let jid = BareJid::parse(text).map_err(|_| Condition::JidMalformed)?;
        Ok(jid.as_str().to_string())
    });
    parsed.collect::<Result<Vec<_>, _>>().map(Some)
}

pub fn members(
    cx: &Cx<'_>,
    channel: &Channel,
    affiliation: ChannelAffiliation,
) -> Result<Vec<(String, ChannelAffiliation)>, StoreError> {
    let mut found = Vec::new();
    people::each(cx, channel, &mut |jid, row| {
        if row.affiliation == affiliation {
            found.push((jid, affiliation));
        }
    })?;
    Ok(found)
}
