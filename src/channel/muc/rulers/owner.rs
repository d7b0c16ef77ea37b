//! XEP-0045 §10: what owners do: configure the room, and end it.
use crate::channel::asked::Asked;
use crate::channel::config::form;
use crate::channel::people::changed;
use crate::channel::people::rulers::{self, RULERS_MAX, Rulers};
use crate::channel::upkeep::tombstone::Instead;
use crate::channel::{change, people};
use crate::feature::Reply;
use crate::state::{Cx, Fault};
use crate::store::{ChannelAffiliation, StoreError};
use crate::xml::ElementRef;
use crate::xmpp::{Condition, DataForm, FormKind, Jid, ns};

/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 1_024;

fn require_owner(cx: &Cx<'_>, asked: &Asked<'_>) -> Result<(), Fault> {
    let member = people::member(cx, &asked.channel, asked.who.as_str())?;
    match member.affiliation {
        ChannelAffiliation::Owner => Ok(()),
        _ => Err(Condition::Forbidden.into()),
    }
}

/// §10.2: the form.
pub fn get(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_owner(cx, asked)?;
    let owners = those(cx, asked, ChannelAffiliation::Owner)?;
    let admins = those(cx, asked, ChannelAffiliation::Admin)?;
    let config = &asked.channel.row.config;
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::MUC_OWNER);
        form::write(w, config, [owners.as_deref(), admins.as_deref()]);
        w.close();
    }))
}

/// `None`: more than a form may name.
fn those(
    cx: &Cx<'_>,
    asked: &Asked<'_>,
    affiliation: ChannelAffiliation,
) -> Result<Option<Vec<String>>, StoreError> {
    let members = rulers::members(cx, &asked.channel, affiliation)?;
    let jids = (members.len() <= RULERS_MAX).then_some(members.into_iter().map(|(jid, _)| jid));
    Ok(jids.map(Iterator::collect))
}

/// §10.1, §10.2, §10.9: the form filled in, or the end.
pub fn set(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_owner(cx, asked)?;
    let payload = asked.payload;
    if let Some(end) = payload.child("destroy", ns::MUC_OWNER) {
        return destroy(cx, asked, end);
    }
    let x = payload
        .child("x", ns::DATA_FORM)
        .ok_or(Condition::BadRequest)?;
    let form = DataForm::parse_answer(x).ok_or(Condition::BadRequest)?;
    match form.kind {
        FormKind::Submit => configure(cx, asked, &form),
        // §10.1.3: a room that was never configured is none.
        FormKind::Cancel if asked.channel.row.locked => {
            changed::destroy(cx, &mut asked.channel, Instead::default())?;
            Ok(Reply::Empty)
        }
        FormKind::Cancel => Ok(Reply::Empty),
        _ => Err(Condition::BadRequest.into()),
    }
}

fn configure(cx: &mut Cx<'_>, asked: &mut Asked<'_>, given: &DataForm) -> Result<Reply, Fault> {
    if given
        .form_type()
        .is_some_and(|kind| kind != form::FORM_TYPE)
    {
        return Err(Condition::BadRequest.into());
    }
    cx.require_disk_space()?;
    let channel = &mut asked.channel;
    let before = channel.row.config.clone();
    let mut now = before.clone();
    form::apply(&mut now, given)?;
    let rulers = Rulers::read(cx, channel, (given, form::RULERS))?;
    let (was_locked, at) = (channel.row.locked, cx.now.wall);
    let is_changed = now != before;
    change(cx, channel, |_, row| {
        row.config = now;
        row.locked = false;
        if is_changed || was_locked {
            row.configured = at;
        }
        Ok(())
    })?;
    rulers.set(cx, channel)?;
    // COMPAT(Conversations, 2.19): it asks anew what a new room is like only when it is told that it changed.
    if is_changed || was_locked {
        changed::configured(cx, channel, &before)?;
    }
    Ok(Reply::Empty)
}

fn destroy(cx: &mut Cx<'_>, asked: &mut Asked<'_>, end: ElementRef<'_>) -> Result<Reply, Fault> {
    let jid = end.attribute("jid");
    let jid = jid.map(|jid| Jid::parse(&jid).map_err(|_| Condition::JidMalformed));
    let jid = jid.transpose()?;
    let text = |name| {
        let child = end.child(name, ns::MUC_OWNER);
        child.map(|child| child.text().into_owned())
    };
    let (reason, password) = (text("reason"), text("password"));
    let is_long = |text: &Option<String>| {
        text.as_ref()
            .is_some_and(|text| text.len() > REASON_BYTES_MAX)
    };
    if is_long(&reason) || is_long(&password) {
        return Err(Condition::NotAcceptable.into());
    }
    let instead = Instead {
        jid: jid.as_ref().map(Jid::as_str),
        reason: reason.as_deref(),
        password: password.as_deref(),
    };
    changed::destroy(cx, &mut asked.channel, instead)?;
    Ok(Reply::Empty)
}
