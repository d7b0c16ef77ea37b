//! XEP-0115 and XEP-0390: Entity Capabilities. The server's own, and those of clients: asked once for each hash, believed
//! only when the hash is right.
//!
//! Who announces both is believed by XEP-0390, whose hash cannot be made to stand for something else (its §8.2); the older
//! one holds where that fails, and what was verified is known by each hash it was verified by.

mod hash;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::state::{
    Asked, CLIENT_NODES_MAX, Caps, CapsId, Cx, Fault, Question, Questions, SessionId, Settings,
    Then,
};
use crate::store::StoreError;
use crate::xml::{ElementRef, Escaped, parse_stored};
use crate::xmpp::{Iq, IqKind, Jid, ns, quoted};

use super::disco::{Info, server_info};
use super::{Feature, Request, Spec, To};
use hash::verification_string;
use hash::{Answer, OWN_ALGORITHM, id_of_set, id_of_ver, is_hash_of, own_hash, read};

/// Names this software (XEP-0115 §4).
const NODE: &str = "urn:stonechat:server";
/// The only hash of XEP-0115 that must be known (§9.1), and the only one in use.
const HASH: &str = "sha-1";
/// What ends the features by which a client says what it wants to hear of (XEP-0163 §4.2).
const NOTIFY: &str = "+notify";
/// Features of clients that the server goes by.
const FEATURES_KEPT: &[&str] = &[super::pep::pam::NS, ns::MIX];
/// Bytes of all nodes kept of one client.
const CLIENT_NODES_BYTES_MAX: usize = 8 << 10;
/// Sessions asked about the same hash within so long: one answer is enough, but those who never answer keep nobody from
/// learning it.
const ASKED_OF_MAX: usize = 3;
const ASKED_LATELY_MS: u64 = 30_000;
/// Questions to one session at a time; what it announces beyond that is asked at its next presence.
const ASKED_BY_MAX: usize = 4;
/// How long an answer is waited for: a client may be away meanwhile.
const ANSWER_MS_MAX: u64 = 3_600_000;

pub const FEATURE: Feature = Feature {
    specs: &[
        Spec::complete("XEP-0115", "Entity Capabilities", "1.6.0"),
        Spec::partial(
            "XEP-0390",
            "Entity Capabilities 2.0",
            "0.3.2",
            "SHA-2 only, no gratuitous capabilities, no optimization",
        ),
    ],
    disco: &[(To::Server, ns::CAPS), (To::Server, ns::CAPS2)],
    nodes: &[(To::Server, own_info)],
    ..Feature::new("capabilities")
};

/// XEP-0115 §6.3, XEP-0390 §5.2: what the stream features say.
pub fn own_caps(settings: &Settings) -> Rc<str> {
    let info = server_info(settings);
    format!(
        "<c xmlns='{}' hash='{HASH}' node='{}' ver='{}'/>\
         <c xmlns='{}'><hash xmlns='{}' algo='{OWN_ALGORITHM}'>{}</hash></c>",
        ns::CAPS,
        Escaped(NODE),
        verification_string(&info),
        ns::CAPS2,
        ns::HASHES,
        own_hash(&info)
    )
    .into()
}

/// XEP-0115 §6.2, XEP-0390 §5.5: the nodes of the server's own capabilities show what the server itself does.
fn own_info(cx: &Cx<'_>, _: &Request<'_>, node: &str) -> Result<Option<Info>, Fault> {
    let info = server_info(&cx.state.settings);
    Ok(own_nodes(&info).contains(&node.into()).then_some(info))
}

/// The disco nodes under which the server shows what its capabilities stand for.
fn own_nodes(info: &Info) -> [String; 2] {
    [
        format!("{NODE}#{}", verification_string(info)),
        format!("{}#{OWN_ALGORITHM}.{}", ns::CAPS2, own_hash(info)),
    ]
}

/// A hash that was announced, and the disco node that tells what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hash {
    pub id: CapsId,
    node: String,
}

/// What a presence announces.
pub struct Announced {
    pub hash: Hash,
    /// That of XEP-0115 beside one of XEP-0390.
    older: Option<Hash>,
}

