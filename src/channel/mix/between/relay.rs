//! XEP-0403 §4.5, §4.6: requests from one participant to another, by addresses that tell nothing of who they are, and what is answered.
//! Each is a question with a deadline, so that whoever asked is answered in any case.
use crate::channel::Channel;
use crate::channel::muc::between::relay::pass_on;
use crate::channel::people::{self, access};
use crate::channel::said::message::speaker;
use crate::feature::Reply;
use crate::state::{Cx, Domain, Fault, Question, Relayed, Then, Way};
use crate::store::MemberRow;
use crate::xmpp::{BareJid, Condition, Envelope, ErrorType, Iq, IqKind, Jid, StanzaError};

use super::presence::encoded;

/// How long whoever is asked may take.
const ANSWER_MS_MAX: u64 = 60_000;
/// Requests under way, of all and of one person.
const RELAYED_MAX: usize = 256;
const OF_ONE_MAX: usize = 32;
/// Bytes of a request's id.
const ID_BYTES_MAX: usize = 1_024;

/// What an account says of its owner, if the owner lets it.
const VCARDS: [&str; 2] = ["vcard-temp", "urn:ietf:params:xml:ns:vcard-4.0"];

/// `id`: of the participant who is asked.
pub fn request(cx: &mut Cx<'_>, channel: &Channel, id: &str, iq: &Iq) -> Result<Reply, Fault> {
    let (Some(from), Some(to)) = (&iq.envelope.from, &iq.envelope.to) else {
        return Err(Condition::BadRequest.into());
    };
    speaker(cx, channel, from)?.ok_or(access::NOT_INSIDE)?;
    let person = cx.tx.behind_id(channel.id(), id)?;
    let person = person.and_then(|jid| BareJid::stored(&jid));
    let person = person.ok_or(Condition::ItemNotFound)?;
    let member = people::member(cx, channel, person.as_str())?;
    if member.participation.is_none() {
        return Err(Condition::ItemNotFound.into());
    }
    let is_vcard = VCARDS.contains(&iq.payload().namespace());
    if is_vcard {
        require_gives_vcard(&member, iq.kind)?;
    }
    let asked = match to.resource() {
        Some(resource) if !is_vcard => {
            let client = client(cx, channel, &person, resource);
            client.ok_or(Condition::ItemNotFound)?
        }
        _ => person.into(),
    };
    let asker = encoded(cx, channel, from).ok_or(Condition::InternalServerError)?;
    require_room(cx, from)?;
    let given = iq.envelope.id.as_deref().unwrap_or_default();
    if given.len() > ID_BYTES_MAX {
        return Err(Condition::BadRequest.into());
    }
    let id: Box<str> = match cx.state.questions.is_asked(&asker, &asked, given) {
        true => cx.new_id().into(),
        false => given.into(),
    };
    let relayed = Relayed {
        from: from.clone(),
        to: to.clone(),
        id: iq.envelope.id.clone(),
    };
    let question = Question {
        asker: asker.clone(),
        asked: asked.clone(),
        deadline_ms: cx.now.monotonic_ms + ANSWER_MS_MAX,
        then: Then::Relayed(Box::new(relayed)),
    };
    cx.state.questions.ask(&id, question);
    cx.state.effects.own_requests.push(Iq {
        envelope: Envelope {
            from: Some(asker),
            to: Some(asked),
            id: Some(id.into()),
            lang: iq.envelope.lang.clone(),
        },
        kind: iq.kind,
        element: iq.element.clone(),
    });
    Ok(Reply::Later)
}

/// A request that goes on in another name: whoever asked is answered in any case.
pub fn wait_for(cx: &mut Cx<'_>, request: &Envelope, passed_on: &Envelope) -> Result<(), Fault> {
    let (Some(from), Some(to)) = (&request.from, &request.to) else {
        return Err(Condition::BadRequest.into());
    };
    let (Some(asker), Some(asked), Some(id)) = (&passed_on.from, &passed_on.to, &passed_on.id)
    else {
        return Err(Condition::BadRequest.into());
    };
    // What is asked twice by one id is waited for once.
    if cx.state.questions.is_asked(asker, asked, id) {
        return Ok(());
    }
    require_room(cx, from)?;
    let relayed = Relayed {
        from: from.clone(),
        to: to.clone(),
        id: request.id.clone(),
    };
    let question = Question {
        asker: asker.clone(),
        asked: asked.clone(),
        deadline_ms: cx.now.monotonic_ms + ANSWER_MS_MAX,
        then: Then::Relayed(Box::new(relayed)),
    };
    cx.state.questions.ask(id, question);
    Ok(())
}

/// XEP-0404 §3.1
fn require_gives_vcard(member: &MemberRow, kind: IqKind) -> Result<(), Condition> {
    let gives = member.participation.as_ref();
    let gives = gives.is_some_and(|it| it.gives_vcard);
    match kind == IqKind::Get && gives {
        true => Ok(()),
        false => Err(Condition::Forbidden),
    }
}

fn require_room(cx: &mut Cx<'_>, from: &Jid) -> Result<(), Fault> {
    let now_ms = cx.now.monotonic_ms;
    let has_room = cx.state.questions.has_room_for_relayed(now_ms);
    let (mut all, mut own) = (0, 0);
    for question in cx.state.questions.all() {
        if let Then::Relayed(relayed) = &question.then {
            all += 1;
            own += usize::from(relayed.from.bare_str() == from.bare_str());
        }
    }
    match has_room && all < RELAYED_MAX && own < OF_ONE_MAX {
        true => Ok(()),
        false => Err(StanzaError::new(Condition::ResourceConstraint)
            .kind(ErrorType::Wait)
            .text("Too much is being asked already.")
            .into()),
    }
}

/// §3.2: the client of somebody that shares presence under this resource.
pub fn client(cx: &Cx<'_>, channel: &Channel, person: &BareJid, resource: &str) -> Option<Jid> {
    let room = cx.state.rooms.get(channel.id())?;
    let mut clients = room.of_person(person.as_str()).map(|one| &one.jid);
    let is_it = |jid: &&Jid| {
        let known = encoded(cx, channel, jid);
        !jid.is_bare() && known.is_some_and(|it| it.resource() == Some(resource))
    };
    clients.find(is_it).cloned()
}

/// For whoever asked: in the name of whom they asked, and of an error its condition only.
pub fn answered(cx: &mut Cx<'_>, relayed: &Relayed, iq: &Iq) {
    let way = match cx.state.domains.of(&relayed.from) {
        Domain::Component(component) => Way::Component(component),
        _ => match cx.state.sessions.find(&relayed.from) {
            Some(session) => Way::Session(session.id),
            None => return,
        },
    };
    let envelope = Envelope {
        from: Some(relayed.to.clone()),
        to: Some(relayed.from.clone()),
        id: relayed.id.clone(),
        lang: None,
    };
    pass_on(cx, way, iq, &envelope);
}
