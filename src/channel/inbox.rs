//! XEP-0430: rooms in somebody's inbox: those they are in, and those of this server that are among their bookmarks (XEP-0402), if
//! they may read what is said there. What of a channel is in their own archive (XEP-0405) is there anyhow.
use std::collections::{BTreeSet, HashMap};

use crate::feature::{InboxRooms, Request, bookmarked_rooms};
use crate::state::{Address, Cx, Fault};
use crate::store::AccountId;
use crate::xmpp::BareJid;

use super::config::{Config, field};
use super::people::access;
use super::said::history_query::{Reader, in_room};
use super::{Channel, find};

/// Rooms that are looked at for one account.
const ROOMS_MAX: usize = 250;

pub fn rooms(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<InboxRooms, Fault> {
    let who = request.account_jid();
    let mut jids: BTreeSet<BareJid> = BTreeSet::new();
    let Some(service) = cx.state.domains.channels() else {
        return Ok(InboxRooms::default());
    };
    let rooms = cx.state.rooms.all();
    for room in rooms.filter(|room| room.of_person(who.as_str()).next().is_some()) {
        jids.extend(BareJid::stored(&format!("{}@{service}", room.name)));
    }
    jids.extend(bookmarked_rooms(cx, request.account_id(), ROOMS_MAX)?);
    let mut rooms: HashMap<AccountId, (Channel, Reader)> = HashMap::new();
    for jid in jids.into_iter().take(ROOMS_MAX) {
        let Address::Channel(jid) = Address::resolve(cx, jid.as_jid())? else {
            continue;
        };
        let Some(channel) = find(cx, &jid)? else {
            continue;
        };
        if channel.row.flag(field::ARCHIVED) && access::may_read(cx, &channel, who)? {
            let reader = Reader::of(cx, &channel, who)?;
            rooms.insert(channel.id().archive(), (channel, reader));
        }
    }
    Ok(InboxRooms {
        archives: rooms.keys().copied().collect(),
        shown: Box::new(move |cx, stored| {
            let (channel, reader) = rooms.get(&stored.channel?)?;
            in_room(cx, channel, stored, reader)
        }),
    })
}
