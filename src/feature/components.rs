//! XEP-0114: external components, as service discovery shows them. They answer for themselves; how they come and go is in
//! `server/component.rs`.
use crate::state::{Cx, Fault};

use super::{Feature, Item, Request, Spec, To};

pub const FEATURE: Feature = Feature {
    specs: &[Spec::partial(
        "XEP-0114",
        "Jabber Component Protocol",
        "1.6",
        "only `accept`",
    )],
    is_on: |settings| !settings.components.is_empty(),
    items: &[(To::Server, connected)],
    ..Feature::new("components")
};

fn connected(
    cx: &Cx<'_>,
    _request: &Request<'_>,
    node: Option<&str>,
) -> Result<Option<Vec<Item>>, Fault> {
    let all = cx.state.domains.components.all();
    let connected = all.filter(|component| component.connection.is_some());
    let items = || {
        connected.map(|component| Item {
            jid: component.jid.to_string(),
            ..Item::default()
        })
    };
    Ok(node.is_none().then(|| items().collect()))
}
