//! What the server asked others and waits to be answered: rows with a deadline and what is to be done then. An answer that
//! nobody waits for is dropped.
use std::collections::HashMap;
use std::rc::Rc;

use crate::store::AccountId;
use crate::xmpp::{BareJid, Iq, Jid};

use crate::state::{CapsId, ComponentId};

/// Questions at a time, of all and of one who is asked.
pub const QUESTIONS_MAX: usize = 512;
const QUESTIONS_OF_ONE_MAX: usize = 8;

/// How an answer is gone on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// XEP-0115, XEP-0390: what a client can do.
    Capabilities(Box<Asked>),
    /// XEP-0356 §6.3: a component asked on behalf of an account, and is to be told.
    Privileged(Box<Privileged>),
    /// XEP-0405 §2.7, §2.8: a channel was asked to let an account join or leave.
    Channel(Box<ChannelAsked>),
    /// XEP-0376 §3.2: a service was asked to subscribe an account, or to end that.
    Subscription(Box<SubscriptionAsked>),
    /// XEP-0403 §4.5: a participant of a channel asked another one through it.
    Relayed(Box<Relayed>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// The request as it came: from whom, to whom, and by which id.
    pub from: Jid,
    pub to: Jid,
    pub id: Option<Rc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The hash that was asked about.
    pub id: CapsId,
    /// The hash of XEP-0115 that was announced beside it, and the disco node to ask about that.
    pub older: Option<(CapsId, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionAsked {
    pub account: AccountId,
    /// The client's own request: from whom, to whom, and by which id.
    pub from: Jid,
    pub to: Option<Jid>,
    pub id: Option<Rc<str>>,
    pub service: BareJid,
    pub node: String,
    pub unsubscribes: bool,
    /// Its events are wanted in the archive.
    pub archived: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelAsked {
    pub account: AccountId,
    /// The client that asked, and its id.
    pub from: Jid,
    pub id: Option<Rc<str>>,
    pub channel: BareJid,
    pub leaves: bool,
    /// Its account's presence is not for the channel (XEP-0404).
    pub hides_presence: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privileged {
    pub component: ComponentId,
    /// Its own request: from whom, to whom, and by which id.
    pub from: Jid,
    pub to: Jid,
    pub id: Option<Rc<str>>,
    /// Of the request within.
    pub inner_id: Option<Rc<str>>,
}

#[derive(Clone, Debug)]
pub struct Question {
    /// In whose name it was asked.
    pub asker: Jid,
    /// Only they may answer.
    pub asked: Jid,
    pub deadline_ms: u64,
    pub then: Then,
}

impl Question {
    /// Somebody else is to be told what comes of it.
    pub fn is_waited_for(&self) -> bool {
        !matches!(self.then, Then::Capabilities(_))
    }
}

/// Who asked, who is asked, and the stanza's id.
type Key = (Jid, Jid, Box<str>);

/// No two are the same in all three.
#[derive(Debug, Default)]
pub struct Questions {
    by_id: HashMap<Key, Question>,
    /// A time is set at which they are looked at.
    is_due: bool,
}

impl Questions {
    /// Whether there is room for one more. Those whose time is over make room.
    pub fn has_room(&mut self, asked: &Jid, now_ms: u64) -> bool {
        if self.by_id.len() >= QUESTIONS_MAX || self.of(asked).count() >= QUESTIONS_OF_ONE_MAX {
            self.by_id
                .retain(|_, question| question.deadline_ms > now_ms);
        }
        self.by_id.len() < QUESTIONS_MAX && self.of(asked).count() < QUESTIONS_OF_ONE_MAX
    }

    /// The same of requests of others, which take nothing from what the server asks itself.
    pub fn has_room_for_relayed(&mut self, now_ms: u64) -> bool {
        if self.by_id.len() >= QUESTIONS_MAX {
            self.by_id
                .retain(|_, question| question.deadline_ms > now_ms);
        }
        self.by_id.len() < QUESTIONS_MAX
    }

    /// All that the server asks this one.
    pub fn of(&self, asked: &Jid) -> impl Iterator<Item = &Question> {
        self.by_id.values().filter(move |question| {
            question.asked == *asked && !matches!(question.then, Then::Relayed(_))
        })
    }

    pub fn all(&self) -> impl Iterator<Item = &Question> {
        self.by_id.values()
    }

    /// The same was asked by the same under this id.
    pub fn is_asked(&self, asker: &Jid, asked: &Jid, id: &str) -> bool {
        let key = (asker.clone(), asked.clone(), id.into());
        self.by_id.contains_key(&key)
    }

    /// Notes a question under an id that no other of them has. `has_room` was asked.
    pub fn ask(&mut self, id: &str, question: Question) {
        let key = (question.asker.clone(), question.asked.clone(), id.into());
        self.by_id.insert(key, question);
    }

    /// The question that this result or error answers, which is over.
    pub fn answered(&mut self, iq: &Iq, now_ms: u64) -> Option<Question> {
        let envelope = &iq.envelope;
        let (asker, asked) = (envelope.to.clone()?, envelope.from.clone()?);
        let key = (asker, asked, envelope.id.as_deref()?.into());
        let question = self.by_id.remove(&key)?;
        (question.deadline_ms > now_ms).then_some(question)
    }

    /// Those that nobody will answer any more.
    pub fn take_if(&mut self, is_over: impl Fn(&Question) -> bool) -> Vec<(Box<str>, Question)> {
        let over = self.by_id.extract_if(|_, question| is_over(question));
        over.map(|((_, _, id), question)| (id, question)).collect()
    }

    /// When somebody who waits for an answer is to be looked at, if nobody is being yet (`looked_at`).
    pub fn newly_due_ms(&mut self) -> Option<u64> {
        if self.is_due || self.by_id.is_empty() {
            return None;
        }
        let waiting = self
            .by_id
            .values()
            .filter(|question| question.is_waited_for());
        let due_ms = waiting.map(|question| question.deadline_ms).min();
        self.is_due = due_ms.is_some();
        due_ms
    }

    pub fn looked_at(&mut self) {
        self.is_due = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse_stored;
    use crate::xmpp::{Stanza, ns};

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn question(asked: &Jid, deadline_ms: u64) -> Question {
        Question {
            asker: jid("house"),
            asked: asked.clone(),
            deadline_ms,
            then: Then::Capabilities(Box::new(Asked {
                id: CapsId("v".into()),
                older: None,
            })),
        }
    }

    fn answer(id: &str, from: &str, to: &str) -> Iq {
        let text = format!("<iq type='result' id='{id}' from='{from}' to='{to}'/>");
        match Stanza::from_element(parse_stored(&text, ns::CLIENT).unwrap()) {
            Some(Ok(Stanza::Iq(iq))) => iq,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_who_was_asked_answers_once_and_in_time() {
        let mut questions = Questions::default();
        let asked = jid("a@house/b");
        questions.ask("1", question(&asked, 10));
        questions.ask("2", question(&asked, 10));
        for (id, from, to) in [
            ("3", "a@house/b", "house"),
            ("1", "a@house/c", "house"),
            ("1", "a@house/b", "a@house"),
        ] {
            assert!(questions.answered(&answer(id, from, to), 0).is_none());
        }
        let right = |id| answer(id, "a@house/b", "house");
        assert!(questions.answered(&right("1"), 9).is_some());
        assert!(questions.answered(&right("1"), 9).is_none(), "answered");
        assert!(questions.answered(&right("2"), 10).is_none(), "too late");
        assert_eq!(questions.all().count(), 0);
    }

    #[test]
    fn they_are_bounded_and_old_ones_make_room() {
        let mut questions = Questions::default();
        let asked = jid("a@house/b");
        for n in 0..QUESTIONS_OF_ONE_MAX {
            assert!(questions.has_room(&asked, 0));
            questions.ask(&n.to_string(), question(&asked, 10));
        }
        assert!(!questions.has_room(&asked, 9));
        assert!(questions.has_room(&asked, 10), "their time is over");
        for n in 0..2 * QUESTIONS_MAX {
            let other = jid(&format!("x{n}@house/b"));
            if questions.has_room(&other, 0) {
                questions.ask(&format!("x{n}"), question(&other, 10));
            }
        }
        assert_eq!(questions.all().count(), QUESTIONS_MAX);
        let gone = jid("x0@house/b");
        let over = questions.take_if(|question| question.asked == gone);
        assert_eq!((over.len(), questions.of(&gone).count()), (1, 0));
    }
}
