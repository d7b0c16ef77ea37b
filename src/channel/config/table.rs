//! What is configured of a channel: one table for both protocols. Forms of XEP-0045 and XEP-0406 are read and written by it.

/// What values a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Flag,
    /// The value is the number of one of these.
    Choice(&'static [&'static str]),
    /// 0: none.
    Number,
    Text,
    Jids,
}

/// One field.
pub struct Field {
    /// Of `muc#roomconfig` (XEP-0045 §15.5.3); empty: it has none there.
    pub muc: &'static str,
    pub label: &'static str,
    pub shape: Shape,
    /// Of a new channel; texts are empty.
    pub usual: u64,
}

/// Numbers of fields are stored: new ones come behind the others.
pub mod field {
    pub const NAME: u8 = 0;
    pub const DESCRIPTION: u8 = 1;
    pub const LANGUAGE: u8 = 2;
    /// It is listed for everybody.
    pub const PUBLIC: u8 = 3;
    /// It stays when nobody is in it.
    pub const PERSISTENT: u8 = 4;
    /// Only members and participants, or whom they invite, may enter or join.
    pub const MEMBERS_ONLY: u8 = 5;
    /// Whoever comes new has no voice.
    pub const MODERATED: u8 = 6;
    /// Who may know real JIDs: `WHOIS`.
    pub const WHOIS: u8 = 7;
    pub const PASSWORD: u8 = 8;
    pub const OCCUPANTS_MAX: u8 = 9;
    /// Everybody inside may invite, not only admins.
    pub const INVITES: u8 = 10;
    /// Everybody with a voice may change the subject.
    pub const SUBJECT: u8 = 11;
    /// Who may send private messages: `PRIVATE`.
    pub const PRIVATE: u8 = 12;
    pub const ARCHIVED: u8 = 13;
    /// Visitors may ask for voice.
    pub const VOICE_REQUESTS: u8 = 14;
    /// A nick may be registered by whoever wants to.
    pub const REGISTER: u8 = 15;
    /// Messages that are sent to whoever enters and does not say how many.
    pub const HISTORY: u8 = 16;
    /// Seconds between two messages of one person (XEP-0500).
    pub const SLOW_SECONDS: u8 = 17;
    pub const CONTACTS: u8 = 18;
    /// Who may read the lists of members: `LISTS`.
    pub const LISTS: u8 = 19;
    /// Participants of XEP-0369 need a nick.
    pub const NICK_MANDATORY: u8 = 20;
    /// XEP-0486: SHA-1 of the avatar, of each format.
    pub const AVATAR: u8 = 21;
    /// XEP-0403: participants may share presence.
    pub const PRESENCE: u8 = 22;
    /// People may retract what they said (XEP-0424).
    pub const RETRACTION: u8 = 23;
    /// Who may retract what others said: `MODERATION`.
    pub const MODERATION: u8 = 24;
    /// XEP-0406: who may change the description.
    pub const INFO_RIGHTS: u8 = 25;
    pub const AVATAR_RIGHTS: u8 = 26;
    /// XEP-0406 §2.4: when the channel goes; empty: it stays.
    pub const END_OF_LIFE: u8 = 27;
    /// Bare JID of whoever changed the configuration last.
    pub const CHANGED_BY: u8 = 28;
    /// Participants share presence.
    pub const PRESENCE_NEEDED: u8 = 29;
    /// The nodes of the avatar are there.
    pub const AVATAR_NODES: u8 = 30;
    /// Who may read nodes, and subscribe to them: `ACCESS`.
    pub const PARTICIPANTS_ACCESS: u8 = 31;
    pub const ALLOWED_ACCESS: u8 = 32;
    pub const BANNED_ACCESS: u8 = 33;
    pub const CONFIG_ACCESS: u8 = 34;
    /// XEP-0317: as `muc::hats` reads them.
    pub const HATS: u8 = 35;
}

/// Values of `field::WHOIS`.
pub mod whois {
    pub const MODERATORS: u64 = 0;
    pub const ANYONE: u64 = 1;
    /// Everybody decides (XEP-0404 §2.2).
    pub const MAYBE: u64 = 2;
}

