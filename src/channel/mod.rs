//! Channels: one membership, one configuration, one archive and one set of ids, with two faces on the same address: rooms of
//! XEP-0045 (`muc`) and channels of XEP-0369 (`mix`), fully integrated (XEP-0408).
//!
//! # One channel, two faces
//!
//! | what there is | rooms of XEP-0045 | channels of XEP-0369 |
//! | --- | --- | --- |
//! | a person | the bare JID behind an occupant | a participant |
//! | stable id, a keyed hash of the bare JID | `occupant-id` (XEP-0421) | participant id |
//! | somebody who joined, present or not | an occupant under the same nick from when they share presence, or from the first thing they say, until they leave; without any resource | a participant |
//! | an occupant who did not join | an occupant | a participant for the time of the stay, with the same id |
//! | nick | one nick, one person, compared by RFC 8266; a participant's nick is a registered one (§7.10), so whoever enters as well gets it (status 210) | the same |
//! | owner, admin | affiliation; moderator | `Owner`, `Administrator` (XEP-0406) |
//! | member | affiliation | an entry of `allowed`; one of a domain makes nobody a member, but lets all of it in |
//! | outcast | affiliation | an entry of `banned` |
//! | only members may enter | `membersonly` | the node `allowed` is there |
//! | a person without a voice | visitor | what they say is refused |
//! | kicked | role none | their participation ends |
//! | message | `groupchat` from `channel/nick`, the sender's id | `groupchat` from `channel/id`, the archive's id |
//! | correction (XEP-0308) | names the sender's id | names the archive's id |
//! | archive | one row a message, whoever said it; the form is that of whoever reads | the same row |
//! | who may know real JIDs | `whois`: moderators, anyone | hidden, visible; `maybe`: everybody decides, and in rooms it is as hidden |
//! | subject | subject | none (XEP-0369 §3) |
//! | hats (XEP-0317) | in presence, given by commands | in what the room sees of them |
//! | picture | vCard, its hash in disco | nodes of XEP-0084 |
//! | name, description, contacts | configuration, disco | node `info`, disco |
//! | private message | to `channel/nick` | to `id#channel` (XEP-0404 §3.2); either reaches the person by what they speak |
//! | the channel goes | `<destroy/>` | its nodes are deleted |
//!
//! Each line has its transcript in `tests/transcripts/channel`.
//!
//! Nobody is ever told a real JID that the channel hides, by either face or from the archive: `access::shows_jid` alone
//! decides.
mod asked;
mod avatar;
mod config;
mod inbox;
mod mix;
mod muc;
mod people;
mod relayed;
mod route;
mod said;
mod service;
mod upkeep;

use std::rc::Rc;

use crate::state::{Cx, Fault, Room};
use crate::store::{ChannelId, ChannelRow, StoreError};
use crate::xmpp::{BareJid, Condition, StanzaError, Timestamp, quoted};

use config::{Config, field};
use people::changed;
use upkeep::tombstone;

pub use inbox::rooms as inbox_rooms;
pub use mix::{component_came, component_went};
pub use muc::occupants::history::again;
pub use muc::watch::presence as presence_at_service;
pub use relayed::answered as relayed;
pub use route::{answer, iq, message, presence};
pub use service::iq as iq_of_service;
pub use service::specs::SPECS;
pub use upkeep::forget::forget_account;
pub use upkeep::operate::{Operation, operate};
pub use upkeep::restart::{keep as keep_occupants, restore as restore_occupants};

/// A channel, and its address.
#[derive(Clone, Debug)]
pub struct Channel {
    pub jid: BareJid,
    pub row: Rc<ChannelRow>,
}

impl Channel {
    pub fn id(&self) -> ChannelId {
        self.row.id
    }

    /// The local part of its address.
    pub fn name(&self) -> &str {
        self.jid.local().unwrap_or_default()
    }
}

/// Whether an address is that of one participant (XEP-0403 §3.2).
pub fn is_of_participant(jid: &BareJid) -> bool {
    mix::between::private::address(jid).is_some()
}

/// The channel of an address; `None`: there is none.
pub fn find(cx: &mut Cx<'_>, jid: &BareJid) -> Result<Option<Channel>, StoreError> {
    let name = jid.local().unwrap_or_default();
    if let Some(room) = cx.state.rooms.named(name) {
        let row = Rc::clone(&room.row);
        let jid = jid.clone();
        return unless_over(cx, Channel { jid, row });
    }
    let Some(row) = cx.tx.channel(name)? else {
        return Ok(None);
    };
    let is_left_over = !row.flag(field::PERSISTENT) && row.participants == 0;
    if is_left_over {
        // The server was killed while somebody was in it.
        cx.tx.remove_channel(name, &row)?;
        return Ok(None);
    }
    let (jid, row) = (jid.clone(), Rc::new(row));
    unless_over(cx, Channel { jid, row })
}

