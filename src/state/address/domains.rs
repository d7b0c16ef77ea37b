//! The domains that lead here: the one served, those of its services, and those of external components.
use crate::xmpp::{BareJid, Jid};

use crate::state::{ComponentId, Components, Service, Settings};

pub struct Domains {
    served: BareJid,
    /// Those that are on.
    services: Vec<(Box<str>, &'static Service)>,
    pub components: Components,
}

/// Where a domain leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    Served,
    Service(&'static Service),
    /// XEP-0114: to a program that connects to us.
    Component(ComponentId),
    /// To another server.
    Remote,
}

impl Domains {
    /// `settings.domain` must be prepared.
    pub fn new(settings: &Settings, services: &'static [Service]) -> Domains {
        let served = BareJid::parse(&settings.domain)
            .expect("the domain was prepared when it was configured");
        let on = services.iter().filter(|service| (service.is_on)(settings));
        let domain = |service: &Service| match &settings.channels_domain {
            Some(domain) if service.is_channels() => domain.clone(),
            _ => service.domain(served.as_str()),
        };
        Domains {
            services: on
                .map(|service| (domain(service).into(), service))
                .collect(),
            served,
            components: Components::new(settings),
        }
    }

    /// The one that accounts belong to, which is the server's own address.
    pub fn served(&self) -> &BareJid {
        &self.served
    }

    pub fn of(&self, jid: &Jid) -> Domain {
        let domain = jid.domain();
        if domain == self.served.domain() {
            return Domain::Served;
        }
        let service = self.services.iter().find(|(name, _)| **name == *domain);
        if let Some((_, service)) = service {
            return Domain::Service(service);
        }
        let component = self.components.find(domain);
        component.map_or(Domain::Remote, Domain::Component)
    }

    /// The domain of channels; `None`: there are none.
    pub fn channels(&self) -> Option<&str> {
        let mut services = self.services.iter();
        let channels = services.find(|(_, service)| service.is_channels());
        channels.map(|(domain, _)| &**domain)
    }

    /// Domain and name of those that are on.
    pub fn services(&self) -> impl Iterator<Item = (&str, &str)> {
        let services = self.services.iter();
        services.map(|(domain, service)| (&**domain, service.name))
    }

    pub fn is_served(&self, jid: &Jid) -> bool {
        self.of(jid) == Domain::Served
    }

    /// Whether only the server speaks in the name of this domain.
    pub fn is_ours(&self, jid: &Jid) -> bool {
        matches!(self.of(jid), Domain::Served | Domain::Service(_))
    }

    /// The component to which this address belongs, connected or not.
    pub fn component(&self, jid: &Jid) -> Option<ComponentId> {
        match self.of(jid) {
            Domain::Component(component) => Some(component),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &[Service] = &[
        Service {
            label: "rooms",
            category: "conference",
            kind: "text",
            name: "Rooms",
            is_on: |settings| settings.x_oauth,
        },
        Service {
            label: "off",
            category: "",
            kind: "",
            name: "",
            is_on: |_| false,
        },
    ];

    fn domain(domains: &Domains, jid: &str) -> Domain {
        domains.of(&Jid::parse(jid).unwrap())
    }

    #[test]
    fn services_are_below_the_domain_and_there_if_they_are_on() {
        let mut settings = Settings::new("house.example");
        settings.x_oauth = true;
        let domains = Domains::new(&settings, ROWS);
        let rooms = Domain::Service(&ROWS[0]);
        for (jid, leads) in [
            ("house.example", Domain::Served),
            ("House.Example", Domain::Served),
            ("a@house.example/b", Domain::Served),
            ("rooms.house.example", rooms),
            ("lounge@rooms.house.example/nick", rooms),
            ("off.house.example", Domain::Remote),
            ("x.rooms.house.example", Domain::Remote),
            ("roomshouse.example", Domain::Remote),
            ("example", Domain::Remote),
        ] {
            assert_eq!(domain(&domains, jid), leads, "{jid}");
        }
        let ours = |jid: &str| domains.is_ours(&Jid::parse(jid).unwrap());
        assert!(ours("rooms.house.example") && ours("house.example") && !ours("off.house.example"));
        settings.x_oauth = false;
        let off = Domains::new(&settings, ROWS);
        assert_eq!(domain(&off, "rooms.house.example"), Domain::Remote);
    }

    #[test]
    fn services_have_one_row_each() {
        let mut labels: Vec<_> = crate::state::SERVICES.iter().map(|row| row.label).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), crate::state::SERVICES.len());
    }
}
