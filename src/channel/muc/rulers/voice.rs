//! XEP-0045 §7.13, §8.6: a visitor asks for voice, and a moderator decides.
use crate::channel::Channel;
use crate::channel::config::{Config, field};
use crate::channel::people::nick::Nick;
use crate::channel::people::standing::{self, By};
use crate::channel::said::fan_out;
use crate::channel::said::speaker::Speaker;
use crate::state::{Cx, Fault, Role, Urgency, Way};
use crate::xml::ElementRef;
use crate::xmpp::{Condition, DataForm, FormKind, open_form};

const FORM_TYPE: &str = "http://jabber.org/protocol/muc#request";

/// A form in a message to the room; false: it is about something else.
pub fn take(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    (speaker, x): (&Speaker, ElementRef<'_>),
) -> Result<bool, Fault> {
    let form = DataForm::parse_answer(x).filter(|form| form.form_type() == Some(FORM_TYPE));
    let Some(form) = form else {
        return Ok(false);
    };
    if form.kind == FormKind::Cancel {
        return Ok(true);
    }
    // Voice is all that is asked for, and given.
    if form
        .value("muc#role")
        .is_some_and(|role| role != "participant")
    {
        return Err(Condition::BadRequest.into());
    }
    match form.value("muc#request_allow") {
        Some(allowed) => decide(cx, channel, (speaker, &form), allowed)?,
        None => ask(cx, channel, speaker)?,
    }
    Ok(true)
}

/// §7.13: all moderators are asked.
fn ask(cx: &mut Cx<'_>, channel: &Channel, speaker: &Speaker) -> Result<(), Fault> {
    if !channel.row.flag(field::VOICE_REQUESTS) || speaker.role != Role::Visitor {
        return Err(Condition::Forbidden.into());
    }
    let author = &speaker.author;
    let occupants = fan_out::take_occupants(cx, channel);
    let moderators = occupants.iter().filter(|one| one.role == Role::Moderator);
    for one in moderators.filter(|one| one.way != Way::Participant) {
        let stanza = cx.write(|w| {
            w.open("message")
                .attr("from", channel.jid.as_str())
                .attr("to", one.jid.as_str());
            open_form(w, FormKind::Form, FORM_TYPE);
            for (var, kind, label, value) in [
                ("muc#role", "list-single", "Requested role", "participant"),
                ("muc#jid", "jid-single", "User", author.jid.as_str()),
                ("muc#roomnick", "text-single", "Nick", &author.nick),
                ("muc#request_allow", "boolean", "Grant voice?", "false"),
            ] {
                w.open("field")
                    .attr("var", var)
                    .attr("type", kind)
                    .attr("label", label);
                w.leaf("value", value).close();
            }
            w.close().close();
        });
        fan_out::deliver(cx, one.way, &stanza.into(), Urgency::Now);
    }
    fan_out::put_back(cx, channel, occupants);
    Ok(())
}

/// §8.6
fn decide(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    (speaker, form): (&Speaker, &DataForm),
    allowed: &str,
) -> Result<(), Fault> {
    if speaker.role != Role::Moderator {
        return Err(Condition::Forbidden.into());
    }
    let nick = form.value("muc#roomnick").ok_or(Condition::BadRequest)?;
    let nick = Nick::parse(nick).map_err(|_| Condition::BadRequest)?;
    if !matches!(allowed, "1" | "true") {
        return Ok(());
    }
    let room = cx.state.rooms.get(channel.id());
    let target = room.and_then(|room| room.of_nick(&nick.key).next());
    let target = target.ok_or(Condition::ItemNotFound)?;
    if target.role != Role::Visitor {
        return Ok(());
    }
    let by = By::new(Some(&speaker.author.nick), None);
    Ok(standing::set_role(
        cx,
        channel,
        &nick.key,
        (Role::Participant, by),
    )?)
}