/// XEP-0406 §2.4: at the end of its life it goes.
fn unless_over(cx: &mut Cx<'_>, mut channel: Channel) -> Result<Option<Channel>, StoreError> {
    let end = Timestamp::parse(channel.row.text(field::END_OF_LIFE));
    if end.is_none_or(|end| end > cx.now.sure) {
        return Ok(Some(channel));
    }
    changed::destroy(cx, &mut channel, tombstone::Instead::default())?;
    Ok(None)
}

/// The same of all there are, now and then.
pub fn end_lives(cx: &mut Cx<'_>) -> Result<(), StoreError> {
    each(cx, &mut |cx, channel| unless_over(cx, channel).map(|_| ()))
}

/// Channels that are looked through at a time.
const LOOK_AT_A_TIME: usize = 250;

/// What is to be done with each channel there is.
pub type Act<'a> = &'a mut dyn FnMut(&mut Cx<'_>, Channel) -> Result<(), StoreError>;

pub fn each(cx: &mut Cx<'_>, act: Act<'_>) -> Result<(), StoreError> {
    let Some(domain) = cx.state.domains.channels().map(str::to_string) else {
        return Ok(());
    };
    let mut behind = String::new();
    loop {
        let rows = cx.tx.channels_behind(&behind, LOOK_AT_A_TIME)?;
        let Some((last, _)) = rows.last() else {
            return Ok(());
        };
        behind.clone_from(last);
        for (name, row) in rows {
            let jid = BareJid::stored(&format!("{name}@{domain}"));
            if let Some(jid) = jid {
                let row = Rc::new(row);
                act(cx, Channel { jid, row })?;
            }
        }
    }
}

/// What of it is in memory, made if it is not there.
pub fn room<'r>(cx: &'r mut Cx<'_>, channel: &Channel) -> &'r mut Room {
    let now_ms = cx.now.monotonic_ms;
    cx.state.rooms.open(channel.name(), &channel.row, now_ms)
}

/// Changes its row, in the store and in memory.
pub fn change<T>(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    change: impl FnOnce(&mut Cx<'_>, &mut ChannelRow) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut row = (*channel.row).clone();
    let done = change(cx, &mut row)?;
    if row != *channel.row {
        cx.tx.set_channel(channel.name(), &row)?;
        channel.row = Rc::new(row);
        if let Some(room) = cx.state.rooms.get_mut(channel.id()) {
            room.row = Rc::clone(&channel.row);
        }
    }
    Ok(done)
}

/// A channel of a name that is free, with its first owner.
pub fn create(cx: &mut Cx<'_>, jid: &BareJid, creator: &BareJid) -> Result<Channel, Fault> {
    cx.require_disk_space()?;
    let settings = &cx.state.settings;
    if !settings.channels_create || !cx.state.domains.is_served(creator.as_jid()) {
        return Err(StanzaError::new(Condition::NotAllowed)
            .text("You may not make channels here.")
            .into());
    }
    tombstone::require_may_make(cx, jid, creator)?;
    let made_max = u64::try_from(settings.channels_per_user_max).unwrap_or(u64::MAX);
    if cx.tx.channels_made_by(creator.as_str())? >= made_max {
        return Err(StanzaError::new(Condition::ResourceConstraint)
            .text("You have made as many channels as one may.")
            .into());
    }
    let config = config::new(&cx.state.settings);
    let name = jid.local().ok_or(Condition::JidMalformed)?;
    let row = cx
        .tx
        .add_channel(name, (creator.as_str(), cx.now.wall), config)?;
    let mut channel = Channel {
        jid: jid.clone(),
        row: Rc::new(row),
    };
    people::make_owner(cx, &mut channel, creator)?;
    log::info!(
        "channel.created jid={} by={}",
        quoted(channel.jid.as_str()),
        quoted(creator.as_str())
    );
    Ok(channel)
}

/// It is there no more; nobody is told.
pub fn remove(cx: &mut Cx<'_>, channel: &Channel) -> Result<(), StoreError> {
    cx.state.rooms.close(channel.id());
    cx.state.activity.forget(channel.id());
    cx.tx.remove_channel(channel.name(), &channel.row)?;
    log::info!("channel.removed jid={}", quoted(channel.jid.as_str()));
    Ok(())
}
