//! Stands in until the features land.

use crate::xml::ElementRef;
use crate::{state::*, store::*, xmpp::*};
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storable {
    No,
    Archive,
}
pub fn storable(_m: &Message) -> Storable {
    Storable::No
}
pub fn archive_wanted(_p: &ArchivePreferences, _o: &Jid, _r: impl FnOnce() -> bool) -> bool {
    true
}
pub fn archive_id_text(_id: ArchiveId) -> String {
    String::new()
}
pub fn capabilities_answered(_cx: &mut Cx, _s: SessionId, _iq: &Iq) {}
pub fn announced_caps(_e: ElementRef<'_>) -> Option<(CapsId, String)> {
    None
}
pub fn ask_caps(_cx: &mut Cx, _s: SessionId, _c: &CapsId, _n: &str) {}
pub fn capabilities_session_ended(_s: &mut State, _id: SessionId) {}
pub fn own_caps(_s: &Settings) -> std::rc::Rc<str> {
    "".into()
}
