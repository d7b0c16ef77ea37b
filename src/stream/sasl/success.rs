//! A login that succeeded: what the server is asked to do for it, and how the peer hears of it.

use crate::xmpp::{BareJid, base64, ns};

use super::super::bind::Bind;
use super::super::header::Header;
use super::super::negotiation::{Bound, Io, Negotiation};
use super::super::{Event, Outcome, features};
use super::login::Success;
use super::{Auth, Exchange, Hashes, Login, Profile, Progress, Proof, ScramHash, Upgrade};

impl Auth {
    /// XEP-0480 §2.2: what the client asked for and the server wants. Only a password makes a password's hash.
    pub(super) fn tasks(&self, success: &Success) -> Vec<ScramHash> {
        let asked = match (&success.proof, &self.request) {
            (Proof::Password, Some(request)) => request.upgrades,
            _ => Hashes::default(),
        };
        let wanted = self.offer.upgrades.iter();
        wanted.filter(|hash| asked.contains(*hash)).collect()
    }

    /// Everything is proved; the server does what was asked for before the success is told (XEP-0388 §2.6.1).
    pub(super) fn complete(
        &self,
        success: Success,
        upgrades: Vec<Upgrade>,
        io: &mut Io<'_>,
    ) -> Progress {
        let account = success.account.clone();
        io.event = Some(Event::Authenticated(Box::new(Login {
            account: success.account,
            right: success.right,
            mechanism: success.mechanism,
            proof: success.proof,
            upgrades,
            request: self.request.clone(),
        })));
        Progress::To(Exchange::Completing(account, success.data))
    }

    /// The server did; the stream goes on, after XEP-0388 without a new header.
    pub(in crate::stream) fn completed(
        self: Box<Self>,
        account: BareJid,
        authorized: &str,
        inline: &[u8],
        outcome: Outcome,
        io: &mut Io<'_>,
    ) -> Negotiation {
        let Exchange::Completing(_, data) = &self.exchange else {
            return Negotiation::Auth(self);
        };
        if self.profile() == Profile::Sasl {
            return succeed(account, data.as_deref(), io);
        }
        let mut w = io.writer();
        w.open_ns("success", ns::SASL2);
        if let Some(data) = data {
            w.leaf("additional-data", &base64(data));
        }
        w.leaf("authorization-identifier", authorized);
        w.raw(std::str::from_utf8(inline).unwrap_or_default());
        w.close();
        io.framer.set_limits(io.settings.limits);
        match outcome {
            // XEP-0198 §8.2: no features, the stream is as it was.
            Outcome::Resumed => Negotiation::Bound(Bound),
            Outcome::Bound { managed } => {
                features::write_bound(io.settings, managed, io.out);
                Negotiation::Bound(Bound)
            }
            Outcome::Authenticated => {
                features::write_authenticated(io.settings, io.out);
                Negotiation::Bind(Bind::new(account))
            }
        }
    }
}

/// §6.4.6: the stream begins again, with the limits for those who are known.
fn succeed(account: BareJid, data: Option<&[u8]>, io: &mut Io<'_>) -> Negotiation {
    let mut w = io.writer();
    w.open_ns("success", ns::SASL);
    if let Some(data) = data {
        w.text(&base64(data));
    }
    w.close();
    io.framer.set_limits(io.settings.limits);
    io.restart();
    Negotiation::Header(Header::Authenticated(account))
}
