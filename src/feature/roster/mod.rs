//! RFC 6121 §2: the roster as its owner reads and writes it, with pushes (§2.1.6) and versions (§2.6).
mod written;

use std::collections::HashMap;

pub use written::push;

use crate::pubsub::related::lost;
use crate::state::{Cx, Fault, QueuedPresence, joined_channel};
use crate::store::{AccountId, Contact, JoinedChannel, RosterChange, Subscription};
use crate::xml::{ElementRef, escaped_len};
use crate::xmpp::{BareJid, Condition, Jid, PresenceKind, StanzaError, ns};

use super::mix_pam::removed;
use super::{Feature, IqRoute, Reply, Request, To, privilege};
use written::{CHANNELS_NS, Form, subscription_text, write_item, write_push};

/// Bytes of a contact's name or of one group's (RFC 6121 §2.3.3 leaves the limit to the server).
const NAME_BYTES_MAX: usize = 1023;

pub const FEATURE: Feature = Feature {
    disco: &[(To::OwnAccount, ns::ROSTER)],
    iq: &[
        IqRoute::get(To::OwnAccount, ns::ROSTER, "query", get),
        IqRoute::set(To::OwnAccount, ns::ROSTER, "query", set),
        IqRoute::get(To::Account, ns::ROSTER, "query", get_of_another)
            .refused_by(Condition::Forbidden),
        IqRoute::set(To::Account, ns::ROSTER, "query", set_of_another)
            .refused_by(Condition::Forbidden),
    ],
    ..Feature::new("roster")
};

/// §2.1.4, §2.6.3: the whole roster, or what changed since the version the client has.
fn get(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let account = request.account_id();
    // XEP-0405 §2.10: each request says anew whether channels are to be told apart.
    let annotate = request.payload.child("annotate", CHANNELS_NS);
    let form = Form::of(annotate.is_some());
    if let Some(session) = cx.state.sessions.get_mut(request.own_session()?) {
        session.wants_roster = true;
        session.wants_channels = form == Form::Annotated;
    }
    let version = cx.tx.roster_version(account)?;
    let known = request.payload.attribute("ver");
    if let Some(since) = known.as_deref().and_then(|text| form.version_of(text))
        && let Some(changes) = cx.tx.roster_changes(account, since)?
    {
        return send_changes(cx, request, (&changes, form));
    }
    let version = known.map(|_| version);
    whole(cx, (request.account_jid(), account), (version, form))
}

fn whole(
    cx: &Cx<'_>,
    whose: (&BareJid, AccountId),
    (version, form): (Option<u64>, Form),
) -> Result<Reply, Fault> {
    let contacts = cx.tx.contacts(whose.1)?;
    let channels = match form {
        Form::Plain => Vec::new(),
        Form::Annotated => cx.tx.joined_channels(whose.1)?,
    };
    let mut known: HashMap<BareJid, JoinedChannel> = HashMap::new();
    for (jid, _) in channels {
        if let Some(joined) = joined_channel(cx, whose, &jid)? {
            known.insert(jid, joined);
        }
    }
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::ROSTER);
        w.attr_opt(
            "ver",
            version.map(|version| form.version(version)).as_deref(),
        );
        for (jid, contact) in contacts.iter().filter(|(_, contact)| contact.listed) {
            write_item(w, jid, Some(contact), known.get(jid));
        }
        w.close();
    }))
}

/// §2.6.3: an empty result first, then each change as a push. The result is queued by hand so that it comes first.
fn send_changes(
    cx: &mut Cx<'_>,
    request: &Request<'_>,
    (changes, form): (&[(u64, RosterChange)], Form),
) -> Result<Reply, Fault> {
    let session = request.own_session()?;
    for (version, change) in changes {
        let id = cx.new_id();
        let channel = form.channel(
            cx,
            (request.account_jid(), request.account_id()),
            &change.jid,
        )?;
        let stanza = write_push(
            cx,
            (&id, None),
            request.from,
            (&change.jid, change.contact.as_ref(), channel.as_ref()),
            &form.version(*version),
        );
        cx.state.effects.after_reply.push((session, stanza));
    }
    Ok(Reply::Empty)
}

/// §2.3, §2.4, §2.5: adds, updates or removes one item.
fn set(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let mut items = request
        .payload
        .children()
        .filter(|child| child.is("item", ns::ROSTER));
    let (Some(item), None) = (items.next(), items.next()) else {
        return Err(Condition::BadRequest.into());
    };
    let jid = item.attribute("jid").ok_or(Condition::BadRequest)?;
    // §2.1.2.3: the item's JID should be bare; a client's resource is not kept.
    let jid = Jid::parse(&jid)
        .map_err(|_| Condition::JidMalformed)?
        .to_bare();
    let account = request.account_id();
    cx.require_disk_space()?;
    if item.attribute("subscription").as_deref() == Some("remove") {
        remove(cx, request.account_jid(), account, &jid)?;
    } else {
        // A component speaks for its own contacts, and was given the account's word by the operator; for nobody else's.
        let component = request.component();
        let is_its_own = component.is_some() && cx.state.domains.component(&jid) == component;
        let agreed = item.attribute("subscription").filter(|_| is_its_own);
        let agreed = agreed.and_then(|text| subscription_of(&text));
        update(cx, request.account_jid(), account, &jid, item, agreed)?;
    }
    Ok(Reply::Empty)
}

