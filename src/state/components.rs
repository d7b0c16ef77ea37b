//! External components (XEP-0114): those the operator named, and who of them is connected.
use crate::xmpp::BareJid;

use super::{ConnectionId, Settings};

/// One of those the operator named, for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ComponentId(usize);

/// What the operator says of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentSettings {
    /// Its domain, prepared (RFC 7622 §3.2).
    pub name: String,
    pub secret: Box<str>,
}

pub struct Component {
    pub jid: BareJid,
    pub secret: Box<str>,
    pub connection: Option<ConnectionId>,
    /// Proved that it is this component too, and waits for whether the one before it lives.
    pub waiting: Option<ConnectionId>,
}

#[derive(Default)]
pub struct Components(Vec<Component>);

impl Components {
    pub fn new(settings: &Settings) -> Components {
        let components = settings.components.iter().filter_map(|component| {
            Some(Component {
                jid: BareJid::parse(&component.name).ok()?,
                secret: component.secret.clone(),
                connection: None,
                waiting: None,
            })
        });
        Components(components.collect())
    }

    pub fn find(&self, domain: &str) -> Option<ComponentId> {
        let found = self.0.iter().position(|known| known.jid.as_str() == domain);
        found.map(ComponentId)
    }

    pub fn get(&self, id: ComponentId) -> Option<&Component> {
        self.0.get(id.0)
    }

    pub fn get_mut(&mut self, id: ComponentId) -> Option<&mut Component> {
        self.0.get_mut(id.0)
    }

    /// Where the newer one was, nobody is.
    pub fn waits_no_more(&mut self, connection: ConnectionId) {
        for component in &mut self.0 {
            component.waiting = component.waiting.filter(|waiting| *waiting != connection);
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &Component> {
        self.0.iter()
    }

    pub fn connection(&self, id: ComponentId) -> Option<ConnectionId> {
        self.get(id)?.connection
    }
}
