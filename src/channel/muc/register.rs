//! XEP-0045 §7.10, §7.12, §9.5: a nick that is held for somebody, present or not. Whoever registers in an open room is a member.
use crate::channel::asked::Asked;
use crate::channel::config::{Config, field};
use crate::channel::people::nick::{self, Nick};
use crate::channel::people::standing::{self, By};
use crate::channel::people::{self, access};
use crate::channel::room;
use crate::feature::Reply;
use crate::state::{Cx, Fault, Role};
use crate::store::ChannelAffiliation;
use crate::xml::Writer;
use crate::xmpp::{Condition, DataForm, FormKind, StanzaError, ns, open_form};

use super::occupants::tell::{self, News};

const FORM_TYPE: &str = "http://jabber.org/protocol/muc#register";
pub const NODE: &str = "x-roomuser-item";

/// §7.10: the form, or the nick one has.
pub fn get(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let channel = &asked.channel;
    let member = people::with_domain(cx, &channel.row, asked.who.as_str())?;
    access::require_entry(channel, &member)?;
    let nick = member.nick;
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::REGISTER);
        match &nick {
            Some(nick) => {
                w.open("registered").close();
                w.leaf("username", nick);
            }
            None => {
                w.leaf(
                    "instructions",
                    "Choose a nickname that is yours in this room.",
                );
                write_form(w);
            }
        }
        w.close();
    }))
}

fn write_form(w: &mut Writer<'_>) {
    open_form(w, FormKind::Form, FORM_TYPE);
    w.open("field")
        .attr("var", "muc#register_roomnick")
        .attr("type", "text-single")
        .attr("label", "Nickname");
    w.open("required").close().close().close();
}

pub fn set(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let payload = asked.payload;
    if payload.child("remove", ns::REGISTER).is_some() {
        return remove(cx, asked);
    }
    let x = payload.child("x", ns::DATA_FORM);
    let form = x.and_then(DataForm::parse_answer);
    let form = form.ok_or(Condition::BadRequest)?;
    if form.form_type() != Some(FORM_TYPE) {
        return Err(Condition::BadRequest.into());
    }
    let wanted = form.value("muc#register_roomnick");
    let nick = Nick::parse(wanted.unwrap_or_default())?;
    hold(cx, asked, &nick)?;
    Ok(Reply::Empty)
}

/// A nick is whoever asks for it's, if they may register and nobody else has it.
pub fn hold(cx: &mut Cx<'_>, asked: &mut Asked<'_>, nick: &Nick) -> Result<(), Fault> {
    let member = people::member(cx, &asked.channel, asked.who.as_str())?;
    let entering = people::with_domain(cx, &asked.channel.row, asked.who.as_str())?;
    access::require_entry(&asked.channel, &entering)?;
    let is_new = !access::belongs(&member) && member.nick.is_none();
    if is_new {
        // Where voice is given by moderators, nobody takes it.
        let room = cx.state.rooms.get(asked.channel.id());
        let mut own = room
            .into_iter()
            .flat_map(|room| room.of_person(asked.who.as_str()));
        let is_silent = own.any(|one| one.role < Role::Participant);
        if is_silent || asked.channel.row.flag(field::MODERATED) {
            return Err(Condition::RegistrationRequired.into());
        }
        if !asked.channel.row.flag(field::REGISTER) {
            return Err(Condition::NotAllowed.into());
        }
        people::require_room(cx, &asked.channel, 1)?;
    }
    if !nick::is_free_for(cx, &asked.channel, &nick.key, asked.who.as_str())? {
        return Err(Condition::Conflict.into());
    }
    cx.require_disk_space()?;
    take(cx, asked, nick)?;
    if member.affiliation == ChannelAffiliation::None && member.participation.is_none() {
        let made = (ChannelAffiliation::Member, By::default());
        standing::set_affiliation(cx, &mut asked.channel, asked.who.as_str(), made)?;
    }
    Ok(())
}

/// The nick is theirs, and who is inside under another one has it from now on.
fn take(cx: &mut Cx<'_>, asked: &mut Asked<'_>, nick: &Nick) -> Result<(), Fault> {
    let who = asked.who.as_str();
    let before = people::member(cx, &asked.channel, who)?;
    let mut row = before.clone();
    row.nick = Some(nick.text.to_string());
    people::set(cx, &mut asked.channel, who, &row)?;
    let channel = &asked.channel;
    if row.participation.is_some() {
        crate::channel::mix::participants::told::nick_changed(cx, channel, who, &row)?;
    }
    loop {
        let room = room(cx, channel);
        let other = room.of_person(who).find(|one| one.nick != nick.text);
        let Some(occupant) = other.cloned() else {
            return Ok(());
        };
        let gone = News {
            codes: vec![303],
            new_nick: Some(&nick.text),
            own_codes: vec![210],
            ..News::gone(&occupant)
        };
        tell::announce(cx, channel, &gone);
        let mut now = occupant.clone();
        (now.nick, now.key) = (nick.text.clone(), nick.key.clone());
        for one in &mut self::room(cx, channel).occupants {
            if one.key == occupant.key {
                (one.nick, one.key) = (nick.text.clone(), nick.key.clone());
            }
        }
        tell::announce(cx, channel, &News::of(&now));
    }
}

/// §7.11: the nick is anybody's, and a member is one no more. Admins and owners stay what they are.
fn remove(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let who = asked.who.as_str();
    let mut row = people::member(cx, &asked.channel, who)?;
    let is_member = row.affiliation == ChannelAffiliation::Member;
    if row.nick.is_none() && !is_member {
        return Err(StanzaError::new(Condition::RegistrationRequired).into());
    }
    if row.participation.is_some() {
        return Err(StanzaError::new(Condition::NotAllowed)
            .text("The nick goes when you leave the channel.")
            .into());
    }
    row.nick = None;
    people::set(cx, &mut asked.channel, who, &row)?;
    // COMPAT(Conversations, 2.19): this is how a member leaves a group for good.
    if is_member {
        let made = (ChannelAffiliation::None, By::default());
        standing::set_affiliation(cx, &mut asked.channel, who, made)?;
    }
    Ok(Reply::Empty)
}

/// §7.12: the nick that is held for whoever asks.
pub fn reserved(cx: &Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let member = people::member(cx, &asked.channel, asked.who.as_str())?;
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_INFO).attr("node", NODE);
        if let Some(nick) = &member.nick {
            w.open("identity")
                .attr("category", "conference")
                .attr("type", "text")
                .attr("name", nick)
                .close();
        }
        w.close();
    }))
}
