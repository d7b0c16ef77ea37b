//! XEP-0404 §3.1: what a participant wants others to know of them, and how they may be spoken to.
use crate::channel::Channel;
use crate::channel::asked::Asked;
use crate::channel::config::{Config, field, whois};
use crate::channel::people::{self, access};
use crate::feature::{self, Reply};
use crate::state::{Cx, Fault};
use crate::store::{JidVisibility, MemberRow, Participation, StoreError};
use crate::xml::{ElementRef, Writer};
use crate::xmpp::{Condition, DataForm, FormKind, ns, open_form};

use super::leave;
use super::told::{self, Left};
use crate::channel::mix::between::presence;

/// Each with its values; the first is that of whoever says nothing.
const OPTIONS: [(&str, &[&str]); 4] = [
    (
        "JID Visibility",
        &["default", "never", "always", "prefer not"],
    ),
    ("Private Messages", &["allow", "block"]),
    ("vCard", &["block", "allow"]),
    ("Presence", &["share", "not share"]),
];

/// In the order of their names.
const VISIBILITIES: [JidVisibility; 4] = [
    JidVisibility::Unset,
    JidVisibility::Never,
    JidVisibility::Always,
    JidVisibility::Prefer,
];

/// The number of the value that holds, of each option.
fn chosen(of: &Participation) -> [usize; 4] {
    let mut known = VISIBILITIES.iter();
    [
        known.position(|it| *it == of.visibility).unwrap_or(0),
        of.no_private_messages.into(),
        of.gives_vcard.into(),
        (!of.shares_presence).into(),
    ]
}

/// Takes what a form within an element says; what it leaves out stays.
pub fn apply(of: &mut Participation, within: ElementRef<'_>) -> Result<(), Condition> {
    let Some(x) = within.child("x", ns::DATA_FORM) else {
        return Ok(());
    };
    let form = DataForm::parse_answer(x).ok_or(Condition::BadRequest)?;
    let mut now = chosen(of);
    for ((var, names), number) in OPTIONS.iter().zip(&mut now) {
        if let Some(text) = form.value(var) {
            let is_it = |name: &&str| name.eq_ignore_ascii_case(text.trim());
            *number = names
                .iter()
                .position(is_it)
                .ok_or(Condition::NotAcceptable)?;
        }
    }
    let [visibility, private, vcard, presence] = now;
    of.visibility = VISIBILITIES.get(visibility).copied().unwrap_or_default();
    of.no_private_messages = private != 0;
    of.gives_vcard = vcard != 0;
    of.shares_presence = presence == 0;
    Ok(())
}

/// §2.2: some take part only where their JID is hidden, and some only where it is not.
pub fn suits(channel: &Channel, of: &Participation) -> bool {
    !matches!(
        (channel.row.number(field::WHOIS), of.visibility),
        (whois::ANYONE, JidVisibility::Never) | (whois::MODERATORS, JidVisibility::Always)
    )
}

/// §3.1: and presence is shared where it must be.
pub fn require_suits(channel: &Channel, of: &Participation) -> Result<(), Condition> {
    let is_needed = channel.row.flag(field::PRESENCE_NEEDED);
    match suits(channel, of) && (of.shares_presence || !is_needed) {
        true => Ok(()),
        false => Err(Condition::NotAcceptable),
    }
}

/// All of them are told to whoever asks for one.
pub fn write(w: &mut Writer<'_>, of: &Participation) {
    open_form(w, FormKind::Result, ns::MIX_ANON);
    for ((var, names), number) in OPTIONS.iter().zip(chosen(of)) {
        let name = names.get(number).copied().unwrap_or_default();
        w.open("field").attr("var", var).leaf("value", name).close();
    }
    w.close();
}

fn participation(member: &MemberRow) -> Result<Participation, Condition> {
    member.participation.clone().ok_or(Condition::Forbidden)
}

/// What there is to choose from, and what holds.
pub fn get(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let member = people::member(cx, &asked.channel, asked.who.as_str())?;
    let of = participation(&member)?;
    Ok(Reply::payload(|w| {
        w.open_ns("user-preference", ns::MIX_ANON);
        open_form(w, FormKind::Form, ns::MIX_ANON);
        for ((var, names), number) in OPTIONS.iter().zip(chosen(&of)) {
            w.open("field").attr("var", var).attr("type", "list-single");
            let name = names.get(number).copied().unwrap_or_default();
            w.leaf("value", name);
            for name in *names {
                w.open("option").leaf("value", name).close();
            }
            w.close();
        }
        w.close().close();
    }))
}

pub fn set(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let who = asked.who.as_str();
    let before = people::member(cx, &asked.channel, who)?;
    let known = participation(&before)?;
    let mut of = known.clone();
    apply(&mut of, asked.payload)?;
    require_suits(&asked.channel, &of)?;
    if of != known {
        cx.require_disk_space()?;
        let now = MemberRow {
            participation: Some(of.clone()),
            ..before
        };
        let channel = &mut asked.channel;
        people::set(cx, channel, who, &now)?;
        let is_shown = |of: &Participation| access::shows_to_all(channel, Some(of));
        if is_shown(&known) != is_shown(&of) {
            told::participant_changed(cx, channel, who, &now)?;
        }
        if !of.shares_presence {
            presence::all_went(cx, channel, who)?;
        }
    }
    // XEP-0405 §2.9: the roster of an account of ours follows.
    feature::preference_set(cx, asked.iq)?;
    Ok(Reply::payload(|w| {
        w.open_ns("user-preference", ns::MIX_ANON);
        write(w, &of);
        w.close();
    }))
}

/// §2.2: who may be known is another thing from now on, and some do not take part in that.
pub fn put_out_unwilling(cx: &mut Cx<'_>, channel: &mut Channel) -> Result<(), StoreError> {
    for jid in people::participants(cx, channel)? {
        let before = people::member(cx, channel, &jid)?;
        let of = before.participation.as_ref();
        if of.is_some_and(|of| !suits(channel, of)) {
            leave::end(cx, channel, (&jid, &before), Left::PutOut)?;
        }
    }
    Ok(())
}
