//! XEP-0369 §4.7, §7.1: what subscribers of a node hear when it changes (XEP-0060 §7.1.2.1, §7.2.2.1), as others write it: in the
//! namespace that each of them joined by.
use std::io::Write;

use crate::channel::Channel;
use crate::feature::Heard;
use crate::state::{Cx, Keep, Shared, Taker, Urgency};
use crate::store::StoreError;
use crate::xml::{Escaped, Writer};
use crate::xmpp::ns;

use super::{Event, Form, Node, kept};
use crate::channel::mix::sent::deliver::{takers, to_participant};

/// To all subscribers of a node.
pub fn tell(
    cx: &mut Cx<'_>,
    channel: &Channel,
    node: Node,
    is_public: bool,
    write: Event<'_>,
) -> Result<(), StoreError> {
    kept::keep(cx, channel, node, write)?;
    let takers = takers(cx, channel)?;
    let hearers = takers.iter().filter(|taker| node.is_in(taker.nodes));
    tell_those(cx, channel, is_public, hearers, write);
    Ok(())
}

/// To some.
pub fn tell_those<'t>(
    cx: &mut Cx<'_>,
    channel: &Channel,
    is_public: bool,
    hearers: impl Iterator<Item = &'t Taker>,
    write: Event<'_>,
) {
    let mut ends: [Option<Shared>; 4] = Default::default();
    let mut start = Vec::with_capacity(96);
    let (from, id) = (Escaped(channel.jid.as_str()), cx.new_id());
    write!(start, "<message from='{from}' id='{id}'").expect("memory takes all that is written");
    for taker in hearers {
        let form = Form {
            is_old: taker.is_old,
            shows_jid: is_public || taker.rules,
        };
        let place = usize::from(form.is_old) + 2 * usize::from(form.shows_jid);
        let Some(place) = ends.get_mut(place) else {
            continue;
        };
        let end = match place {
            Some(end) => &*end,
            None => &*place.insert(end(cx, form, write)),
        };
        let heard = Heard {
            from: channel.jid.as_jid(),
            start: &start,
            end,
            id: None,
            urgency: Urgency::Later,
            keep: Keep::Whole { shared: true },
        };
        to_participant(cx, &taker.jid, &heard);
    }
}

fn end(cx: &mut Cx<'_>, form: Form, write: Event<'_>) -> Shared {
    cx.share(|bytes| {
        let mut w = Writer::new(bytes);
        w.open_ns("event", ns::PUBSUB_EVENT);
        write(&mut w, form);
        w.close();
        bytes.extend_from_slice(b"</message>");
    })
}
