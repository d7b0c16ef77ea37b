//! XEP-0406 §2.4: the configuration by the names that MIX has for it. Fields that are not known are passed over.
use crate::channel::config::{field, form, private, set_number, set_texts, whois};
use crate::store::ConfigRow;
use crate::xmpp::{Condition, DataForm, Timestamp};

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
