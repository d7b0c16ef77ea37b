//! XEP-0030: Service Discovery of the server and of accounts, with the forms of XEP-0128.
use crate::state::{Cx, Fault, Settings};
use crate::xml::Writer;
use crate::xmpp::{Condition, DataForm, ns};

use super::{
    Feature, IqRoute, Item, Reply, Request, Spec, To, contact_addresses, disco_features,
    features_on, sees_presence,
};

pub const FEATURE: Feature = Feature {
    specs: &[
        Spec::partial(
            "XEP-0004",
            "Data Forms",
            "2.13.2",
            "only what service discovery and archive queries need",
        ),
        Spec::complete("XEP-0030", "Service Discovery", "2.5.0"),
        Spec::complete("XEP-0128", "Service Discovery Extensions", "1.0.1"),
    ],
    disco: &[
        (To::Server, ns::DISCO_INFO),
        (To::Server, ns::DISCO_ITEMS),
        (To::Account, ns::DISCO_INFO),
        (To::Account, ns::DISCO_ITEMS),
    ],
    items: &[(To::Server, services), (To::Account, resources)],
    iq: &[
        IqRoute::get(To::Server, ns::DISCO_INFO, "query", info_of_server),
        IqRoute::get(To::Account, ns::DISCO_INFO, "query", info_of_account),
        IqRoute::get(To::Server, ns::DISCO_ITEMS, "query", items_of_server),
        IqRoute::get(To::Account, ns::DISCO_ITEMS, "query", items_of_account),
    ],
    ..Feature::new("disco")
};

/// What an entity is; `lang` and `name` may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    pub category: String,
    pub kind: String,
    pub lang: String,
    pub name: String,
}

/// The content of a disco#info result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    pub identities: Vec<Identity>,
    pub features: Vec<String>,
    pub forms: Vec<DataForm>,
}

/// §3.1
fn info_of_server(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let settings = &cx.state.settings;
    let node = request.payload.attribute("node");
    let info = match node.as_deref() {
        Some(node) => info_at(settings, To::Server, node).ok_or(Condition::ItemNotFound)?,
        None => server_info(settings),
    };
    Ok(info.reply(node.as_deref()))
}

/// §3.2: what some feature shows at a node.
fn info_at(settings: &Settings, to: To, node: &str) -> Option<Info> {
    let rows = features_on(settings).flat_map(|feature| feature.nodes);
    let mut rows = rows.filter(|(row, _)| *row == to);
    rows.find_map(|(_, info)| info(settings, node))
}

/// What the server says of itself; its capabilities are the hash of this.
pub fn server_info(settings: &Settings) -> Info {
    let identity = Identity {
        category: "server".into(),
        kind: "im".into(),
        name: "Stonechat".into(),
        ..Identity::default()
    };
    Info {
        identities: vec![identity],
        features: features(settings, To::Server),
        forms: contact_addresses::form(settings).into_iter().collect(),
    }
}

/// §3.1, §8: an account is known to those who may see its presence.
fn info_of_account(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    if !sees_presence(cx, request)? {
        return Err(Condition::ServiceUnavailable.into());
    }
    require_no_node(request)?;
    let identity = Identity {
        category: "account".into(),
        kind: "registered".into(),
        ..Identity::default()
    };
    let whom = if request.is_own() {
        To::OwnAccount
    } else {
        To::Account
    };
    let info = Info {
        identities: vec![identity],
        features: features(&cx.state.settings, whom),
        forms: Vec::new(),
    };
    Ok(info.reply(None))
}

/// §4.1
fn items_of_server(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let node = request.payload.attribute("node");
    let items = items_at(cx, request, To::Server, node.as_deref())?;
    Ok(write_items(&items, node.as_deref()))
}

/// §4.1, §8: the available resources; none to those who may not see the account's presence.
fn items_of_account(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let node = request.payload.attribute("node");
    let items = match sees_presence(cx, request)? {
        true => items_at(cx, request, To::Account, node.as_deref())?,
        false => Vec::new(),
    };
    Ok(write_items(&items, node.as_deref()))
}

/// What all features have there; somebody must know the node.
fn items_at(
    cx: &Cx<'_>,
    request: &Request<'_>,
    to: To,
    node: Option<&str>,
) -> Result<Vec<Item>, Fault> {
    let mut all: Option<Vec<Item>> = None;
    let rows = features_on(&cx.state.settings).flat_map(|feature| feature.items);
    for (_, items) in rows.filter(|(row, _)| *row == to) {
        if let Some(items) = items(cx, request, node)? {
            all.get_or_insert_default().extend(items);
        }
    }
    Ok(all.ok_or(Condition::ItemNotFound)?)
}

fn write_items(items: &[Item], node: Option<&str>) -> Reply {
    Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_ITEMS).attr_opt("node", node);
        for item in items {
            w.open("item")
                .attr("jid", &item.jid)
                .attr_opt("node", item.node.as_deref())
                .attr_opt("name", item.name.as_deref())
                .close();
        }
        w.close();
    })
}

/// The server's services.
fn services(
    cx: &Cx<'_>,
    _request: &Request<'_>,
    node: Option<&str>,
) -> Result<Option<Vec<Item>>, Fault> {
    let item = |(domain, name): (&str, &str)| Item {
        jid: domain.into(),
        name: Some(name.into()),
        ..Item::default()
    };
    let items = || cx.state.domains.services().map(item).collect();
    Ok(node.is_none().then(items))
}

/// An account's available sessions.
fn resources(
    cx: &Cx<'_>,
    request: &Request<'_>,
    node: Option<&str>,
) -> Result<Option<Vec<Item>>, Fault> {
    let sessions = cx.state.sessions.of(request.account_jid());
    let available = sessions.filter(|session| session.presence.is_some());
    let items = || {
        available.map(|session| Item {
            jid: session.jid.to_string(),
            ..Item::default()
        })
    };
    Ok(node.is_none().then(|| items().collect()))
}

fn require_no_node(request: &Request<'_>) -> Result<(), Condition> {
    match request.payload.attribute("node") {
        Some(_) => Err(Condition::ItemNotFound),
        None => Ok(()),
    }
}

fn features(settings: &Settings, of: To) -> Vec<String> {
    let features = disco_features(settings, of);
    features.into_iter().map(str::to_string).collect()
}

impl Info {
    /// §3.2: the answer repeats the question's node.
    fn reply(&self, node: Option<&str>) -> Reply {
        Reply::payload(|w| self.write(w, node))
    }

    fn write(&self, w: &mut Writer<'_>, node: Option<&str>) {
        w.open_ns("query", ns::DISCO_INFO).attr_opt("node", node);
        for identity in &self.identities {
            let given = |text: &'_ str| Some(text.to_string()).filter(|text| !text.is_empty());
            w.open("identity")
                .attr("category", &identity.category)
                .attr("type", &identity.kind)
                .attr_opt("xml:lang", given(&identity.lang).as_deref())
                .attr_opt("name", given(&identity.name).as_deref())
                .close();
        }
        for feature in &self.features {
            w.open("feature").attr("var", feature).close();
        }
        for form in &self.forms {
            form.write(w);
        }
        w.close();
    }
}
