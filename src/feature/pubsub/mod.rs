//! XEP-0060: Publish-Subscribe, as accounts (XEP-0163) and the service are asked for it. What is asked is read here; the
//! engine is `pubsub`.
mod decide;
mod disco;
mod form;
mod items;
mod own;
mod owners;
mod retrieve;
mod subscribe;

use crate::pubsub::{self, AccessModel, Owner, OwnerKind, refusal};
use crate::state::{Cx, Fault, Local};
use crate::store::Affiliation;
use crate::xml::ElementRef;
use crate::xmpp::{Condition, DataForm, FormKind, IqKind, Message, ns};

use super::{Feature, IqRoute, Reply, Request, Spec, To, pep, sees_presence};

const SERVICE: To = To::Service(crate::pubsub::owner::SERVICE);

macro_rules! features {
    ($($name:literal),* $(,)?) => {
        &[
            (To::Account, ns::PUBSUB),
            (SERVICE, ns::PUBSUB),
            (SERVICE, ns::DISCO_INFO),
            (SERVICE, ns::DISCO_ITEMS),
            (SERVICE, ns::COMMANDS),
            (SERVICE, ns::PUBSUB_FILTER),
            (To::Account, ns::PUBSUB_FILTER),
            (SERVICE, ns::ORDER_BY),
            (SERVICE, "urn:xmpp:order-by:1@http://jabber.org/protocol/pubsub"),
            (To::Account, ns::ORDER_BY),
            (To::Account, "urn:xmpp:order-by:1@http://jabber.org/protocol/pubsub"),
            (To::OwnAccount, ns::COMMANDS),
            $(
                (To::Account, concat!("http://jabber.org/protocol/pubsub#", $name)),
                (SERVICE, concat!("http://jabber.org/protocol/pubsub#", $name)),
            )*
            (To::Account, "http://jabber.org/protocol/pubsub#access-presence"),
            (SERVICE, "http://jabber.org/protocol/pubsub#access-open"),
            (SERVICE, "http://jabber.org/protocol/pubsub#instant-nodes"),
        ]
    };
}

pub const FEATURE: Feature = Feature {
    specs: &[
        Spec::partial(
            "XEP-0060",
            "Publish-Subscribe",
            "1.30.0",
            "no collections, digests, leases",
        ),
        Spec::partial("XEP-0413", "Order-By", "0.2.1", "only items of nodes"),
        Spec::complete("XEP-0462", "PubSub Type Filtering", "0.1.1"),
    ],
    disco: features![
        "auto-create",
        "config-node",
        "config-node-max",
        "create-and-configure",
        "create-nodes",
        "delete-items",
        "delete-nodes",
        "get-pending",
        "item-ids",
        "manage-subscriptions",
        "member-affiliation",
        "meta-data",
        "modify-affiliations",
        "multi-items",
        "outcast-affiliation",
        "persistent-items",
        "publish",
        "publish-node-full",
        "publish-only-affiliation",
        "publish-options",
        "publisher-affiliation",
        "purge-nodes",
        "retract-items",
        "retrieve-affiliations",
        "retrieve-default",
        "retrieve-default-sub",
        "retrieve-items",
        "retrieve-subscriptions",
        "rsm",
        "subscribe",
        "subscription-notifications",
        "subscription-options",
    ],
    // XEP-0163 §6.1: an account has nodes.
    identities: &[(To::Account, "pubsub", "pep")],
    items: &[(To::Account, disco::nodes_of_account)],
    nodes: &[(To::Account, disco::info_of_accounts_node)],
    iq: &[
        IqRoute::get(To::Account, ns::PUBSUB, "pubsub", run).refused_by(Condition::ItemNotFound),
        IqRoute::set(To::Account, ns::PUBSUB, "pubsub", run).refused_by(Condition::ItemNotFound),
        IqRoute::get(To::Account, ns::PUBSUB_OWNER, "pubsub", run)
            .refused_by(Condition::ItemNotFound),
        IqRoute::set(To::Account, ns::PUBSUB_OWNER, "pubsub", run)
            .refused_by(Condition::ItemNotFound),
        IqRoute::get(SERVICE, ns::PUBSUB, "pubsub", run),
        IqRoute::set(SERVICE, ns::PUBSUB, "pubsub", run),
        IqRoute::get(SERVICE, ns::PUBSUB_OWNER, "pubsub", run),
        IqRoute::set(SERVICE, ns::PUBSUB_OWNER, "pubsub", run),
        IqRoute::set(To::OwnAccount, ns::COMMANDS, "command", decide::get_pending),
        IqRoute::set(SERVICE, ns::COMMANDS, "command", decide::get_pending),
        IqRoute::get(SERVICE, ns::DISCO_INFO, "query", disco::info_of_service),
        IqRoute::get(SERVICE, ns::DISCO_ITEMS, "query", disco::items_of_service),
    ],
    ..Feature::new("pubsub")
};

/// A request, whose nodes it is about, and its child that says what is wanted.
struct Asked<'a> {
    request: &'a Request<'a>,
    owner: Owner,
    child: ElementRef<'a>,
}

type Run = fn(&mut Cx<'_>, &Asked<'_>) -> Result<Reply, Fault>;

