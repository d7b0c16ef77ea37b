//! Stable participant ids (XEP-0369 §4.2), which are occupant ids (XEP-0421) as well: a keyed hash of who it is and where, so
//! that nobody learns from one who is behind it, or that two in two channels are the same.
use crate::store::ChannelId;
use crate::xmpp::base64_url;
use crate::xmpp::hashing::hmac;

/// Bytes of the hash that are kept: 16 characters.
const ID_BYTES: usize = 12;

pub struct ParticipantIds(hmac::Key);

impl ParticipantIds {
    pub fn new(secret: &[u8; 32]) -> ParticipantIds {
        ParticipantIds(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Of a bare JID.
    pub fn of(&self, channel: ChannelId, jid: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&channel.0.to_be_bytes());
        context.update(jid.as_bytes());
        let tag = context.sign();
        let bytes = tag.as_ref().get(..ID_BYTES).unwrap_or_default();
        base64_url(bytes)
    }
}
