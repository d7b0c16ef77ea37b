//! External components (XEP-0114): those the operator named, and who of them is connected.
use crate::xmpp::{BareJid, IqKind};

use crate::state::{ConnectionId, Settings};

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

/// XEP-0356: what a component may do for accounts. Nothing, unless the operator says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Privileges {
    pub roster: Access,
    /// It may send messages in the name of accounts.
    pub messages: bool,
    pub presence: PresenceAccess,
    /// It may ask, in the name of accounts, in these namespaces.
    pub iq: Vec<(Box<str>, Access)>,
}

/// XEP-0356 §7: whose presence a component is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PresenceAccess {
    #[default]
    None,
    /// That of accounts.
    ManagedEntity,
    /// That of their contacts, too.
    Roster,
}

/// What kinds of requests are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    pub get: bool,
    pub set: bool,
}

impl Access {
    pub const BOTH: Access = Access {
        get: true,
        set: true,
    };

    pub fn allows(self, kind: IqKind) -> bool {
        match kind {
            IqKind::Get => self.get,
            IqKind::Set => self.set,
            IqKind::Result | IqKind::Error => false,
        }
    }

    /// As XEP-0356 writes it.
    pub fn as_str(self) -> &'static str {
        match (self.get, self.set) {
            (false, false) => "none",
            (true, false) => "get",
            (false, true) => "set",
            (true, true) => "both",
        }
    }
}

impl Privileges {
    pub fn in_namespace(&self, namespace: &str) -> Access {
        let granted = self.iq.iter().find(|(known, _)| **known == *namespace);
        granted.map(|(_, access)| *access).unwrap_or_default()
    }
}

pub struct Component {
    pub jid: BareJid,
    pub secret: Box<str>,
    pub privileges: Privileges,
    pub connection: Option<ConnectionId>,
    /// Proved that it is this component too, and waits for whether the one before it lives.
    pub waiting: Option<ConnectionId>,
}

#[derive(Default)]
pub struct Components(Vec<Component>);

impl Components {
    pub fn new(settings: &Settings) -> Components {
        let components = settings.components.iter().filter_map(|component| {
            let privileges = settings.component_privileges.iter();
            let mut privileges = privileges.filter(|(name, _)| *name == component.name);
            Some(Component {
                jid: BareJid::parse(&component.name).ok()?,
                privileges: privileges
                    .next()
                    .map(|(_, granted)| granted.clone())
                    .unwrap_or_default(),
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

    /// None of them is connected any more.
    pub fn let_go(&mut self) {
        for component in &mut self.0 {
            (component.connection, component.waiting) = (None, None);
        }
    }

    /// Where the newer one was, nobody is.
    pub fn waits_no_more(&mut self, connection: ConnectionId) {
        for component in &mut self.0 {
            component.waiting = component.waiting.filter(|waiting| *waiting != connection);
        }
    }

    /// Those that are connected.
    pub fn connected(&self) -> impl Iterator<Item = (ComponentId, &Component)> {
        let all = self.0.iter().enumerate();
        let connected = all.filter(|(_, component)| component.connection.is_some());
        connected.map(|(index, component)| (ComponentId(index), component))
    }

    pub fn all(&self) -> impl Iterator<Item = &Component> {
        self.0.iter()
    }

    pub fn connection(&self, id: ComponentId) -> Option<ConnectionId> {
        self.get(id)?.connection
    }
}
