//! Namespaces that more than one file needs; a feature's own namespace stands in its file.

pub const CLIENT: &str = "jabber:client";
pub const SERVER: &str = "jabber:server";
/// XEP-0356
pub const PRIVILEGE: &str = "urn:xmpp:privilege:2";
/// XEP-0114
pub const COMPONENT: &str = "jabber:component:accept";
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// RFC 7395
pub const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
pub const STREAMS_ERROR: &str = "urn:ietf:params:xml:ns:xmpp-streams";
pub const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
pub const SASL2: &str = "urn:xmpp:sasl:2";
pub const SASL_UPGRADE: &str = "urn:xmpp:sasl:upgrade:0";
pub const SCRAM_UPGRADE: &str = "urn:xmpp:scram-upgrade:0";
pub const BIND2: &str = "urn:xmpp:bind:0";
pub const FAST: &str = "urn:xmpp:fast:0";
/// XEP-0509
pub const PIPELINING: &str = "urn:xmpp:iap:0";
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// XEP-0077
pub const REGISTER: &str = "jabber:iq:register";
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
pub const ROSTER: &str = "jabber:iq:roster";
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
pub const CAPS: &str = "http://jabber.org/protocol/caps";
/// XEP-0390
pub const CAPS2: &str = "urn:xmpp:caps";
/// XEP-0300
pub const HASHES: &str = "urn:xmpp:hashes:2";
pub const DATA_FORM: &str = "jabber:x:data";
pub const RSM: &str = "http://jabber.org/protocol/rsm";
pub const DELAY: &str = "urn:xmpp:delay";
pub const FORWARD: &str = "urn:xmpp:forward:0";
pub const HINTS: &str = "urn:xmpp:hints";
pub const STANZA_ID: &str = "urn:xmpp:sid:0";
pub const BLOCKING: &str = "urn:xmpp:blocking";
pub const MAM: &str = "urn:xmpp:mam:2";
pub const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
pub const RECEIPTS: &str = "urn:xmpp:receipts";
pub const MARKERS: &str = "urn:xmpp:chat-markers:0";
pub const CARBONS: &str = "urn:xmpp:carbons:2";
pub const MANAGEMENT: &str = "urn:xmpp:sm:3";
pub const CLIENT_STATE: &str = "urn:xmpp:csi:0";
/// XEP-0462
pub const PUBSUB_FILTER: &str = "urn:xmpp:pubsub-filter:0";
/// XEP-0413
pub const ORDER_BY: &str = "urn:xmpp:order-by:1";
/// XEP-0050
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";
pub const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
pub const PUBSUB_OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
pub const PUBSUB_ERRORS: &str = "http://jabber.org/protocol/pubsub#errors";
pub const PUBSUB_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
pub const MUC: &str = "http://jabber.org/protocol/muc";
pub const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
pub const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// XEP-0369
pub const MIX: &str = "urn:xmpp:mix:core:1";
/// XEP-0404
pub const MIX_ANON: &str = "urn:xmpp:mix:anon:0";
/// XEP-0407
pub const MIX_MISC: &str = "urn:xmpp:mix:misc:0";
/// XEP-0317.
pub const HATS: &str = "urn:xmpp:hats:0";
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
