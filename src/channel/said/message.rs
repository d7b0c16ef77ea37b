//! The way of a message to all in a channel, whatever its sender speaks: may they, what of it is kept, then to everybody.

use crate::state::{Cx, Fault, Role};
use crate::xmpp::{Condition, ErrorType, Message, StanzaError};

use super::own::{is_subject, said};
use super::retraction;
use super::say::say;
use super::speaker::{Speaker, speaker_of};
use crate::channel::config::{Config, field};
use crate::channel::{Channel, muc, room};

/// A message of type groupchat.
pub fn groupchat(cx: &mut Cx<'_>, channel: &mut Channel, message: &Message) -> Result<(), Fault> {
    let speaker = speaker_of(cx, channel, message)?;
    // §7.4, XEP-0369 §7.1.6
    if speaker.role < Role::Participant {
        return Err(StanzaError::new(Condition::Forbidden)
            .text("You have no voice here.")
            .into());
    }
    if is_subject(message) {
        return muc::subject::change(cx, channel, &speaker, message);
    }
    require_patience(cx, channel, &speaker, message)?;
    if retraction::asked_by_mix(cx, channel, &speaker, message)? {
        return Ok(());
    }
    retraction::taken_back(cx, channel, &speaker, message)?;
    let payload = said(message);
    say(cx, channel, &speaker, (message, &payload))
}

/// XEP-0500 §3: not faster than the channel says. What has no body, and those who moderate, are not held up.
fn require_patience(
    cx: &mut Cx<'_>,
    channel: &Channel,
    speaker: &Speaker,
    message: &Message,
) -> Result<(), Fault> {
    let wait_ms = channel
        .row
        .number(field::SLOW_SECONDS)
        .saturating_mul(1_000);
    if wait_ms == 0 || speaker.role == Role::Moderator || !message.has_body() {
        return Ok(());
    }
    let now_ms = cx.now.monotonic_ms;
    let who = speaker.author.jid.bare_str();
    let room = room(cx, channel);
    match room.may_speak(who, wait_ms, now_ms) {
        true => Ok(()),
        false => Err(StanzaError::new(Condition::PolicyViolation)
            .kind(ErrorType::Wait)
            .text("Messages here are to come more slowly.")
            .into()),
    }
}