/// Values of `field::PRIVATE`.
pub mod private {
    pub const ANYONE: u64 = 0;
    pub const PARTICIPANTS: u64 = 1;
    pub const MODERATORS: u64 = 2;
    pub const NONE: u64 = 3;
}

/// Values of `field::LISTS`.
pub mod lists {
    pub const EVERYBODY: u64 = 0;
    pub const MODERATORS: u64 = 1;
}

/// Values of fields that say who may read a node; another one is nobody.
pub mod node_access {
    pub const PARTICIPANTS: u64 = 0;
    pub const ADMINS: u64 = 1;
    pub const OWNERS: u64 = 2;
}

const fn row(muc: &'static str, label: &'static str, shape: Shape, usual: u64) -> Field {
    Field {
        muc,
        label,
        shape,
        usual,
    }
}

const WHOIS: Shape = Shape::Choice(&["moderators", "anyone", "maybe"]);
const PRIVATE: Shape = Shape::Choice(&["anyone", "participants", "moderators", "none"]);
const LISTS: Shape = Shape::Choice(&["anyone", "moderators"]);
const RIGHTS: Shape = Shape::Choice(&["participants", "admins", "owners"]);
const ACCESS: Shape = Shape::Choice(&["participants", "admins", "owners", "nobody"]);
const MODERATION: Shape = Shape::Choice(&["nobody", "admins", "owners"]);

pub const COUNT: usize = 36;

/// In the order of their numbers. What is usual suits a family: who is in is known to all who are, and all that was said stays.
pub const FIELDS: [Field; COUNT] = [
    row("roomname", "Name", Shape::Text, 0),
    row("roomdesc", "Description", Shape::Text, 0),
    row("lang", "Language", Shape::Text, 0),
    row("publicroom", "Everybody may find it", Shape::Flag, 0),
    row(
        "persistentroom",
        "It stays when all have left",
        Shape::Flag,
        1,
    ),
    row("membersonly", "Only members may enter", Shape::Flag, 1),
    row("moderatedroom", "Newcomers may only listen", Shape::Flag, 0),
    row(
        "whois",
        "Who may know who is behind a nick",
        WHOIS,
        whois::ANYONE,
    ),
    row("roomsecret", "Password", Shape::Text, 0),
    row("maxusers", "Most occupants (0: no limit)", Shape::Number, 0),
    row(
        "allowinvites",
        "Everybody inside may invite",
        Shape::Flag,
        1,
    ),
    row(
        "changesubject",
        "Everybody may change the subject",
        Shape::Flag,
        1,
    ),
    row(
        "allowpm",
        "Who may send private messages",
        PRIVATE,
        private::ANYONE,
    ),
    row("enablearchiving", "Messages are kept", Shape::Flag, 1),
    row(
        "allowvoicerequests",
        "Voice may be asked for",
        Shape::Flag,
        1,
    ),
    row(
        "allowregister",
        "Everybody may register a nick",
        Shape::Flag,
        1,
    ),
    row(
        "historylength",
        "Messages newcomers are sent",
        Shape::Number,
        20,
    ),
    row(
        "slow_mode_duration",
        "Seconds between two messages of one person",
        Shape::Number,
        0,
    ),
    row("contacts", "Whom to ask about it", Shape::Jids, 0),
    row(
        "getmemberlist",
        "Who may read the lists of members",
        LISTS,
        lists::EVERYBODY,
    ),
    row("", "A nick is needed", Shape::Flag, 1),
    row("", "Avatar", Shape::Text, 0),
    row("", "Presence may be shared", Shape::Flag, 1),
    row("", "People may retract what they said", Shape::Flag, 1),
    row("", "Who may retract what others said", MODERATION, 1),
    row("", "Who may change name and description", RIGHTS, 1),
    row("", "Who may change the avatar", RIGHTS, 1),
    row("", "It goes at", Shape::Text, 0),
    row("", "Last configured by", Shape::Text, 0),
    row("", "Participants share presence", Shape::Flag, 0),
    row("", "It may have an avatar", Shape::Flag, 1),
    row("", "Who may read who takes part", ACCESS, 0),
    row("", "Who may read who is allowed", ACCESS, 1),
    row("", "Who may read who is banned", ACCESS, 1),
    row("", "Who may read the configuration", ACCESS, 2),
    row("", "Hats", Shape::Text, 0),
];
