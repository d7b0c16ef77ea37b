//! Whom a login is for: by the user name, by whom the peer wants to act as, by the header of the stream.
use crate::xmpp::{BareJid, Jid, SaslCondition};

use super::super::negotiation::Io;
use super::{Auth, Refusal, SaslFailure};

impl Auth {
    /// Whom a bearer's token has to be for: the address it was sent for, and that of the stream.
    pub(super) fn expect(&self, authzid: Option<BareJid>) -> Result<Option<BareJid>, Refusal> {
        match (&self.from, authzid) {
            (Some(from), Some(authzid)) if *from != authzid => Err(Refusal {
                account: Some(authzid),
                failure: SaslCondition::InvalidAuthzid.into(),
            }),
            (from, authzid) => Ok(authzid.or_else(|| from.clone())),
        }
    }

    /// The account of a user name, and whether it is the one the peer wants to act as (§6.3.8) and said it was in the
    /// header (§4.7.1): nobody may act as another.
    pub(super) fn account(
        &self,
        username: &str,
        authzid: Option<&str>,
        io: &Io<'_>,
    ) -> Result<BareJid, Refusal> {
        // Where SASLprep and RFC 7622 disagree the latter decides what an account can be called.
        let prepared = stringprep::saslprep(username).unwrap_or(username.into());
        let account = BareJid::from_parts(Some(&prepared), &io.settings.domain)
            .map_err(|_| SaslCondition::NotAuthorized)?;
        let is_other = |authzid: &str| Jid::parse(authzid).ok().as_ref() != Some(account.as_jid());
        let from_other = self.from.as_ref().is_some_and(|from| *from != account);
        let failure = match authzid {
            Some(authzid) if from_other || is_other(authzid) => {
                SaslCondition::InvalidAuthzid.into()
            }
            // §6.5.6: the header's address is no authzid.
            None if from_other => SaslFailure::new(SaslCondition::NotAuthorized)
                .text("The stream was opened for another address."),
            _ => return Ok(account),
        };
        Err(Refusal {
            account: Some(account),
            failure,
        })
    }
}
