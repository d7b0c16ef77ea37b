//! The operator's commands about channels.
use std::fmt::Write as _;

use crate::channel::{self, Operation};
use crate::state::Cx;
use crate::store::StoreError;
use crate::xmpp::{BareJid, Jid, localpart, quoted};

use super::answer::Answer;
use super::command::ChannelAction;
use crate::server::{Server, Step};

impl Server {
    pub(super) fn channel_command(
        &mut self,
        step: &mut Step<'_>,
        action: ChannelAction,
        (name, user): (&str, &str),
    ) -> Result<Answer, StoreError> {
        let user = match (action.needs_user(), user) {
            (true, "") => return Ok(Err("which user? name one".to_string())),
            (false, _) => None,
            (true, user) => match self.person(user) {
                Ok(jid) => Some(jid),
                Err(error) => return Ok(Err(error)),
            },
        };
        let mut cx = self.cx(step);
        if cx.state.domains.channels().is_none() {
            return Ok(Err(
                "channels are turned off\n  set `channels = true` in the configuration".to_string(),
            ));
        }
        if action == ChannelAction::List {
            return Ok(Ok(list(&cx)?));
        }
        let jid = match address(&cx, name) {
            Ok(jid) => jid,
            Err(error) => return Ok(Err(error)),
        };
        let operation = match action {
            ChannelAction::List | ChannelAction::Show => Operation::Show,
            ChannelAction::Members => Operation::Members,
            ChannelAction::Create => Operation::Create,
            ChannelAction::Destroy => Operation::Destroy,
            ChannelAction::Owner => Operation::MakeOwner,
            ChannelAction::Ban => Operation::Ban,
        };
        channel::operate(&mut cx, operation, &jid, user.as_ref())
    }

    /// A user here, or somebody elsewhere by their address.
    fn person(&self, text: &str) -> Result<BareJid, String> {
        match Jid::parse(text) {
            Ok(jid) if jid.local().is_some() => Ok(jid.to_bare()),
            _ => self.user_name(text).map(|name| self.user_jid(&name)),
        }
    }
}

/// `lounge` or `lounge@chat.domain`.
pub(super) fn address(cx: &Cx<'_>, text: &str) -> Result<BareJid, String> {
    let domain = cx.state.domains.channels().unwrap_or_default();
    let (name, at) = text.split_once('@').unwrap_or((text, domain));
    if text.is_empty() {
        return Err("which channel? name one".to_string());
    }
    if at != domain {
        return Err(format!("{} is not at {domain}", quoted(text)));
    }
    let name = localpart(name).map_err(|_| format!("{} is no name of a channel", quoted(name)))?;
    BareJid::from_parts(Some(&name), domain)
        .map_err(|_| format!("{} is no name of a channel", quoted(&name)))
}

fn list(cx: &Cx<'_>) -> Result<String, StoreError> {
    const AT_A_TIME: usize = 250;
    let domain = cx.state.domains.channels().unwrap_or_default();
    let (mut text, mut behind) = (String::new(), String::new());
    loop {
        let rows = cx.tx.channels_behind(&behind, AT_A_TIME)?;
        let Some((last, _)) = rows.last() else { break };
        behind.clone_from(last);
        for (name, row) in &rows {
            let room = cx.state.rooms.get(row.id);
            let _ = writeln!(
                text,
                "{}\t{} members\t{} participants\t{} present\t{} bytes of messages",
                quoted(&format!("{name}@{domain}")),
                row.members,
                row.participants,
                room.map_or(0, |room| room.nicks().len()),
                cx.tx.archive_bytes(row.id.archive())?,
            );
        }
    }
    Ok(text.trim_end().to_string())
}
