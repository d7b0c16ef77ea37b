//! RFC 6121 §2.1.2, §2.1.6: how items and pushes are written, for clients that tell channels apart (XEP-0405 §2.10) and for
//! those that do not.
use crate::state::{Cx, joined_channel};
use crate::store::{AccountId, Contact, JoinedChannel, StoreError, Subscription};
use crate::xml::Writer;
use crate::xmpp::{BareJid, Jid, ns, quoted_error};

use super::super::privilege;

/// XEP-0405 §2.10: which of the items are channels.
pub const CHANNELS_NS: &str = "urn:xmpp:mix:roster:0";

/// How a roster looks to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    /// With what is a channel (XEP-0405 §2.10).
    Annotated,
}

impl Form {
    /// Behind the versions of annotated rosters.
    const ANNOTATED: char = 'c';

    pub fn of(is_annotated: bool) -> Form {
        match is_annotated {
            true => Form::Annotated,
            false => Form::Plain,
        }
    }

    pub fn version(self, version: u64) -> String {
        match self {
            Form::Plain => version.to_string(),
            Form::Annotated => format!("{version}{}", Form::ANNOTATED),
        }
    }

    /// `None`: it is none, or of the other form.
    pub fn version_of(self, text: &str) -> Option<u64> {
        let number = match self {
            Form::Plain => text,
            Form::Annotated => text.strip_suffix(Form::ANNOTATED)?,
        };
        number.parse().ok()
    }

    /// What is told of a contact beside its row.
    pub fn channel(
        self,
        cx: &Cx<'_>,
        whose: (&BareJid, AccountId),
        jid: &BareJid,
    ) -> Result<Option<JoinedChannel>, StoreError> {
        match self {
            Form::Plain => Ok(None),
            Form::Annotated => joined_channel(cx, whose, jid),
        }
    }
}

/// §2.1.6: tells every session that asked for the roster, and components that may read it (XEP-0356 §4.4). `None`: the item
/// is gone.
pub fn push(
    cx: &mut Cx<'_>,
    owner: &BareJid,
    jid: &BareJid,
    contact: Option<&Contact>,
    version: u64,
) {
    for session in cx
        .state
        .sessions
        .ids_where(owner, |session| session.wants_roster)
    {
        let Some(known) = cx.state.sessions.get(session) else {
            continue;
        };
        let (to, account) = (Jid::from(known.jid.clone()), known.account);
        let form = Form::of(known.wants_channels);
        let channel = form
            .channel(cx, (owner, account), jid)
            .unwrap_or_else(|error| {
                log::error!("roster.failed error={}", quoted_error(&error));
                None
            });
        let id = cx.new_id();
        let item = (jid, contact, channel.as_ref());
        let stanza = write_push(cx, (&id, None), &to, item, &form.version(version));
        cx.deliver(session, stanza);
    }
    for (component, to) in privilege::hear_of_rosters(cx) {
        let id = cx.new_id();
        let item = (jid, contact, None);
        let version = Form::Plain.version(version);
        let stanza = write_push(cx, (&id, Some(owner)), &to, item, &version);
        cx.pass(component, &stanza.into());
    }
}

pub fn write_push(
    cx: &mut Cx<'_>,
    (id, from): (&str, Option<&BareJid>),
    to: &Jid,
    (jid, contact, channel): (&BareJid, Option<&Contact>, Option<&JoinedChannel>),
    version: &str,
) -> std::ops::Range<usize> {
    cx.write(|w| {
        w.open("iq")
            .attr("type", "set")
            .attr("id", id)
            .attr_opt("from", from.map(|from| from.as_str()))
            .attr("to", to.as_str());
        w.open_ns("query", ns::ROSTER).attr("ver", version);
        write_item(w, jid, contact, channel);
        w.close().close();
    })
}

/// §2.1.2: one item; a removed one has only its JID.
pub fn write_item(
    w: &mut Writer<'_>,
    jid: &BareJid,
    contact: Option<&Contact>,
    channel: Option<&JoinedChannel>,
) {
    w.open("item").attr("jid", jid.as_str());
    let Some(contact) = contact.filter(|contact| contact.listed) else {
        w.attr("subscription", "remove").close();
        return;
    };
    w.attr_opt(
        "name",
        Some(contact.name.as_str()).filter(|name| !name.is_empty()),
    );
    w.attr("subscription", subscription_text(contact.subscription));
    w.attr_opt("ask", contact.ask.then_some("subscribe"));
    w.attr_opt("approved", contact.approved.then_some("true"));
    for group in &contact.groups {
        w.leaf("group", group);
    }
    if let Some(channel) = channel {
        w.open_ns("channel", CHANNELS_NS)
            .attr("participant-id", &channel.participant)
            .close();
    }
    w.close();
}

pub fn subscription_text(subscription: Subscription) -> &'static str {
    match subscription {
        Subscription::None => "none",
        Subscription::To => "to",
        Subscription::From => "from",
        Subscription::Both => "both",
    }
}
