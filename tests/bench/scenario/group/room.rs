//! XEP-0045 as every client does it: the service is found, a room made and configured, entered and left.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::client::{Clients, refuse_error};
use crate::swarm::LinkId;
use crate::{Outcome, scan};

const LIMIT: Duration = Duration::from_secs(180);
const MUC: &str = "http://jabber.org/protocol/muc";

/// Where the domain says that conferences of text are (§6.1, §6.2).
pub fn service(clients: &mut Clients, link: LinkId) -> Outcome<String> {
    find(clients, link, |info| {
        scan::has(info, "conference") && scan::has(info, MUC)
    })
}

/// The first item of the domain whose disco#info is the wanted one.
pub fn find(
    clients: &mut Clients,
    link: LinkId,
    is_wanted: impl Fn(&[u8]) -> bool,
) -> Outcome<String> {
    let items = "<iq type='get' id='items' to='localhost'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>";
    let items = clients.answer(link, items, "items")?;
    let items = String::from_utf8(items)?;
    for item in items.split("<item").skip(1) {
        let Some(jid) = scan::attribute(item.as_bytes(), "jid") else {
            continue;
        };
        let ask = format!(
            "<iq type='get' id='info' to='{jid}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
        );
        if is_wanted(&clients.answer(link, &ask, "info")?) {
            return Ok(jid.to_owned());
        }
    }
    Err("the domain has no such service".into())
}

/// §10.1: made by entering it; everybody may enter, and it stays when all have left.
pub fn make(clients: &mut Clients, link: LinkId, room: &str, nick: &str) -> Outcome<()> {
    enter(clients, &[(link, nick.to_owned())], room)?;
    let form = format!(
        "<iq type='set' id='configure' to='{room}'><query xmlns='{MUC}#owner'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>{MUC}#roomconfig</value></field>\
         <field var='muc#roomconfig_persistentroom'><value>1</value></field>\
         <field var='muc#roomconfig_membersonly'><value>0</value></field></x></query></iq>"
    );
    clients.ask(link, &form, "configure")
}

/// All enter; returns when each has been told that it is in (§7.2.2: status 110).
pub fn enter(clients: &mut Clients, who: &[(LinkId, String)], room: &str) -> Outcome<()> {
    for (link, nick) in who {
        clients
            .swarm
            .send(*link, presence(room, nick, true).as_bytes());
    }
    let mut missing: HashSet<LinkId> = who.iter().map(|(link, _)| *link).collect();
    wait(clients, |link, stanza| {
        if is_own_presence(stanza) {
            missing.remove(&link);
        }
        missing.is_empty()
    })
}

pub fn leave(clients: &mut Clients, link: LinkId, room: &str, nick: &str) -> Outcome<()> {
    clients
        .swarm
        .send(link, presence(room, nick, false).as_bytes());
    wait(clients, |from, stanza| {
        from == link && is_own_presence(stanza)
    })
}

/// One enters or leaves, and all others see it; one who enters also sees them.
pub fn seen_by_all(
    clients: &mut Clients,
    (link, nick): (LinkId, &str),
    room: &str,
    others: usize,
    enters: bool,
) -> Outcome<()> {
    clients
        .swarm
        .send(link, presence(room, nick, enters).as_bytes());
    let (mut own, mut seen) = (if enters { others + 1 } else { 1 }, others);
    let name = format!("{room}/{nick}");
    wait(clients, |from, stanza| {
        if stanza.starts_with(b"<presence") {
            if from == link {
                own = own.saturating_sub(1);
            } else if scan::attribute(stanza, "from") == Some(&name) {
                seen = seen.saturating_sub(1);
            }
        }
        own == 0 && seen == 0
    })
}

fn presence(room: &str, nick: &str, enters: bool) -> String {
    match enters {
        true => {
            format!(
                "<presence to='{room}/{nick}'><x xmlns='{MUC}'><history maxstanzas='0'/></x></presence>"
            )
        }
        false => format!("<presence to='{room}/{nick}' type='unavailable'/>"),
    }
}

fn is_own_presence(stanza: &[u8]) -> bool {
    stanza.starts_with(b"<presence")
        && (scan::has(stanza, "code='110'") || scan::has(stanza, "code=\"110\""))
}

/// Until what is awaited is there.
fn wait(clients: &mut Clients, mut is_there: impl FnMut(LinkId, &[u8]) -> bool) -> Outcome<()> {
    let until = Instant::now() + LIMIT;
    let mut done = false;
    while !done {
        if Instant::now() > until {
            return Err("a room does not answer".into());
        }
        clients.stanzas(Duration::from_secs(1), |_, link, stanza| {
            refuse_error(stanza)?;
            done |= is_there(link, stanza);
            Ok(())
        })?;
    }
    Ok(())
}
