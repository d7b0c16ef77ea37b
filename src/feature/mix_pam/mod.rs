//! XEP-0405: MIX-PAM. An account takes part in channels, whatever client it is asked by: its server joins and leaves for it,
//! has the channel in the roster, spreads what the channel says to all clients that know channels, and archives it.
//!
//! What the text leaves open is decided here:
//! - Who is in a channel is known by a row of its own (`channels_joined`), not by the roster, which clients write. A client
//!   that removes the item of a channel leaves the channel.
//! - Messages of type groupchat and events of nodes are what a channel distributes. They go to clients that announce
//!   `urn:xmpp:mix:core:1` and are available, whatever their priority, and wait for nobody. All else that comes from a
//!   channel's address goes the way of any stanza.
//! - §2.1: what a client announces by its capabilities (XEP-0115, XEP-0390) decides. Who announces none is not asked: it chose
//!   not to advertise.
//! - A client that asked for the annotated roster hears what channels say also while it is being asked what it announced, or it
//!   would miss what comes between its reading of the archive and its answer.
//! - §2.9.3: no presence of others is kept. Whenever a client that knows channels comes, they are asked for it.
//! - A channel tells that an account is in it no more by taking its item from the participants, or that node away.
//! - Of annotated rosters the versions are others than of plain ones, so that no client takes the one for the other.

mod answered;
mod ask;
pub mod deliver;
mod incoming;
pub mod removed;

pub use answered::{answered, channel_left, preference_set};
pub use incoming::{FromChannel, channel_of_presence, from_channel};

use crate::state::{Cx, Session, SessionId, ToChannels};
use crate::store::{AccountId, JoinedChannel, StoreError};
use crate::xml::ElementRef;
use crate::xmpp::{BareJid, DataForm, Jid, ns};

use super::{Feature, IqRoute, Spec, To};

pub const NS: &str = "urn:xmpp:mix:pam:2";
/// Channels that one account is in at a time.
pub const CHANNELS_JOINED_MAX: usize = 500;
/// Bytes of a participant id that are believed.
const PARTICIPANT_BYTES_MAX: usize = 255;

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete(
        "XEP-0405",
        "Mediated Information eXchange (MIX): Participant Server Requirements",
        "0.5.3",
    )],
    disco: &[
        (To::OwnAccount, NS),
        (To::OwnAccount, "urn:xmpp:mix:pam:2#archive"),
    ],
    iq: &[
        IqRoute::set(To::OwnAccount, NS, "client-join", ask::join),
        IqRoute::set(To::OwnAccount, NS, "client-leave", ask::leave),
    ],
    ..Feature::new("mix_pam")
};

/// What the account is in this channel; `None`: it is not in it.
pub fn joined_channel(
    cx: &Cx<'_>,
    account: AccountId,
    channel: &BareJid,
) -> Result<Option<JoinedChannel>, StoreError> {
    cx.tx.joined_channel(account, channel)
}

/// §2.9: false for a channel that the account is in, and a client that does not announce that it knows channels.
pub fn channel_may_see(cx: &Cx<'_>, session: &Session, viewer: &Jid) -> Result<bool, StoreError> {
    if session.shown_to_channels || cx.state.domains.is_served(viewer) {
        return Ok(true);
    }
    let joined = cx.tx.joined_channel(session.account, &viewer.to_bare())?;
    Ok(joined.is_none())
}

/// §2.9: what a session announced is known now, or known otherwise.
pub fn capabilities_learned(cx: &mut Cx<'_>, session: SessionId) {
    cx.state.effects.to_channels.push(ToChannels {
        session,
        channel: None,
        is_hidden: false,
    });
}

/// XEP-0404 §3.1: whether a form says that presence is not for the channel; `None`: it says nothing of that.
fn hides_presence(of: ElementRef<'_>) -> Option<bool> {
    let form = DataForm::parse(of.child("x", ns::DATA_FORM)?)?;
    let field = form.fields.iter().find(|field| field.var == "Presence")?;
    let value = field.values.first()?.trim().to_ascii_lowercase();
    match value.as_str() {
        "not share" => Some(true),
        "share" => Some(false),
        _ => None,
    }
}
