//! XEP-0441: Message Archive Management Preferences.
use std::rc::Rc;

use crate::state::{Cx, Fault};
use crate::store::{ArchivePreferences, DefaultPolicy};
use crate::xml::ElementRef;
use crate::xmpp::{Condition, Jid, StanzaError, ns};

use super::super::{Reply, Request};

/// JIDs in both lists together.
const PREFERENCE_JIDS_MAX: usize = 1000;
/// And their bytes: they are kept in memory while their owner is there.
const PREFERENCE_BYTES_MAX: usize = 64 << 10;

/// §2.1
pub fn get(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let preferences = cx.tx.archive_preferences(request.account_id())?;
    Ok(reply(&preferences))
}

/// §2.1; the answer shows what is in force.
pub fn set(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let preferences = read(request.payload)?;
    cx.require_disk_space()?;
    cx.tx
        .set_archive_preferences(request.account_id(), &preferences)?;
    let reply = reply(&preferences);
    if let Some(online) = cx.state.sessions.online_mut(request.account_jid()) {
        online.archive_preferences = Rc::new(preferences);
    }
    Ok(reply)
}

/// §2.1.1 to §2.1.3: a missing list is an empty one.
fn read(prefs: ElementRef<'_>) -> Result<ArchivePreferences, Fault> {
    let default = prefs.attribute("default").ok_or(Condition::BadRequest)?;
    let default = match default.as_ref() {
        "always" => DefaultPolicy::Always,
        "roster" => DefaultPolicy::Roster,
        "never" => DefaultPolicy::Never,
        _ => return Err(Condition::BadRequest.into()),
    };
    let preferences = ArchivePreferences {
        default,
        always: jids(prefs, "always")?,
        never: jids(prefs, "never")?,
    };
    let listed = || preferences.always.iter().chain(&preferences.never);
    if listed().count() > PREFERENCE_JIDS_MAX
        || listed().map(String::len).sum::<usize>() > PREFERENCE_BYTES_MAX
    {
        return Err(StanzaError::new(Condition::ResourceConstraint)
            .text("Too many addresses are listed.")
            .into());
    }
    Ok(preferences)
}

/// The addresses of one list, prepared, each once.
fn jids(prefs: ElementRef<'_>, list: &str) -> Result<Vec<String>, Condition> {
    let mut jids = Vec::new();
    let children = prefs.child(list, ns::MAM).into_iter();
    let children = children.flat_map(|list| list.children());
    for jid in children.filter(|child| child.is("jid", ns::MAM)) {
        let jid = Jid::parse(jid.text().trim()).map_err(|_| Condition::JidMalformed)?;
        jids.push(jid.as_str().to_string());
    }
    jids.sort_unstable();
    jids.dedup();
    Ok(jids)
}

fn reply(preferences: &ArchivePreferences) -> Reply {
    let default = match preferences.default {
        DefaultPolicy::Always => "always",
        DefaultPolicy::Roster => "roster",
        DefaultPolicy::Never => "never",
    };
    Reply::payload(|w| {
        w.open_ns("prefs", ns::MAM).attr("default", default);
        for (list, jids) in [
            ("always", &preferences.always),
            ("never", &preferences.never),
        ] {
            w.open(list);
            for jid in jids {
                w.leaf("jid", jid);
            }
            w.close();
        }
        w.close();
    })
}

/// §2.3: whether messages with this address are archived; `never` goes before `always`.
pub fn wanted(
    preferences: &ArchivePreferences,
    other: &Jid,
    in_roster: impl FnOnce() -> bool,
) -> bool {
    // A bare item covers every resource, a full one exactly itself.
    let listed = |jids: &[String]| {
        jids.iter()
            .any(|jid| jid == other.as_str() || jid == other.bare_str())
    };
    if listed(&preferences.never) {
        return false;
    }
    if listed(&preferences.always) {
        return true;
    }
    match preferences.default {
        DefaultPolicy::Always => true,
        DefaultPolicy::Roster => in_roster(),
        DefaultPolicy::Never => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse_stored;

    fn read_text(prefs: &str) -> Result<ArchivePreferences, Condition> {
        let prefs = parse_stored(prefs, "").unwrap();
        read(prefs.root()).map_err(|fault| fault.into_stanza_error().condition)
    }

    #[test]
    fn lists_go_before_the_default() {
        let preferences = read_text(
            "<prefs xmlns='urn:xmpp:mam:2' default='roster'>\
             <always><jid>A@x</jid><jid>a@x</jid><jid>b@x/r</jid></always>\
             <never><jid>c@x</jid></never></prefs>",
        )
        .unwrap();
        assert_eq!(preferences.always, ["a@x", "b@x/r"]);
        let wanted = |jid: &str, in_roster| {
            super::wanted(&preferences, &Jid::parse(jid).unwrap(), || in_roster)
        };
        assert!(wanted("a@x", false) && wanted("a@x/r", false));
        assert!(wanted("b@x/r", false) && !wanted("b@x/s", false) && !wanted("b@x", false));
        assert!(!wanted("c@x", true) && !wanted("c@x/r", true));
        assert!(wanted("d@x/r", true) && !wanted("d@x/r", false));
    }

    #[test]
    fn bad_preferences_are_refused() {
        let many: String = (0..=PREFERENCE_JIDS_MAX)
            .map(|n| format!("<jid>a{n}@x</jid>"))
            .collect();
        let long: String = (0..100)
            .map(|n| format!("<jid>{}{n}@x</jid>", "a".repeat(900)))
            .collect();
        for (prefs, condition) in [
            ("<prefs xmlns='urn:xmpp:mam:2'/>", Condition::BadRequest),
            (
                &format!(
                    "<prefs xmlns='urn:xmpp:mam:2' default='never'><never>{long}</never></prefs>"
                ),
                Condition::ResourceConstraint,
            ),
            (
                "<prefs xmlns='urn:xmpp:mam:2' default='some'/>",
                Condition::BadRequest,
            ),
            (
                "<prefs xmlns='urn:xmpp:mam:2' default='never'><never><jid>@</jid></never></prefs>",
                Condition::JidMalformed,
            ),
            (
                &format!(
                    "<prefs xmlns='urn:xmpp:mam:2' default='never'><always>{many}</always></prefs>"
                ),
                Condition::ResourceConstraint,
            ),
        ] {
            assert_eq!(read_text(prefs), Err(condition));
        }
    }
}
