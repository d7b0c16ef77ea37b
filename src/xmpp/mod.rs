//! Vocabulary of XMPP: values only, no state.

mod encoding;
mod error;
mod folding;
mod form;
pub mod hashing;
mod jid;
mod nickname;
pub mod ns;
mod quoted;
pub mod relation;
mod rsm;
pub mod said;
mod stanza;
mod timestamp;
pub mod words;

pub use encoding::{
    base64, base64_unpadded, base64_url, from_base64, from_base64_url, from_careless_base64,
};
pub use error::{Condition, ErrorType, SaslCondition, StanzaError, StreamCondition, StreamError};
pub use form::{DataForm, Field, FormKind, open_form};
pub use jid::{BareJid, FullJid, Jid, JidError, domainpart, localpart, resourcepart};
pub use nickname::folded as folded_nick;
pub use quoted::{QUOTED_CHARACTERS_MAX, on_one_line, quoted, quoted_error};
pub use rsm::{Rsm, RsmStart};
pub use stanza::{
    Envelope, Iq, IqKind, Message, MessageKind, Presence, PresenceKind, Stanza, StanzaParseError,
    write_error, write_open,
};
pub use timestamp::{DAY_MS, Timestamp};
