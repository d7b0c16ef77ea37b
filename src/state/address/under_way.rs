//! Requests that external components were given and have not answered yet (RFC 6120 §8.2.3): when one of them goes, whoever
//! asked hears that no answer will come.
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::xmpp::{Iq, Jid};

use crate::state::ComponentId;

/// Requests remembered for one component, and of these of one who asks; the oldest are forgotten.
pub const UNDER_WAY_MAX: usize = 512;
const OF_ONE_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderWay {
    pub asker: Jid,
    pub asked: Jid,
    pub id: Option<Rc<str>>,
}

/// By component, in the order they came.
#[derive(Debug, Default)]
pub struct AllUnderWay(HashMap<ComponentId, VecDeque<UnderWay>>);

impl AllUnderWay {
    pub fn add(&mut self, component: ComponentId, request: UnderWay) {
        let requests = self.0.entry(component).or_default();
        let is_alike = |known: &UnderWay| known.asker == request.asker;
        if requests.iter().filter(|known| is_alike(known)).count() >= OF_ONE_MAX {
            let oldest = requests.iter().position(is_alike);
            oldest.and_then(|oldest| requests.remove(oldest));
        }
        if requests.len() >= UNDER_WAY_MAX {
            requests.pop_front();
        }
        requests.push_back(request);
    }

    /// The component answered.
    pub fn answered(&mut self, component: ComponentId, answer: &Iq) {
        let Some(requests) = self.0.get_mut(&component) else {
            return;
        };
        let envelope = &answer.envelope;
        let found = requests.iter().position(|known| {
            known.id == envelope.id
                && Some(&known.asker) == envelope.to.as_ref()
                && Some(&known.asked) == envelope.from.as_ref()
        });
        found.and_then(|found| requests.remove(found));
        if requests.is_empty() {
            self.0.remove(&component);
        }
    }

    /// It will answer none of them.
    pub fn take(&mut self, component: ComponentId) -> VecDeque<UnderWay> {
        self.0.remove(&component).unwrap_or_default()
    }
}
