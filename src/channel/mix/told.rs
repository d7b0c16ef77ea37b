//! What participants are told of when the channel changes, whichever protocol it was changed by. Whoever changes a row of a
//! member writes it first (`people::set`), and calls this then.
use crate::channel::Channel;
use crate::state::Cx;
use crate::store::{MemberRow, StoreError};
use crate::xmpp::BareJid;

/// How somebody's participation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// They asked for it.
    Themselves,
    /// They were put out, and nobody asked them.
    PutOut,
}

/// Somebody joined. `now`: their row.
pub fn joined(
    _cx: &mut Cx<'_>,
    _channel: &Channel,
    _jid: &str,
    _now: &MemberRow,
) -> Result<(), StoreError> {
    Ok(())
}

/// The participation of somebody is over. `before`: their row while they took part.
pub fn left(
    _cx: &mut Cx<'_>,
    _channel: &Channel,
    _jid: &str,
    _before: &MemberRow,
    _how: Left,
) -> Result<(), StoreError> {
    Ok(())
}

/// Somebody who takes part has another nick.
pub fn nick_changed(
    _cx: &mut Cx<'_>,
    _channel: &Channel,
    _jid: &str,
    _now: &MemberRow,
) -> Result<(), StoreError> {
    Ok(())
}

/// The affiliation of somebody changed (nodes `allowed`, `banned` and `config`).
pub fn access_changed(
    _cx: &mut Cx<'_>,
    _channel: &Channel,
    _jid: &str,
    _before: &MemberRow,
    _now: &MemberRow,
) -> Result<(), StoreError> {
    Ok(())
}

/// The configuration changed (nodes `info` and `config`).
pub fn configured(
    _cx: &mut Cx<'_>,
    _channel: &Channel,
    _by: Option<&BareJid>,
) -> Result<(), StoreError> {
    Ok(())
}

/// The channel goes; it is still there. For the rows of its members to be read, call it before `remove`.
pub fn destroyed(_cx: &mut Cx<'_>, _channel: &Channel) -> Result<(), StoreError> {
    Ok(())
}
