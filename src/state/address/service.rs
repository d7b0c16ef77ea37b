//! Services of the server: each has an address of its own below the domain.
use crate::state::Settings;

/// One service: what disco shows of it, and whether it is there. What it answers are rows of features that name it.
#[derive(Debug)]
pub struct Service {
    /// What stands before the domain.
    pub label: &'static str,
    /// XEP-0030 §3.1.
    pub category: &'static str,
    pub kind: &'static str,
    pub name: &'static str,
    /// By the operator's settings.
    pub is_on: fn(&Settings) -> bool,
}

/// Every service that has, or will have, an address: the certificate made at first start names them all, for it is not
/// made again when one is turned on.
pub const SERVICES: &[Service] = &[
    Service {
        label: "chat",
        category: "conference",
        kind: "text",
        name: "Channels",
        is_on: |settings| settings.channels,
    },
    Service {
        label: "pubsub",
        category: "pubsub",
        kind: "service",
        name: "Publish-Subscribe",
        is_on: |settings| settings.pubsub,
    },
    Service::to_come("upload"),
    Service::to_come("proxy"),
];

impl Service {
    /// Only its name is known yet.
    const fn to_come(label: &'static str) -> Service {
        Service {
            label,
            category: "",
            kind: "",
            name: "",
            is_on: |_| false,
        }
    }

    pub fn is_pubsub(&self) -> bool {
        self.label == "pubsub"
    }

    /// Of channels (XEP-0369, XEP-0045).
    pub fn is_channels(&self) -> bool {
        self.label == "chat"
    }

    pub fn domain(&self, served: &str) -> String {
        format!("{}.{served}", self.label)
    }
}

impl PartialEq for Service {
    /// There is one row of each name.
    fn eq(&self, other: &Service) -> bool {
        self.label == other.label
    }
}