/// XEP-0115 §6.1, XEP-0390 §5.4. Legacy announcements and other hashes are passed over.
pub fn announced(presence: ElementRef<'_>) -> Option<Announced> {
    let newer = presence.child("c", ns::CAPS2).and_then(newer);
    let older = presence.child("c", ns::CAPS).and_then(older);
    match newer {
        Some(hash) => Some(Announced { hash, older }),
        None => older.map(|hash| Announced { hash, older: None }),
    }
}

/// XEP-0390 §4.3: the node is made of the hash.
fn newer(c: ElementRef<'_>) -> Option<Hash> {
    let id = id_of_set(c)?;
    let node = format!("{}#{}", ns::CAPS2, id.0);
    Some(Hash { id, node })
}

fn older(c: ElementRef<'_>) -> Option<Hash> {
    let ver = c.attribute("ver")?;
    let id = id_of_ver(&ver).filter(|_| c.attribute("hash").as_deref() == Some(HASH))?;
    let node = format!("{}#{ver}", c.attribute("node")?);
    Some(Hash { id, node })
}

/// XEP-0115 §6.2, XEP-0390 §5.5: asks the client what its hash stands for, unless that is known or asked already.
pub fn ask(cx: &mut Cx<'_>, session: SessionId, announced: Announced) {
    let Some(known) = cx.state.sessions.get(session) else {
        return;
    };
    if known.caps.as_ref().is_some_and(|caps| caps.is_known()) {
        return;
    }
    let jid = known.jid.clone();
    let now_ms = cx.now.monotonic_ms;
    if !may_ask(
        &cx.state.questions,
        jid.as_jid(),
        &announced.hash.id,
        now_ms,
    ) || !cx.state.questions.has_room(jid.as_jid(), now_ms)
    {
        return;
    }
    let Announced { hash, older } = announced;
    // Each has an id of its own, or the answer to an older one would be taken for that to a newer.
    let id = cx.new_id();
    let domain = cx.state.domains.served().clone();
    let asked = Asked {
        id: hash.id,
        older: older.map(|older| (older.id, older.node)),
    };
    let question = Question {
        asker: domain.clone().into(),
        asked: jid.clone().into(),
        deadline_ms: now_ms + ANSWER_MS_MAX,
        then: Then::Capabilities(Box::new(asked)),
    };
    cx.state.questions.ask(&id, question);
    cx.send(session, |w| {
        w.open("iq")
            .attr("type", "get")
            .attr("id", &id)
            .attr("from", domain.as_str())
            .attr("to", jid.as_str());
        w.open_ns("query", ns::DISCO_INFO)
            .attr("node", &hash.node)
            .close()
            .close();
    });
}

/// Not when it is being asked already, or too much is.
fn may_ask(questions: &Questions, client: &Jid, caps: &CapsId, now_ms: u64) -> bool {
    let is_same = |question: &&Question| match &question.then {
        Then::Capabilities(asked) => asked.id == *caps,
        _ => false,
    };
    let is_lately =
        |question: &&Question| question.deadline_ms + ASKED_LATELY_MS > now_ms + ANSWER_MS_MAX;
    let of_others = questions.all().filter(is_same);
    questions.of(client).count() < ASKED_BY_MAX
        && !questions.of(client).any(|question| is_same(&question))
        && of_others.filter(is_lately).count() < ASKED_OF_MAX
}

/// A session goes on whose capabilities are not known: the question, or its answer, may have been lost with the process that
/// asked.
pub fn ask_again(cx: &mut Cx<'_>, session: SessionId) -> Result<(), StoreError> {
    let known = cx.state.sessions.get(session);
    let caps = known.and_then(|known| known.caps.as_ref());
    if caps.is_none_or(|caps| caps.is_known()) {
        return Ok(());
    }
    let details = cx.presence_details(session)?;
    let payload = details.map_or_else(String::new, |details| details.payload.to_string());
    let presence = parse_stored(&format!("<presence>{payload}</presence>"), ns::CLIENT);
    if let Ok(presence) = presence
        && let Some(announced) = announced(presence.root())
    {
        ask(cx, session, announced);
    }
    Ok(())
}

