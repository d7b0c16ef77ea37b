//! Channels of a server whose domain is another from now on: who belongs to them. Stable ids (XEP-0369 §4.2) are worked out
//! from addresses, so that people have new ones; who was behind the old ones is known still.
use crate::store::accounts::joined;
use crate::store::channel::{ChannelRow, decode, encode, invitations, tombstones};
use crate::store::engine::table::{Row, TableDefinition, WriteTransaction};
use crate::store::schema::{
    CHANNEL_CREATORS, CHANNEL_IDS, CHANNEL_INVITATIONS, CHANNEL_LEFT, CHANNEL_MEMBERS,
    CHANNEL_NICKS, CHANNEL_OCCUPANTS, CHANNEL_TOMBSTONES, CHANNELS, CHANNELS_JOINED,
};
use crate::store::{JoinedChannel, StoreError};

use super::moving::{Move, rewrite};

pub fn move_channels(txn: &WriteTransaction, domains: Move<'_>) -> Result<(), StoreError> {
    rewrite(txn, CHANNELS, &mut |key, value| {
        let row = decode(value)?;
        let creator = domains.jid(&row.creator);
        Ok(creator.map(|creator| {
            let row = ChannelRow { creator, ..row };
            (key.to_vec(), encode(&row))
        }))
    })?;
    rewrite(txn, CHANNEL_MEMBERS, &mut |key, value| {
        let (channel, jid) = <(u32, &str)>::decode(key);
        Ok(domains.jid(jid).map(|jid| {
            let key = <(u32, &str)>::encode(&(channel, &jid), <[u8]>::to_vec);
            (key, value.to_vec())
        }))
    })?;
    rewrite(txn, CHANNEL_LEFT, &mut |key, value| {
        let (channel, jid) = <(u32, &str)>::decode(key);
        Ok(domains.jid(jid).map(|jid| {
            let key = <(u32, &str)>::encode(&(channel, &jid), <[u8]>::to_vec);
            (key, value.to_vec())
        }))
    })?;
    move_values(txn, CHANNEL_NICKS, domains)?;
    move_values(txn, CHANNEL_IDS, domains)?;
    rewrite(txn, CHANNEL_CREATORS, &mut |key, value| {
        let jid = domains.jid(<&str>::decode(key));
        Ok(jid.map(|jid| (jid.into_bytes(), value.to_vec())))
    })?;
    rewrite(txn, CHANNEL_INVITATIONS, &mut |key, value| {
        let mut row = invitations::decode(value)?;
        for jid in [&mut row.inviter, &mut row.invitee] {
            if let Some(moved) = domains.jid(jid) {
                *jid = moved;
            }
        }
        Ok(Some((key.to_vec(), invitations::encode(&row))))
    })?;
    rewrite(txn, CHANNEL_TOMBSTONES, &mut |key, value| {
        let mut row = tombstones::decode(value)?;
        for jid in row.owners.iter_mut().chain([&mut row.instead]) {
            if let Some(moved) = domains.jid(jid) {
                *jid = moved;
            }
        }
        Ok(Some((key.to_vec(), tombstones::encode(&row))))
    })?;
    // Who an account is there is not known any more; `state::joined_channel` works it out.
    let nobody = joined::encode(&JoinedChannel::default());
    rewrite(txn, CHANNELS_JOINED, &mut |key, _| {
        let (account, jid) = <(u32, &str)>::decode(key);
        Ok(domains.jid(jid).map(|jid| {
            let key = <(u32, &str)>::encode(&(account, &jid), <[u8]>::to_vec);
            (key, nobody.clone())
        }))
    })?;
    // Nobody is in a room while the server is not there, and no session goes on.
    txn.open_table(CHANNEL_OCCUPANTS)?
        .retain_in(.., |_, _| false)
}

/// Where a JID is the value.
fn move_values(
    txn: &WriteTransaction,
    table: TableDefinition<(u32, &'static str), &'static str>,
    domains: Move<'_>,
) -> Result<(), StoreError> {
    rewrite(txn, table, &mut |key, value| {
        let jid = domains.jid(<&str>::decode(value));
        Ok(jid.map(|jid| (key.to_vec(), jid.into_bytes())))
    })
}
