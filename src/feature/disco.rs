//! XEP-0030: Service Discovery of the server and of accounts, with the forms of XEP-0128.
use crate::state::{Cx, Fault, Settings};
use crate::xml::Writer;
use crate::xmpp::{Condition, DataForm, ns};

use super::{
    Feature, IqRoute, Reply, Request, Spec, To, capabilities, contact_addresses, disco_features,
    sees_presence, token_auth,
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

/// §3.1; the node of the server's own capabilities (XEP-0115 §6.2) shows the same.
fn info_of_server(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let info = server_info(&cx.state.settings);
    let node = request.payload.attribute("node");
    if let Some(node) = node.as_deref()
        && node != capabilities::own_node(&info)
    {
        return Err(Condition::ItemNotFound.into());
    }
    Ok(info.reply(node.as_deref()))
}

/// What the server says of itself; its capabilities are the hash of this.
pub fn server_info(settings: &Settings) -> Info {
    let identity = Identity {
        category: "server".into(),
        kind: "im".into(),
        name: "Stonechat".into(),
        ..Identity::default()
    };
    let mut features = features(To::Server);
    features.extend(token_auth::server_feature(settings).map(str::to_string));
    features.sort_unstable();
    Info {
        identities: vec![identity],
        features,
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
        features: features(whom),
        forms: Vec::new(),
    };
    Ok(info.reply(None))
}

/// §4.1
fn items_of_server(_cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    require_no_node(request)?;
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_ITEMS).close();
    }))
}

/// §4.1, §8: the available resources; none to those who may not see the account's presence.
fn items_of_account(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let is_shown = sees_presence(cx, request)?;
    if is_shown {
        require_no_node(request)?;
    }
    let sessions = cx.state.sessions.of(request.account_jid());
    let available = sessions.filter(|session| is_shown && session.presence.is_some());
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_ITEMS)
            .attr_opt("node", request.payload.attribute("node").as_deref());
        for session in available {
            w.open("item").attr("jid", session.jid.as_str()).close();
        }
        w.close();
    }))
}

fn require_no_node(request: &Request<'_>) -> Result<(), Condition> {
    match request.payload.attribute("node") {
        Some(_) => Err(Condition::ItemNotFound),
        None => Ok(()),
    }
}

fn features(of: To) -> Vec<String> {
    let features = disco_features(of);
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
