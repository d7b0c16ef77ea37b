//! An account is gone: it belongs to no channel any more, so that whoever has its name later inherits nothing.
use crate::state::Cx;
use crate::store::{MemberRow, StoreError};
use crate::xmpp::BareJid;

use super::{Channel, people};

/// Channels that are looked through at a time.
const LOOK_AT_A_TIME: usize = 250;

pub fn forget_account(cx: &mut Cx<'_>, jid: &BareJid) -> Result<(), StoreError> {
    let Some(domain) = cx.state.domains.channels().map(str::to_string) else {
        return Ok(());
    };
    let mut behind = String::new();
    loop {
        let rows = cx.tx.channels_behind(&behind, LOOK_AT_A_TIME)?;
        let Some((last, _)) = rows.last() else {
            return Ok(());
        };
        behind.clone_from(last);
        for (name, row) in rows {
            let Some(address) = BareJid::stored(&format!("{name}@{domain}")) else {
                continue;
            };
            if row.members == 0 || cx.tx.member(row.id, jid.as_str())?.is_none() {
                continue;
            }
            let mut channel = Channel {
                jid: address,
                row: row.into(),
            };
            people::set(cx, &mut channel, jid.as_str(), &MemberRow::default())?;
        }
    }
}