/// §2.3.3: the roster of another account. XEP-0356 §4.3: some components may read it.
fn get_of_another(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    privilege::require_roster(cx, request)?;
    let whose = (request.account_jid(), request.account_id());
    whole(cx, whose, (None, Form::Plain))
}

/// The same for what they write.
fn set_of_another(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    privilege::require_roster(cx, request)?;
    set(cx, request)
}

fn update(
    cx: &mut Cx<'_>,
    owner: &BareJid,
    account: AccountId,
    jid: &BareJid,
    item: ElementRef<'_>,
    agreed: Option<Subscription>,
) -> Result<(), Fault> {
    let name = item.attribute("name").unwrap_or_default().into_owned();
    let groups = groups(cx, item)?;
    if name.len() > NAME_BYTES_MAX {
        return Err(StanzaError::new(Condition::NotAcceptable)
            .text("The name is too long.")
            .into());
    }
    let before = cx.tx.contact(account, jid)?;
    let mut contact = Contact {
        name,
        groups,
        listed: true,
        ..before.clone().unwrap_or_default()
    };
    if let Some(agreed) = agreed {
        contact.subscription = agreed;
        (contact.ask, contact.request) = (false, None);
    }
    require_room(cx, account, jid, before.as_ref(), &contact)?;
    let version = cx.tx.set_contact(account, jid, &contact)?;
    push(cx, owner, jid, Some(&contact), version);
    if before.is_some_and(|before| before.groups != contact.groups) {
        lost::recheck(cx, (owner, account), jid)?;
    }
    Ok(())
}

/// §2.3.3: groups are not empty, not too long, each once.
fn groups(cx: &Cx<'_>, item: ElementRef<'_>) -> Result<Vec<String>, Fault> {
    let mut groups: Vec<String> = Vec::new();
    for group in item
        .children()
        .filter(|child| child.is("group", ns::ROSTER))
    {
        let name = group.text().into_owned();
        if name.is_empty()
            || name.len() > NAME_BYTES_MAX
            || groups.len() >= cx.state.settings.roster_groups_max
        {
            return Err(Condition::NotAcceptable.into());
        }
        if groups.contains(&name) {
            return Err(Condition::BadRequest.into());
        }
        groups.push(name);
    }
    Ok(groups)
}

/// One answer holds the whole roster: so many contacts, and so many bytes, are all it may hold.
pub fn require_room(
    cx: &Cx<'_>,
    account: AccountId,
    jid: &BareJid,
    before: Option<&Contact>,
    after: &Contact,
) -> Result<(), Fault> {
    let bytes = item_bytes(jid, after);
    let before = before.filter(|before| before.listed);
    if !after.listed || before.is_some_and(|before| bytes <= item_bytes(jid, before)) {
        return Ok(());
    }
    let contacts = cx.tx.contacts(account)?;
    let others = || {
        let listed = |(other, contact): &&(BareJid, Contact)| contact.listed && other != jid;
        contacts.iter().filter(listed)
    };
    let others_bytes: usize = others().map(|(jid, other)| item_bytes(jid, other)).sum();
    let settings = &cx.state.settings;
    if others().count() >= settings.roster_contacts_max
        || others_bytes + bytes > settings.roster_bytes_max
    {
        return Err(StanzaError::new(Condition::ResourceConstraint)
            .text("The roster is full.")
            .into());
    }
    Ok(())
}

/// What an item takes where it is written, at most.
fn item_bytes(jid: &BareJid, contact: &Contact) -> usize {
    const AROUND: usize =
        "<item jid='' name='' subscription='none' ask='subscribe' approved='true'></item>".len();
    let groups = contact.groups.iter();
    let groups = groups.map(|group| "<group></group>".len() + escaped_len(group));
    AROUND + escaped_len(jid.as_str()) + escaped_len(&contact.name) + groups.sum::<usize>()
}

/// §2.5.2: removal also ends both subscriptions.
fn remove(
    cx: &mut Cx<'_>,
    owner: &BareJid,
    account: AccountId,
    jid: &BareJid,
) -> Result<(), Fault> {
    let contact = cx
        .tx
        .contact(account, jid)?
        .filter(|contact| contact.listed)
        .ok_or(Condition::ItemNotFound)?;
    let subscribed_to = contact.subscription.is_to() || contact.ask;
    let to_subscriber = matches!(
        contact.subscription,
        Subscription::From | Subscription::Both
    );
    let asked_or_subscribed = to_subscriber || contact.request.is_some();
    for (needed, kind) in [
        (subscribed_to, PresenceKind::Unsubscribe),
        (asked_or_subscribed, PresenceKind::Unsubscribed),
    ] {
        if needed {
            cx.state.effects.queued_presence.push(QueuedPresence {
                from: owner.clone(),
                to: jid.clone(),
                kind,
                to_subscriber,
            });
        }
    }
    let version = cx.tx.remove_contact(account, jid)?;
    push(cx, owner, jid, None, version);
    removed::removed_from_roster(cx, (owner, account), jid)?;
    Ok(lost::recheck(cx, (owner, account), jid)?)
}

fn subscription_of(text: &str) -> Option<Subscription> {
    let all = [
        Subscription::None,
        Subscription::To,
        Subscription::From,
        Subscription::Both,
    ];
    all.into_iter()
        .find(|known| subscription_text(*known) == text)
}
