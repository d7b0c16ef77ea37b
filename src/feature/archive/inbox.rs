//! XEP-0430: Inbox. Conversations in the order of what was last said in them, the latest first, with what is unread in each. All
//! of it follows from the archive (`store::archive::inbox`), so every device is told the same, also after a restart.
//!
//! Where the text is silent, this is how it is read here:
//!
//! - A conversation is a bare JID with which something was said (XEP-0427 §1). What is said in private in a room is part of the
//!   room, as `with` of XEP-0313 has it. Channels of this server are in it while and as far as the archive of the account has them.
//! - Who is blocked is not in it. Nobody has anything unread of what they wrote to themselves.
//! - Retracted messages are not unread; corrections, reactions, receipts and marks never are.
//! - Read are messages up to one's own last, up to that of one's own last mark, and up to the one that XEP-0490 names.
//!   In a channel of another server one's own are those of one's own participant id or address. Who left it has nothing unread there.
//!   A mark that must not be stored (XEP-0334 §4.2) moves nothing: what XEP-0490 says beside it does.
//! - `unread` is counted up to 500: then it is that or more.
//! - Pages (XEP-0059) go from the latest to the earliest; an item of one is known by the archive's id of what was said last.
use std::cell::RefCell;
use std::collections::HashMap;

use crate::feature::pep::displayed;
use crate::state::{Cx, Fault, ParticipantId};
use crate::store::{
    AccountId, ArchiveId, ChannelId, InboxReader, NodeOwner, NodeRow, Seen, Standing, StoreError,
    Stored,
};
use crate::xml::{ElementRef, parse_stored};
use crate::xmpp::{Condition, Jid, Rsm, RsmStart, ns};

use super::super::{Reply, Request};
use super::collation::{self, Collated, Reading};
use super::page::Page;
use super::query::as_owner;
use super::result::Found;

pub const NS: &str = "urn:xmpp:inbox:1";

/// Conversations of one account that are looked at.
const CONVERSATIONS_MAX: usize = 4096;
/// Steps through the index for one inbox; then each conversation has only a few.
const STEPS_MAX: u64 = 60_000;

/// Rooms of this server that the account is in and whose archives it does not have.
pub struct InboxRooms {
    pub archives: Vec<AccountId>,
    pub shown: Box<ShownInRoom>,
}

