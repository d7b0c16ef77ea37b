//! What the operator may do with a channel.
use std::fmt::Write as _;

use crate::state::Cx;
use crate::store::{ChannelAffiliation, ChannelRow, StoreError};
use crate::xmpp::{BareJid, quoted};

use crate::channel::config::table::Shape;
use crate::channel::config::{self, Config, FIELDS};
use crate::channel::people::{changed, standing};
use crate::channel::{Channel, find, muc, people};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Show,
    Members,
    Create,
    Destroy,
    MakeOwner,
    Ban,
}

/// People told of in one answer.
const MEMBERS_SHOWN_MAX: usize = 10_000;

/// `user`: of those that need one. What it answers, or why it was not done.
pub fn operate(
    cx: &mut Cx<'_>,
    operation: Operation,
    jid: &BareJid,
    user: Option<&BareJid>,
) -> Result<Result<String, String>, StoreError> {
    let named = quoted(jid.as_str()).to_string();
    let channel = find(cx, jid)?;
    let mut channel = match (operation, channel) {
        (Operation::Create, Some(_)) => return Ok(Err(format!("{named} is there already"))),
        (Operation::Create, None) => return Ok(Ok(create(cx, jid, user)?)),
        (_, None) => return Ok(Err(format!("there is no channel {named}"))),
        (_, Some(channel)) => channel,
    };
    Ok(Ok(match operation {
        Operation::Show => show(&channel.row),
        Operation::Members => members(cx, &channel)?,
        Operation::Create => String::new(),
        Operation::Destroy => {
            changed::destroy(cx, &mut channel, Default::default())?;
            format!("removed {named} and all that was said in it")
        }
        Operation::MakeOwner | Operation::Ban => {
            let Some(user) = user else {
                return Ok(Err("which user? name one".to_string()));
            };
            let (affiliation, is) = match operation {
                Operation::Ban => (ChannelAffiliation::Outcast, "is banned from"),
                _ => (ChannelAffiliation::Owner, "owns"),
            };
            standing::set_affiliation(
                cx,
                &mut channel,
                user.as_str(),
                (affiliation, Default::default()),
            )?;
            format!("{} {is} {named}", quoted(user.as_str()))
        }
    }))
}

fn create(cx: &mut Cx<'_>, jid: &BareJid, owner: Option<&BareJid>) -> Result<String, StoreError> {
    let config = config::new(&cx.state.settings);
    let owner = owner.map_or("", |owner| owner.as_str());
    let made = (owner, cx.now.wall);
    let row = cx
        .tx
        .add_channel(jid.local().unwrap_or_default(), made, config)?;
    let mut channel = Channel {
        jid: jid.clone(),
        row: row.into(),
    };
    let mut member = people::member(cx, &channel, owner)?;
    member.affiliation = ChannelAffiliation::Owner;
    people::set(cx, &mut channel, owner, &member)?;
    Ok(format!(
        "made {}; {} owns it",
        quoted(jid.as_str()),
        quoted(owner)
    ))
}

fn show(row: &ChannelRow) -> String {
    let mut text = format!("since {}, made by {}\n", row.created, quoted(&row.creator));
    for (number, field) in (0u8..).zip(&FIELDS) {
        let value = match field.shape {
            Shape::Text | Shape::Jids => quoted(&row.texts(number).join(", ")).to_string(),
            Shape::Flag if row.flag(number) => "yes".to_string(),
            Shape::Flag => "no".to_string(),
            Shape::Choice(names) => {
                let name = usize::try_from(row.number(number)).ok();
                let name = name.and_then(|at| names.get(at));
                name.copied().unwrap_or_default().to_string()
            }
            Shape::Number => row.number(number).to_string(),
        };
        let _ = writeln!(text, "{}: {value}", field.label);
    }
    text.trim_end().to_string()
}

fn members(cx: &Cx<'_>, channel: &Channel) -> Result<String, StoreError> {
    let mut text = String::new();
    for (jid, row) in cx.tx.members_behind(channel.id(), "", MEMBERS_SHOWN_MAX)? {
        let nick = row.nick.as_deref().unwrap_or("-");
        let takes_part = match row.participation {
            Some(_) => "participant",
            None => "-",
        };
        let affiliation = muc::occupants::tell::affiliation_text(row.affiliation);
        let _ = writeln!(
            text,
            "{}\t{affiliation}\t{takes_part}\t{}",
            quoted(&jid),
            quoted(nick)
        );
    }
    Ok(text.trim_end().to_string())
}
