//! What a stream waited for, each an answer to an event of its: noted, and gone on with when it is polled.
use super::event::{AccountAnswer, Outcome};
use super::negotiation::{Answer, Negotiation};
use super::sasl::{FastCandidate, Offer, ScramKeys, TokenAnswer};
use super::{Entropy, Stream};
use crate::xmpp::{BareJid, FullJid, SaslCondition, StanzaError};

impl Stream {
    pub fn offer(&mut self, offer: Offer) {
        self.answer(Answer::Offer(offer));
    }

    pub fn fast(&mut self, candidates: Vec<FastCandidate>) {
        self.answer(Answer::Fast(candidates));
    }

    pub fn token(&mut self, answer: TokenAnswer) {
        self.answer(Answer::Token(answer));
    }

    /// Whether the right of `Event::Standing` still stands.
    pub fn standing(&mut self, standing: Result<(), SaslCondition>) {
        self.answer(Answer::Standing(standing));
    }

    /// The right to the account ended meanwhile.
    pub fn not_completed(&mut self, condition: SaslCondition) {
        self.answer(Answer::NotCompleted(condition));
    }

    /// RFC 6120 §6.4.6, XEP-0388 §2.6.1: what the login asked for was done. Writes the success with `inline`, what else it
    /// holds, at once, so that what follows from it can be sent behind. `authorized`: bare JID, full once a resource is
    /// bound.
    pub fn complete(
        &mut self,
        account: &BareJid,
        authorized: &str,
        inline: &[u8],
        outcome: Outcome,
        entropy: &mut dyn Entropy,
        out: &mut Vec<u8>,
    ) {
        self.run(entropy, out, |state, io| match state {
            Negotiation::Auth(auth) => {
                Ok(auth.completed(account.clone(), authorized, inline, outcome, io))
            }
            state => Ok(state),
        });
    }

    /// It is the attempt's turn; false: too many are before it.
    pub fn turn(&mut self, comes: bool) {
        self.answer(Answer::Turn(comes));
    }

    pub fn credentials(&mut self, answer: AccountAnswer) {
        self.answer(Answer::Credentials(answer));
    }

    pub fn derived(&mut self, keys: ScramKeys) {
        self.answer(Answer::Derived(keys));
    }

    pub fn release_failure(&mut self) {
        self.answer(Answer::ReleaseFailure);
    }

    pub fn bound(&mut self, jid: &FullJid) {
        self.answer(Answer::Bound(jid.clone()));
    }

    /// Stanza error for the bind request (RFC 6120 §7.6.2, §7.7.2); the stream goes on and may ask again.
    pub fn bind_refused(&mut self, error: StanzaError) {
        self.answer(Answer::BindRefused(error));
    }

    /// The earlier session goes on; `<resumed/>` is written already.
    pub fn resumed(&mut self) {
        self.answer(Answer::Resumed);
    }

    /// There is no such session; `<failed/>` is written already, and a resource may be bound.
    pub fn resume_refused(&mut self) {
        self.answer(Answer::ResumeRefused);
    }
}
