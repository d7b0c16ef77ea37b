//! Components, and whom to turn to.
use crate::config::components::{components, privileges};
use crate::config::kind::Kind;

use super::{Setting, contact};

pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "component",
        kind: Kind::List {
            limits: "a list of \"NAME SECRET\"",
            set: |config, texts| {
                config.settings.components = components(&texts)?;
                Ok(())
            },
        },
        doc: "External components that may connect (XEP-0114): for each its address and the secret that it proves itself by.",
    },
    Setting {
        key: "component_addresses",
        kind: Kind::Addresses {
            get: |config| &config.component_addresses,
            get_mut: |config| &mut config.component_addresses,
        },
        doc: "Where components connect, if there are any. Nothing is encrypted there.",
    },
    Setting {
        key: "component_privileges",
        kind: Kind::List {
            limits: "a list of \"NAME PRIVILEGE...\": roster=get, roster=set, roster=both, message=outgoing, presence=managed_entity, presence=roster, iq=NAMESPACE",
            set: |config, texts| {
                config.settings.component_privileges = privileges(&texts)?;
                Ok(())
            },
        },
        doc: "What a component may do for every account (XEP-0356): read and change rosters, send messages and ask in its name, hear of its presence and that of its contacts.",
    },
    contact!(
        "admin_addresses",
        "admin-addresses",
        "Who runs this server (XEP-0157)."
    ),
    contact!(
        "abuse_addresses",
        "abuse-addresses",
        "Where to report abuse."
    ),
    contact!(
        "feedback_addresses",
        "feedback-addresses",
        "Where to say what one thinks of it."
    ),
    contact!("sales_addresses", "sales-addresses", "Where to buy."),
    contact!(
        "security_addresses",
        "security-addresses",
        "Where to report a security problem."
    ),
    contact!(
        "status_addresses",
        "status-addresses",
        "Where its state is shown."
    ),
    contact!(
        "support_addresses",
        "support-addresses",
        "Where to get help."
    ),
];
