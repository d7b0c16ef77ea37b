//! What is claimed of each specification of groups; the README's table is printed from here.
use crate::feature::Spec;

pub const SPECS: &[Spec] = &[
    Spec::partial("XEP-0045", "Multi-User Chat", "1.35.5", "no public logs"),
    Spec::complete("XEP-0317", "Hats", "0.3.1"),
    Spec::complete("XEP-0249", "Direct MUC Invitations", "1.2"),
    Spec::complete("XEP-0410", "MUC Self-Ping (Schrödinger's Chat)", "1.1.0"),
    Spec::complete(
        "XEP-0421",
        "Occupant identifiers for semi-anonymous MUCs",
        "1.0.1",
    ),
    Spec::complete("XEP-0425", "Moderated Message Retraction", "0.3.0"),
    Spec::complete("XEP-0433", "Extended Channel Search", "0.1.0"),
    Spec::partial(
        "XEP-0369",
        "Mediated Information eXchange (MIX)",
        "0.14.6",
        "nodes are subscribed to by participants only",
    ),
    Spec::complete("XEP-0403", "MIX: Presence Support", "0.3.2"),
    Spec::complete("XEP-0404", "MIX: JID Hidden Channels", "0.3.1"),
    Spec::partial(
        "XEP-0406",
        "MIX: MIX Administration",
        "0.3.1",
        "messages, presence and information are for participants only",
    ),
    Spec::complete("XEP-0407", "MIX: Miscellaneous Capabilities", "0.1.2"),
    Spec::complete("XEP-0500", "MUC Slow Mode", "0.1.1"),
    Spec::partial(
        "XEP-0437",
        "Room Activity Indicators",
        "0.2.0",
        "rooms that one belongs to",
    ),
    Spec::complete("XEP-0463", "MUC Affiliations Versioning", "0.2.0"),
    Spec::complete("XEP-0488", "MUC Token Invite", "0.1.0"),
    Spec::complete("XEP-0502", "MUC Activity Indicator", "0.1.0"),
    Spec::complete("XEP-0486", "MUC Avatars", "0.1.0"),
    Spec::complete("XEP-0408", "MIX: Co-existence with MUC", "0.2.0"),
];