/// What can be asked.
const ACTIONS: &[(IqKind, &str, &str, Run)] = &[
    (IqKind::Get, ns::PUBSUB, "items", retrieve::retrieve),
    (IqKind::Set, ns::PUBSUB, "publish", items::publish),
    (IqKind::Set, ns::PUBSUB, "retract", items::retract),
    (IqKind::Set, ns::PUBSUB, "create", owners::create),
    (IqKind::Get, ns::PUBSUB, "subscriptions", own::subscriptions),
    (IqKind::Get, ns::PUBSUB, "affiliations", own::affiliations),
    (IqKind::Set, ns::PUBSUB, "subscribe", subscribe::subscribe),
    (
        IqKind::Set,
        ns::PUBSUB,
        "unsubscribe",
        subscribe::unsubscribe,
    ),
    (IqKind::Get, ns::PUBSUB, "options", subscribe::options),
    (IqKind::Set, ns::PUBSUB, "options", subscribe::set_options),
    (IqKind::Get, ns::PUBSUB, "default", subscribe::usual_options),
    (
        IqKind::Get,
        ns::PUBSUB_OWNER,
        "affiliations",
        decide::affiliations,
    ),
    (
        IqKind::Set,
        ns::PUBSUB_OWNER,
        "affiliations",
        decide::set_affiliations,
    ),
    (
        IqKind::Get,
        ns::PUBSUB_OWNER,
        "subscriptions",
        decide::subscriptions,
    ),
    (
        IqKind::Set,
        ns::PUBSUB_OWNER,
        "subscriptions",
        decide::set_subscriptions,
    ),
    (
        IqKind::Get,
        ns::PUBSUB_OWNER,
        "configure",
        owners::configuration,
    ),
    (
        IqKind::Set,
        ns::PUBSUB_OWNER,
        "configure",
        owners::configure,
    ),
    (IqKind::Get, ns::PUBSUB_OWNER, "default", owners::usual),
    (IqKind::Set, ns::PUBSUB_OWNER, "delete", owners::delete),
    (IqKind::Set, ns::PUBSUB_OWNER, "purge", owners::purge),
];

fn owner_of(cx: &Cx<'_>, request: &Request<'_>) -> Owner {
    match request.account {
        Some((jid, account)) => Owner::account(jid, account),
        None => Owner::service(cx),
    }
}

/// §8.6.1: a message to the service, or of an account to itself, by which an owner decides; false: it is something else.
pub fn decision(
    cx: &mut Cx<'_>,
    account: Option<&Local>,
    message: &Message,
) -> Result<bool, Fault> {
    let owner = match account {
        Some(local) => Owner::account(&local.jid, local.account),
        None => Owner::service(cx),
    };
    decide::decision(cx, &owner, message)
}

fn run(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let payload = request.payload;
    let find = |child: ElementRef<'_>| {
        let is_it = |(kind, namespace, name, _): &&(IqKind, &str, &str, Run)| {
            *kind == request.iq.kind && child.is(name, namespace)
        };
        ACTIONS.iter().find(is_it).map(|(_, _, _, run)| *run)
    };
    let owner = owner_of(cx, request);
    if let OwnerKind::Account(_) = owner.kind
        && !may_know(cx, &owner, request)?
    {
        return Err(Condition::ItemNotFound.into());
    }
    // §6.3.7: options may go along with a subscription.
    let subscribes = payload.child("subscribe", ns::PUBSUB).is_some();
    let mut known = payload
        .children()
        .filter(|child| !subscribes || child.name() != "options")
        .filter_map(|child| Some((child, find(child)?)));
    let Some((child, run)) = known.next() else {
        return Err(refused(payload));
    };
    if known.next().is_some() {
        return Err(Condition::BadRequest.into());
    }
    let asked = Asked {
        request,
        owner,
        child,
    };
    if let Some(node) = asked.child.attribute("node") {
        pep::prepare(cx, &asked.owner, request.from, &node)?;
    }
    run(cx, &asked)
}

/// RFC 6121 §8.5.1: of an account that shows a stranger nothing, nobody hears whether it is there. A node that may be known
/// tells of its account.
fn may_know(cx: &Cx<'_>, owner: &Owner, request: &Request<'_>) -> Result<bool, Fault> {
    if sees_presence(cx, request)? {
        return Ok(true);
    }
    let from = request.from;
    let named = request
        .payload
        .children()
        .find_map(|child| child.attribute("node"));
    let Some(name) = named else {
        let theirs = cx.tx.related_nodes(owner.number(), from.bare_str())?;
        return Ok(!theirs.is_empty());
    };
    let Some(node) = pubsub::node(cx, owner, &name)? else {
        return Ok(false);
    };
    let standing = pubsub::access::standing(cx, owner, &node, from)?;
    Ok(node.config.access() != AccessModel::Whitelist || standing.affiliation > Affiliation::None)
}

/// What is not done here.
fn refused(payload: ElementRef<'_>) -> Fault {
    let mut children = payload.children();
    let is_of_collections =
        children.any(|child| matches!(child.name(), "collection" | "associate"));
    match is_of_collections {
        true => refusal::unsupported("collections").into(),
        false => Condition::BadRequest.into(),
    }
}

impl Asked<'_> {
    /// The node it names.
    fn node(&self) -> Result<String, Fault> {
        let node = self.child.attribute("node");
        let node = node.filter(|node| !node.is_empty());
        Ok(node.ok_or(refusal::NODEID_REQUIRED)?.into_owned())
    }

    /// A form of an element beside or below; `None`: there is none, or it was cancelled.
    fn form(&self, within: ElementRef<'_>, form_type: &str) -> Result<Option<DataForm>, Fault> {
        let Some(x) = within.child("x", ns::DATA_FORM) else {
            return Ok(None);
        };
        let form = DataForm::parse_answer(x).ok_or(Condition::BadRequest)?;
        match form.kind {
            FormKind::Submit if form.form_type().is_none_or(|known| known == form_type) => {
                Ok(Some(form))
            }
            FormKind::Cancel => Ok(None),
            _ => Err(Condition::BadRequest.into()),
        }
    }
}
