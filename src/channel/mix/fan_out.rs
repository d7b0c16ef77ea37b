//! XEP-0369 §7.1.6: a message to all participants who subscribed to messages.
use crate::channel::Channel;
use crate::channel::fan_out::Said;
use crate::state::Cx;

pub fn fan_out(_cx: &mut Cx<'_>, _channel: &Channel, _said: &Said<'_>) {}