/// How what is kept of a room is shown.
type ShownInRoom = dyn Fn(&Cx<'_>, &Stored) -> Option<String>;

impl Default for InboxRooms {
    fn default() -> InboxRooms {
        InboxRooms {
            archives: Vec::new(),
            shown: Box::new(|_, _| None),
        }
    }
}

/// §3.1
pub fn get(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let session = request.own_session()?;
    let wants_messages = flag(request.payload, "messages")?.unwrap_or(true);
    let is_unread_only = flag(request.payload, "unread-only")?.unwrap_or(false);
    let rsm = Rsm::parse(request.payload)?;
    let rooms = (request.inbox_rooms)(cx, request)?;
    let mut all = standings(cx, request, &rooms)?;
    let total = all.len();
    let all_unread: u64 = all.iter().map(|one| one.unread).sum();
    let unread = all.iter().filter(|one| one.unread > 0).count();
    if is_unread_only {
        all.retain(|one| one.unread > 0);
    }
    all.sort_unstable_by_key(|one| std::cmp::Reverse(place(one)));
    let (start, end) = cut(cx, &all, &rsm)?;
    let page = all.get(start..end).unwrap_or_default();
    let mut shown = match wants_messages {
        true => messages(cx, request.account_id(), page)?,
        false => Shown::default(),
    };
    let page = page
        .get(..page.len().min(shown.fitting))
        .unwrap_or_default();
    for one in page {
        let result = shown.take(one);
        let stanza = write_entry(cx, request, &rooms, one, result.as_ref());
        cx.deliver(session, stanza);
    }
    let text = |one: &Standing| cx.state.archive_ids.text(place(one));
    let ends = page.first().map(text).zip(page.last().map(text));
    Ok(Reply::payload(|w| {
        w.open_ns("fin", NS)
            .attr("total", &total.to_string())
            .attr("unread", &unread.to_string())
            .attr("all-unread", &all_unread.to_string());
        let ends = ends
            .as_ref()
            .map(|(first, last)| (first.as_str(), last.as_str()));
        let number = |n: usize| u64::try_from(n).ok();
        Rsm::write_answer(w, ends, number(start), number(all.len()));
        w.close();
    }))
}

fn flag(inbox: ElementRef<'_>, name: &str) -> Result<Option<bool>, Condition> {
    match inbox.attribute(name).as_deref() {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(_) => Err(Condition::BadRequest),
    }
}

/// By what it is ordered, and known in pages.
fn place(one: &Standing) -> ArchiveId {
    one.said.unwrap_or(one.last)
}

fn standings(
    cx: &Cx<'_>,
    request: &Request<'_>,
    rooms: &InboxRooms,
) -> Result<Vec<Standing>, Fault> {
    let (jid, account) = (request.account_jid(), request.account_id());
    let blocked = cx.block_list(jid, account)?;
    let node = cx.tx.node(NodeOwner(account.0), displayed::NODE)?;
    let own_ids: RefCell<HashMap<AccountId, ParticipantId>> = RefCell::default();
    let reader = InboxReader {
        account,
        is_own: &|channel, from| {
            let mut known = own_ids.borrow_mut();
            let id = known.entry(channel).or_insert_with(|| {
                cx.state
                    .participant_ids
                    .of(ChannelId(channel.0), jid.as_str())
            });
            from.split_once('/').is_some_and(|(_, from)| *from == **id)
        },
        seen: &|with| seen(cx, account, node.as_ref(), with),
    };
    let mut steps = STEPS_MAX;
    let mut found = Vec::new();
    for talk in cx.tx.talks(account, &rooms.archives, CONVERSATIONS_MAX)? {
        let Some(standing) = cx.tx.standing(&reader, &talk, &mut steps)? else {
            continue;
        };
        let is_blocked = || Jid::parse(&standing.with).is_ok_and(|with| blocked.matches(&with));
        if blocked.is_empty() || !is_blocked() {
            found.push(standing);
        }
    }
    Ok(found)
}

/// XEP-0490: what one of the account's devices told the others that it has seen of a conversation.
fn seen(
    cx: &Cx<'_>,
    account: AccountId,
    node: Option<&NodeRow>,
    with: &str,
) -> Result<Option<Seen>, StoreError> {
    let Some(node) = node else { return Ok(None) };
    let Some(item) = cx.tx.item(node, with)? else {
        return Ok(None);
    };
    let Ok(displayed) = parse_stored(&item.payload, "") else {
        return Ok(None);
    };
    let stanza_id = displayed.root().child("stanza-id", ns::STANZA_ID);
    let Some(stanza_id) = stanza_id else {
        return Ok(None);
    };
    let Some(id) = stanza_id.attribute("id") else {
        return Ok(None);
    };
    match cx.state.archive_ids.parse(&id) {
        Some(id) if cx.tx.archived(account, id)? => Ok(Some(Seen::Stanza(id))),
        // For group chats it is the one that the room gave.
        _ if stanza_id.attribute("by").as_deref() == Some(with) => {
            Ok(Some(Seen::Called(id.into_owned())))
        }
        _ => Ok(None),
    }
}

/// Which of them are on the page.
fn cut(cx: &Cx<'_>, all: &[Standing], rsm: &Rsm) -> Result<(usize, usize), Condition> {
    let page_max = cx.state.settings.archive_page_max;
    let max = rsm.max.unwrap_or(page_max).min(page_max);
    let known = |id: &str| {
        cx.state
            .archive_ids
            .parse(id)
            .ok_or(Condition::ItemNotFound)
    };
    let start = match &rsm.start {
        RsmStart::First => 0,
        RsmStart::After(id) => {
            let after = known(id)?;
            all.partition_point(|one| place(one) >= after)
        }
        RsmStart::Before(id) => {
            let end = match id {
                Some(id) => {
                    let before = known(id)?;
                    all.partition_point(|one| place(one) > before)
                }
                None => all.len(),
            };
            return Ok((end.saturating_sub(max), end));
        }
        RsmStart::Index(index) => usize::try_from(*index).unwrap_or(usize::MAX),
    };
    let start = start.min(all.len());
    Ok((start, start.saturating_add(max).min(all.len())))
}

/// What was said last in the conversations of a page.
struct Shown {
    stanzas: HashMap<ArchiveId, (Stored, Collated)>,
    /// So many of the page are sent.
    fitting: usize,
}

impl Default for Shown {
    fn default() -> Shown {
        Shown {
            stanzas: HashMap::new(),
            fitting: usize::MAX,
        }
    }
}

impl Shown {
    fn take(&mut self, one: &Standing) -> Option<(Stored, Collated)> {
        self.stanzas.remove(&one.said?)
    }
}

fn messages(cx: &Cx<'_>, account: AccountId, of: &[Standing]) -> Result<Shown, Fault> {
    let mut page = Page::default();
    let mut places = Vec::new();
    for (n, one) in of.iter().enumerate() {
        let stored = one.said.map(|id| cx.tx.stanza(id)).transpose()?;
        if let Some(stored) = stored.flatten() {
            let channel = one.channel;
            if !page.takes(Stored { channel, ..stored }) {
                break;
            }
            places.push(n);
        }
    }
    let held = page.stanzas.len();
    let rooms = of.iter().filter(|one| one.is_of_room);
    let whole: Vec<AccountId> = rooms.filter_map(|one| one.channel).collect();
    let collated = collation::of(cx, &Reading::of_lasts(account, &whole), &mut page)?;
    // Those whose messages do not fit are on the next page.
    let is_cut = page.stanzas.len() < held || page.is_full();
    let fitting = match places.get(page.stanzas.len().saturating_sub(1)) {
        Some(last) if is_cut => last + 1,
        _ => usize::MAX,
    };
    let stanzas = page.stanzas.into_iter().zip(collated);
    Ok(Shown {
        stanzas: stanzas
            .map(|(stored, one)| (stored.id, (stored, one)))
            .collect(),
        fitting,
    })
}

/// §3.1: the entry, and the result beside it.
fn write_entry(
    cx: &mut Cx<'_>,
    request: &Request<'_>,
    rooms: &InboxRooms,
    one: &Standing,
    result: Option<&(Stored, Collated)>,
) -> std::ops::Range<usize> {
    let own = request.account_jid();
    let last = cx.state.archive_ids.text(one.last);
    let result = result.and_then(|(stored, collated)| {
        let xml = match one.is_of_room {
            true => (rooms.shown)(cx, stored)?,
            false => as_owner(cx, stored, own.as_str()).into_owned(),
        };
        let id = cx.state.archive_ids.text(stored.id);
        Some((stored, id, xml, collated.applied.clone()))
    });
    cx.write(|w| {
        w.open("message")
            .attr("from", own.as_str())
            .attr("to", request.from.as_str());
        w.open_ns("entry", NS)
            .attr("jid", &one.with)
            .attr("unread", &one.unread.to_string())
            .attr("id", &last)
            .close();
        if let Some((stored, id, xml, beside)) = &result {
            let found = Found {
                query_id: request.iq.envelope.id.as_deref(),
                id,
                stanza: Some((*stored, xml)),
                beside,
            };
            found.write(w);
        }
        w.close();
    })
}
