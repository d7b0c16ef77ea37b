//! XEP-0403 §4.5, §4.6: requests from one participant to another, by addresses that tell nothing of who they are, and what is answered.
//! Each is a question with a deadline, so that whoever asked is answered in any case.
use crate::channel::Channel;
use crate::channel::mix::sent::presence::{client, encoded};
use crate::channel::people::{self, access};
use crate::channel::relayed::{ANSWER_MS_MAX, require_room};
use crate::channel::said::speaker::speaker;
use crate::feature::Reply;
use crate::state::{Cx, Fault, Question, Relayed, Then};
use crate::store::MemberRow;
use crate::xmpp::{BareJid, Condition, Envelope, Iq, IqKind};

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

/// XEP-0404 §3.1
fn require_gives_vcard(member: &MemberRow, kind: IqKind) -> Result<(), Condition> {
    let gives = member.participation.as_ref();
    let gives = gives.is_some_and(|it| it.gives_vcard);
    match kind == IqKind::Get && gives {
        true => Ok(()),
        false => Err(Condition::Forbidden),
    }
}