/// XEP-0115 §5.4, XEP-0390 §4.4: a client's answer. Kept only if it hashes to what the client announced. Returns the sessions
/// of which it is known now.
pub fn answered(cx: &mut Cx<'_>, asked: Asked, iq: &Iq) -> Result<Vec<SessionId>, StoreError> {
    let Asked { id, older } = asked;
    let verified = verified(&id, older.as_ref().map(|(id, _)| id), iq);
    let from = iq.envelope.from.as_ref();
    let asker = from.and_then(|from| cx.state.sessions.find(from));
    // Whoever announced something else since is another matter.
    let still =
        |session: &&crate::state::Session| session.caps.as_ref().is_some_and(|caps| caps.id == id);
    let asker = asker.filter(still).map(|session| session.id);
    let mut known = Vec::new();
    if verified.is_empty() {
        log::debug!(
            "capabilities.refused jid={} ver={}",
            quoted(from.map_or("", Jid::as_str)),
            quoted(&id.0)
        );
        if let (Some((id, node)), Some(asker)) = (older, asker) {
            go_by(cx, asker, Hash { id, node }, &mut known);
        }
        return Ok(known);
    }
    let by_newer = verified.iter().any(|caps| caps.id == id);
    for caps in verified {
        known.extend(learn(cx, caps)?);
    }
    if let (false, Some((id, node)), Some(asker)) = (by_newer, older, asker) {
        go_by(cx, asker, Hash { id, node }, &mut known);
    }
    Ok(known)
}

/// What an answer says, by each hash it was announced by that is right.
fn verified(id: &CapsId, older: Option<&CapsId>, iq: &Iq) -> Vec<Caps> {
    let query = iq.element.root().child("query", ns::DISCO_INFO);
    let query = query.filter(|_| iq.kind == IqKind::Result);
    let Some((query, answer)) = query.and_then(|query| Some((query, read(query)?))) else {
        return Vec::new();
    };
    let lang = query.lang().map(|lang| lang.into_owned());
    let lang = lang.or_else(|| iq.envelope.lang.as_deref().map(str::to_string));
    let lang = lang.unwrap_or_default();
    let ids = std::iter::once(id).chain(older);
    let right = ids.filter(|id| is_hash_of(id, &answer, &lang));
    right
        .map(|id| Caps::known(id.clone(), wanted(&answer)))
        .collect()
}

/// The nodes that a client wants to hear of.
fn wanted(answer: &Answer) -> Vec<Box<str>> {
    let mut bytes = 0;
    let features = answer.info.features.iter();
    let kept = |feature: &String| match feature.strip_suffix(NOTIFY) {
        Some(node) => Some(node.to_string()),
        None => FEATURES_KEPT
            .contains(&feature.as_str())
            .then(|| Caps::feature(feature)),
    };
    features
        .filter_map(kept)
        .take(CLIENT_NODES_MAX)
        .take_while(|node| {
            bytes += node.len();
            bytes <= CLIENT_NODES_BYTES_MAX
        })
        .map(String::into_boxed_str)
        .collect()
}

/// Keeps what was verified, here and in the store. Returns the sessions that had announced it.
fn learn(cx: &mut Cx<'_>, caps: Caps) -> Result<Vec<SessionId>, StoreError> {
    let (caps, dropped) = cx.state.capabilities.learn(caps);
    if !cx.state.disk_low {
        if let Some(dropped) = dropped {
            cx.tx.forget_capabilities(&dropped.0)?;
        }
        cx.tx.set_capabilities(&caps.id.0, caps.wanted())?;
    }
    let sessions = cx.state.sessions.all();
    let waiting = sessions.filter(|session| {
        let announced = session.caps.as_ref();
        announced.is_some_and(|announced| announced.id == caps.id && !announced.is_known())
    });
    let waiting: Vec<SessionId> = waiting.map(|session| session.id).collect();
    for id in &waiting {
        if let Some(session) = cx.state.sessions.get_mut(*id) {
            session.caps = Some(Rc::clone(&caps));
        }
    }
    Ok(waiting)
}

/// The newer hash was no good: the session is gone by for what it announced of XEP-0115.
fn go_by(cx: &mut Cx<'_>, id: SessionId, hash: Hash, known: &mut Vec<SessionId>) {
    let caps = cx.state.capabilities.of(hash.id.clone());
    let is_known = caps.is_known();
    if let Some(session) = cx.state.sessions.get_mut(id) {
        session.caps = Some(caps);
    }
    match is_known {
        true => known.push(id),
        false => ask(cx, id, Announced { hash, older: None }),
    }
}
