//! What accounts are in channels they joined (XEP-0405): as the channel told it, or as one of ours would.
use crate::state::Cx;
use crate::store::{AccountId, JoinedChannel, StoreError};
use crate::xmpp::BareJid;

/// `own`: the account's bare JID. `None`: it is not in it.
pub fn joined_channel(
    cx: &Cx<'_>,
    (own, account): (&BareJid, AccountId),
    channel: &BareJid,
) -> Result<Option<JoinedChannel>, StoreError> {
    let Some(mut joined) = cx.tx.joined_channel(account, channel)? else {
        return Ok(None);
    };
    // After the server was renamed, people are others in all channels (`store::whole`).
    let is_ours = cx.state.domains.channels() == Some(channel.domain());
    if joined.participant.is_empty()
        && is_ours
        && let Some(row) = cx.tx.channel(channel.local().unwrap_or_default())?
    {
        joined.participant = cx
            .state
            .participant_ids
            .of(row.id, own.as_str())
            .to_string();
    }
    Ok(Some(joined))
}
