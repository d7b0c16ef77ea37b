//! XEP-0406 §2.4: the configuration by the names that MIX has for it. Fields that are not known are passed over.
use crate::channel::config::{field, form, private, set_number, set_texts, whois};
use crate::channel::people::standing::{self, By};
use crate::channel::{Channel, people};
use crate::state::{Cx, Fault};
use crate::store::{ChannelAffiliation, ConfigRow, MemberRow, StoreError};
use crate::xmpp::{BareJid, Condition, DataForm, Timestamp};

/// Owners and administrators that are named in one form.
pub const RULERS_MAX: usize = 100;

/// Fields that are the channel's own, by number.
pub const SAME: &[(&str, u8)] = &[
    ("Information Node Update Rights", field::INFO_RIGHTS),
    ("Avatar Nodes Update Rights", field::AVATAR_RIGHTS),
    ("User Message Retraction", field::RETRACTION),
    ("Administrator Message Retraction Rights", field::MODERATION),
    (
        "Participation Addition by Invitation from Participant",
        field::INVITES,
    ),
    ("Mandatory Nicks", field::NICK_MANDATORY),
    ("Participants Must Provide Presence", field::PRESENCE_NEEDED),
    ("Participants Node Subscription", field::PARTICIPANTS_ACCESS),
    ("Allowed Node Subscription", field::ALLOWED_ACCESS),
    ("Banned Node Subscription", field::BANNED_ACCESS),
    ("Configuration Node Access", field::CONFIG_ACCESS),
];

/// Who subscribes to these is fixed.
const OF_PARTICIPANTS: [&str; 3] = [
    "Messages Node Subscription",
    "Presence Node Subscription",
    "Information Node Subscription",
];
const END_OF_LIFE: &str = "End of Life";

pub const VISIBLE: &str = "jid-mandatory-visible";
pub const MAYBE: &str = "jid-optionally-visible";
pub const HIDDEN: &str = "jid-hidden";

pub fn apply(config: &mut ConfigRow, given: &DataForm, now: Timestamp) -> Result<(), Condition> {
    let is_other = |var: &&str| given.value(var).is_some_and(|text| text != "participants");
    if OF_PARTICIPANTS.iter().any(is_other) {
        return Err(Condition::NotAcceptable);
    }
    if let Some(text) = given.value(END_OF_LIFE) {
        let end = match text.trim() {
            "" => String::new(),
            text => {
                let end = Timestamp::parse(text).filter(|end| *end > now);
                end.ok_or(Condition::NotAcceptable)?.to_string()
            }
        };
        set_texts(config, field::END_OF_LIFE, vec![end]);
    }
    for (var, number) in SAME {
        if let Some(values) = given.values(var) {
            form::set(config, *number, values)?;
        }
    }
    if let Some(value) = given.value("JID Visibility") {
        let whois = match value {
            VISIBLE => whois::ANYONE,
            MAYBE => whois::MAYBE,
            HIDDEN => whois::MODERATORS,
            _ => return Err(Condition::NotAcceptable),
        };
        set_number(config, field::WHOIS, whois);
    }
    // COMPAT(XEP-0406, 0.3.1): its examples say it the other way round.
    for (var, is_no) in [("Private Messages", false), ("No Private Messages", true)] {
        let Some(value) = given.value(var) else {
            continue;
        };
        let private = match (value, is_no) {
            ("true" | "1", false) | ("false" | "0", true) => private::ANYONE,
            ("false" | "0", false) | ("true" | "1", true) => private::NONE,
            _ => return Err(Condition::NotAcceptable),
        };
        set_number(config, field::PRIVATE, private);
    }
    if let Some(present) = given.values("Nodes Present") {
        let is_there = |name| u64::from(present.iter().any(|it| it == name));
        // Without the node everybody may join.
        set_number(config, field::MEMBERS_ONLY, is_there("allowed"));
        set_number(config, field::PRESENCE, is_there("presence"));
        set_number(config, field::AVATAR_NODES, is_there("avatar"));
    }
    Ok(())
}

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
