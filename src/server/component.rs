//! XEP-0114: external components come and go. Of one name there is one: another that proves the same name waits until it is
//! known whether the one before it lives. Whoever restarted would otherwise be refused for as long as the connection it
//! lost looks alive; and if both were let in, each would get half.
pub mod rounds;

use crate::channel;
use crate::feature;
use crate::state::{ComponentId, ConnectionId, Output};
use crate::store::StoreError;
use crate::xmpp::hashing::hmac;
use crate::xmpp::{StreamCondition, StreamError, quoted};

use super::route::unanswered;
use super::{Server, Step};

/// How long the older has to give a sign of life.
const OLDER_MS_MAX: u64 = 10_000;

impl Server {
    /// §3: `proof` should be what the secret and the id of our header hash to.
    pub(super) fn component_proves(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        name: &str,
        (stream_id, proof): (&str, &str),
    ) -> Result<(), StoreError> {
        let components = &self.state.domains.components;
        let found = components.find(name);
        let Some((component, known)) = found.and_then(|id| Some((id, components.get(id)?))) else {
            self.state
                .effects
                .ending
                .push((id, StreamCondition::HostUnknown.into()));
            return Ok(());
        };
        let expected = handshake(stream_id, &known.secret);
        if !is_same(&self.fake_salt_key, &expected, proof) {
            let address = self
                .connections
                .get(&id)
                .map(|known| known.address.to_string());
            log::warn!(
                "component.refused name={} address={}",
                quoted(name),
                address.unwrap_or_default()
            );
            let error = StreamCondition::NotAuthorized.into();
            self.state.effects.ending.push((id, error));
            return Ok(());
        }
        match (known.connection, known.waiting) {
            (None, _) => self.admit(step, id, component),
            (Some(_), Some(_)) => {
                self.state.effects.ending.push((id, is_connected()));
                Ok(())
            }
            (Some(older), None) => {
                if let Some(known) = self.state.domains.components.get_mut(component) {
                    known.waiting = Some(id);
                }
                self.probe(step, older, OLDER_MS_MAX);
                Ok(())
            }
        }
    }

    fn admit(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        component: ComponentId,
    ) -> Result<(), StoreError> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        connection.component = Some(component);
        step.out
            .send(connection.wire(id), |bytes| connection.stream.admit(bytes));
        step.out.push(Output::LoggedIn { connection: id });
        if let Some(known) = self.state.domains.components.get_mut(component) {
            known.connection = Some(id);
            log::info!("component.connected name={}", quoted(known.jid.as_str()));
        }
        self.watch_idle(step.now, id);
        let mut cx = self.cx(step);
        feature::advertise_privileges(&mut cx, component);
        cx.state.told_presence.forget();
        channel::component_came(&mut cx, component)?;
        self.begin_round(step, component, true)
    }

    /// What it sent shows that the older one lives: the newer is refused.
    pub(super) fn older_lives(&mut self, component: ComponentId) {
        let known = self.state.domains.components.get_mut(component);
        if let Some(newer) = known.and_then(|known| known.waiting.take()) {
            self.state.effects.ending.push((newer, is_connected()));
        }
    }

    /// A connection is gone that may have been a component's, or have waited to be.
    pub(super) fn component_closed(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        component: Option<ComponentId>,
    ) -> Result<(), StoreError> {
        self.state.domains.components.waits_no_more(id);
        let Some(component) = component else {
            return Ok(());
        };
        let Some(known) = self.state.domains.components.get_mut(component) else {
            return Ok(());
        };
        known.connection = None;
        let newer = known.waiting.take();
        log::info!("component.ended name={}", quoted(known.jid.as_str()));
        unanswered::component_went(&mut self.cx(step), component);
        match newer {
            Some(newer) => {
                self.admit(step, newer, component)?;
                // What it sent ahead.
                self.poll(step, newer, &[])
            }
            None => self.begin_round(step, component, false),
        }
    }
}

fn is_connected() -> StreamError {
    StreamError::new(StreamCondition::Conflict).text("The component is connected already.")
}

/// SHA-1 of id and secret, in lower-case hexadecimal digits.
fn handshake(stream_id: &str, secret: &str) -> String {
    let mut context = crate::xmpp::hashing::digest::Context::new(
        &crate::xmpp::hashing::digest::SHA1_FOR_LEGACY_USE_ONLY,
    );
    context.update(stream_id.as_bytes());
    context.update(secret.as_bytes());
    let hash = context.finish();
    let digits = hash.as_ref().iter();
    digits.map(|octet| format!("{octet:02x}")).collect()
}

/// Compares in a time that tells nothing of how much is right.
fn is_same(key: &[u8; 32], expected: &str, proof: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, expected.as_bytes());
    hmac::verify(&key, proof.as_bytes(), tag.as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_is_the_hash_of_both() {
        let expected = handshake("3BF96D32", "test");
        assert_eq!(expected.len(), 40);
        assert_eq!(
            handshake("", "abc"),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(handshake("ab", "c"), handshake("a", "bc"));
        assert!(is_same(&[1; 32], &expected, &expected));
        assert!(!is_same(&[1; 32], &expected, &expected.to_uppercase()));
        assert!(!is_same(&[1; 32], &expected, ""));
    }
}
