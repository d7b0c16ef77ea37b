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
    let node = request.payload.attribute("node");
    let info = match node.as_deref() {
        Some(node) => info_at(cx, request, To::Server, node)?.ok_or(Condition::ItemNotFound)?,
        None => server_info(&cx.state.settings),
    };
    Ok(info.reply(node.as_deref()))
}

/// §3.2: what some feature shows at a node.
fn info_at(cx: &Cx<'_>, request: &Request<'_>, to: To, node: &str) -> Result<Option<Info>, Fault> {
    let rows = features_on(&cx.state.settings).flat_map(|feature| feature.nodes);
    for (_, info) in rows.filter(|(row, _)| *row == to) {
        if let Some(info) = info(cx, request, node)? {
            return Ok(Some(info));
        }
    }
    Ok(None)
}

/// What the server says of itself; its capabilities are the hash of this.
pub fn server_info(settings: &Settings) -> Info {
    let identity = |category: &str, kind: &str, name: &str| Identity {
        category: category.into(),
        kind: kind.into(),
        name: name.into(),
        ..Identity::default()
    };
    Info {
        // COMPAT(libpurple, 2.14): it looks here, and not at its account, for whether there is eventing.
        identities: vec![
            identity("pubsub", "pep", ""),
            identity("server", "im", "Stonechat"),
        ],
        features: features(settings, To::Server),
        forms: contact_addresses::form(settings).into_iter().collect(),
    }
}

/// §3.1, §8: an account is known to those who may see its presence, a node to those who may see that.
fn info_of_account(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let node = request.payload.attribute("node");
    if let Some(node) = node.as_deref()
        && let Some(info) = info_at(cx, request, To::Account, node)?
    {
        return Ok(info.reply(Some(node)));
    }
    if !sees_presence(cx, request)? {
        return Err(Condition::ServiceUnavailable.into());
    }
    if node.is_some() {
        return Err(Condition::ItemNotFound.into());
    }
    let identity = |category: &str, kind: &str| Identity {
        category: category.into(),
        kind: kind.into(),
        ..Identity::default()
    };
    let mut identities = vec![identity("account", "registered")];
    let rows = features_on(&cx.state.settings).flat_map(|feature| feature.identities);
    for (_, category, kind) in rows.filter(|(to, ..)| *to == To::Account) {
        identities.push(identity(category, kind));
    }
    let whom = if request.is_own() {
        To::OwnAccount
    } else {
        To::Account
    };
    let info = Info {
        identities,
        features: features(&cx.state.settings, whom),
        forms: Vec::new(),
    };
    Ok(info.reply(None))
}

/// §4.1
fn items_of_server(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let node = request.payload.attribute("node");
    let items = items_at(cx, request, To::Server, node.as_deref())?;
    let items = items.ok_or(Condition::ItemNotFound)?;
    Ok(write_items(&items, node.as_deref()))
}

/// §4.1, §8: to those who may not see the account's presence, a node that they may not know is one without items.
fn items_of_account(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let node = request.payload.attribute("node");
    let items = items_at(cx, request, To::Account, node.as_deref())?;
    let items = match items {
        None if sees_presence(cx, request)? => return Err(Condition::ItemNotFound.into()),
        items => items.unwrap_or_default(),
    };
    Ok(write_items(&items, node.as_deref()))
}

/// What all features have there; `None`: nobody knows the node.
fn items_at(
    cx: &Cx<'_>,
    request: &Request<'_>,
    to: To,
    node: Option<&str>,
) -> Result<Option<Vec<Item>>, Fault> {
    let mut all: Option<Vec<Item>> = None;
    let rows = features_on(&cx.state.settings).flat_map(|feature| feature.items);
    for (_, items) in rows.filter(|(row, _)| *row == to) {
        if let Some(items) = items(cx, request, node)? {
            all.get_or_insert_default().extend(items);
        }
    }
    Ok(all)
}

pub fn write_items(items: &[Item], node: Option<&str>) -> Reply {
    Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_ITEMS).attr_opt("node", node);
        for item in items {
            item.write(w);
        }
        w.close();
    })
}

impl Item {
    pub fn write(&self, w: &mut Writer<'_>) {
        w.open("item")
            .attr("jid", &self.jid)
            .attr_opt("node", self.node.as_deref())
            .attr_opt("name", self.name.as_deref())
            .close();
    }
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

/// An account's available sessions, for those who may see its presence.
fn resources(
    cx: &Cx<'_>,
    request: &Request<'_>,
    node: Option<&str>,
) -> Result<Option<Vec<Item>>, Fault> {
    if node.is_none() && !sees_presence(cx, request)? {
        return Ok(Some(Vec::new()));
    }
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

pub fn features(settings: &Settings, of: To) -> Vec<String> {
    let features = disco_features(settings, of);
    features.into_iter().map(str::to_string).collect()
}

impl Info {
    /// §3.2: the answer repeats the question's node.
    pub fn reply(&self, node: Option<&str>) -> Reply {
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
