//! XEP-0115: Entity Capabilities. The server's own, and those of clients: asked once for each hash, believed only when
//! the hash is right.
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use crate::state::{
    CLIENT_FEATURES_MAX, CapsId, Cx, Question, Questions, SessionId, Settings, Then,
};
use crate::xml::{ElementRef, Escaped};
use crate::xmpp::{DataForm, Iq, IqKind, Jid, ns, quoted};

use super::disco::{Identity, Info, server_info};
use super::{Feature, Spec, To};

/// Names this software (§4).
const NODE: &str = "urn:stonechat:server";
/// The only hash that must be known (§9.1), and the only one in use.
const HASH: &str = "sha-1";
/// A SHA-1 in base64.
const VER_BYTES: usize = 28;
/// Bytes of all features kept of one client.
const CLIENT_FEATURES_BYTES_MAX: usize = 16 << 10;
/// Sessions asked about the same hash at a time, so that one that never answers keeps nobody from learning it.
const ASKED_OF_MAX: usize = 3;
/// Questions to one session at a time; what it announces beyond that is asked at its next presence.
const ASKED_BY_MAX: usize = 4;
/// How long an answer is waited for: a client may be away meanwhile.
const ANSWER_MS_MAX: u64 = 3_600_000;

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete("XEP-0115", "Entity Capabilities", "1.6.0")],
    disco: &[(To::Server, ns::CAPS)],
    nodes: &[(To::Server, own_info)],
    ..Feature::new("capabilities")
};

/// §6.3: the `<c/>` for the stream features.
pub fn own_caps(settings: &Settings) -> Rc<str> {
    let ver = verification_string(&server_info(settings));
    format!(
        "<c xmlns='{}' hash='{HASH}' node='{}' ver='{ver}'/>",
        ns::CAPS,
        Escaped(NODE)
    )
    .into()
}

/// §6.2: the node of the server's own capabilities shows what the server itself does.
fn own_info(settings: &Settings, node: &str) -> Option<Info> {
    let info = server_info(settings);
    (node == own_node(&info)).then_some(info)
}

/// The disco node under which the server shows what its capabilities stand for.
fn own_node(info: &Info) -> String {
    format!("{NODE}#{}", verification_string(info))
}

/// §5.1, with SHA-1.
fn verification_string(info: &Info) -> String {
    let mut text = String::with_capacity(4096);
    let mut append = |part: &str| {
        text.push_str(part);
        text.push('<');
    };
    let mut identities: Vec<&Identity> = info.identities.iter().collect();
    identities.sort();
    for identity in identities {
        let Identity {
            category,
            kind,
            lang,
            name,
        } = identity;
        append(&format!("{category}/{kind}/{lang}/{name}"));
    }
    for feature in sorted(&info.features) {
        append(feature);
    }
    let mut forms: Vec<&DataForm> = info.forms.iter().collect();
    forms.sort_by_key(|form| form.form_type());
    for form in forms {
        append(form.form_type().unwrap_or_default());
        let mut fields: Vec<_> = form.fields.iter().collect();
        fields.sort_by(|one, other| one.var.cmp(&other.var));
        for field in fields.iter().filter(|field| field.var != "FORM_TYPE") {
            append(&field.var);
            for value in sorted(&field.values) {
                append(value);
            }
        }
    }
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    STANDARD.encode(hash)
}

/// In order of bytes.
fn sorted(texts: &[String]) -> Vec<&str> {
    let mut sorted: Vec<&str> = texts.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted
}

/// §6.1: what a presence announces, with the client's node. Legacy announcements and other hashes are passed over.
pub fn announced(presence: ElementRef<'_>) -> Option<(CapsId, String)> {
    let c = presence.child("c", ns::CAPS)?;
    let ver = c.attribute("ver")?;
    if c.attribute("hash")? != HASH || ver.len() != VER_BYTES {
        return None;
    }
    Some((
        CapsId(ver.as_ref().into()),
        c.attribute("node")?.into_owned(),
    ))
}

/// §6.2: asks the client what its hash stands for, unless that is known or asked already.
pub fn ask(cx: &mut Cx<'_>, session: SessionId, caps: &CapsId, node: &str) {
    if cx.state.capabilities.features(caps).is_some() {
        return;
    }
    let Some(jid) = cx.state.sessions.get(session).map(|s| s.jid.clone()) else {
        return;
    };
    let now_ms = cx.now.monotonic_ms;
    if !may_ask(&cx.state.questions, jid.as_jid(), caps)
        || !cx.state.questions.has_room(jid.as_jid(), now_ms)
    {
        return;
    }
    // Each has an id of its own, or the answer to an older one would be taken for that to a newer.
    let id = cx.new_id();
    let domain = cx.state.domains.served().clone();
    let question = Question {
        asker: domain.clone().into(),
        asked: jid.clone().into(),
        deadline_ms: now_ms + ANSWER_MS_MAX,
        then: Then::Capabilities(caps.clone()),
    };
    cx.state.questions.ask(&id, question);
    cx.send(session, |w| {
        w.open("iq")
            .attr("type", "get")
            .attr("id", &id)
            .attr("from", domain.as_str())
            .attr("to", jid.as_str());
        w.open_ns("query", ns::DISCO_INFO)
            .attr("node", &format!("{node}#{}", caps.0))
            .close()
            .close();
    });
}

/// Not when it is being asked already, or too much is.
fn may_ask(questions: &Questions, client: &Jid, caps: &CapsId) -> bool {
    let is_same = |question: &&Question| question.then == Then::Capabilities(caps.clone());
    questions.of(client).count() < ASKED_BY_MAX
        && !questions.of(client).any(|question| is_same(&question))
        && questions.all().filter(is_same).count() < ASKED_OF_MAX
}

/// §5.4: a client's answer. Kept only if it hashes to what the client announced.
pub fn answered(cx: &mut Cx<'_>, asked: CapsId, iq: &Iq) {
    let root = iq.element.root();
    let Some(query) = root
        .child("query", ns::DISCO_INFO)
        .filter(|_| iq.kind == IqKind::Result)
    else {
        return;
    };
    match read(query).filter(|info| verification_string(info) == *asked.0) {
        Some(info) => cx.state.capabilities.learn(asked, kept(info.features)),
        None => {
            let from = iq.envelope.from.as_ref().map_or("", Jid::as_str);
            log::debug!(
                "capabilities.refused jid={} ver={}",
                quoted(from),
                quoted(&asked.0)
            );
        }
    }
}

fn kept(features: Vec<String>) -> Vec<Box<str>> {
    let mut bytes = 0;
    features
        .into_iter()
        .take(CLIENT_FEATURES_MAX)
        .take_while(|feature| {
            bytes += feature.len();
            bytes <= CLIENT_FEATURES_BYTES_MAX
        })
        .map(String::into_boxed_str)
        .collect()
}

/// Reads a disco#info result; `None`: ill-formed by the rules of §5.4, step 3.
fn read(query: ElementRef<'_>) -> Option<Info> {
    let mut info = Info::default();
    for child in query.children() {
        let attribute = |name| child.attribute(name).unwrap_or_default().into_owned();
        if child.is("identity", ns::DISCO_INFO) {
            let identity = Identity {
                category: attribute("category"),
                kind: attribute("type"),
                lang: child.lang().unwrap_or_default().into_owned(),
                name: attribute("name"),
            };
            info.identities.push(identity);
        } else if child.is("feature", ns::DISCO_INFO) {
            info.features.push(attribute("var"));
        } else if let Some(form) = DataForm::parse(child).filter(|_| has_hidden_type(child)) {
            info.forms.push(form);
        }
    }
    let one_type = |form: &DataForm| {
        let types = form.values("FORM_TYPE").unwrap_or_default();
        types.windows(2).all(|pair| pair.first() == pair.last())
    };
    let form_types = info.forms.iter().map(|form| form.form_type());
    let well_formed = all_differ(info.identities.iter())
        && all_differ(info.features.iter())
        && all_differ(form_types)
        && info.forms.iter().all(one_type);
    well_formed.then_some(info)
}

/// §5.4: a form counts only if its FORM_TYPE is there and hidden.
fn has_hidden_type(form: ElementRef<'_>) -> bool {
    let mut fields = form.children().filter(|c| c.is("field", ns::DATA_FORM));
    fields.any(|field| {
        field.attribute("var").as_deref() == Some("FORM_TYPE")
            && field.attribute("type").as_deref() == Some("hidden")
    })
}

fn all_differ<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items.windows(2).all(|pair| pair.first() != pair.last())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse_stored;

    const FEATURES: &str = "<feature var='http://jabber.org/protocol/caps'/>\
        <feature var='http://jabber.org/protocol/muc'/>\
        <feature var='http://jabber.org/protocol/disco#info'/>\
        <feature var='http://jabber.org/protocol/disco#items'/>";

    fn read_text(children: &str) -> Option<Info> {
        let query =
            format!("<query xmlns='http://jabber.org/protocol/disco#info'>{children}</query>");
        read(parse_stored(&query, "").unwrap().root())
    }

    fn form(fields: &str) -> String {
        format!("<x xmlns='jabber:x:data' type='result'>{fields}</x>")
    }

    #[test]
    fn simple_example() {
        let identity = "<identity category='client' name='Exodus 0.9.1' type='pc'/>";
        let info = read_text(&format!("{identity}{FEATURES}")).unwrap();
        assert_eq!(verification_string(&info), "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }

    #[test]
    fn complex_example() {
        let identities = "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>\
            <identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>";
        let form = form(
            "<field var='os_version'><value>10.5.1</value></field>\
             <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
             <field var='ip_version' type='text-multi'><value>ipv6</value><value>ipv4</value></field>\
             <field var='os'><value>Mac</value></field>\
             <field var='software'><value>Psi</value></field>\
             <field var='software_version'><value>0.11</value></field>",
        );
        let info = read_text(&format!("{form}{identities}{FEATURES}")).unwrap();
        assert_eq!(verification_string(&info), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
    }

    #[test]
    fn ill_formed_answers_are_refused() {
        let form_type = |value| {
            form(&format!(
                "<field var='FORM_TYPE' type='hidden'><value>{value}</value></field>"
            ))
        };
        let two_types =
            form("<field var='FORM_TYPE' type='hidden'><value>a</value><value>b</value></field>");
        for (children, well_formed) in [
            ("<feature var='a'/><feature var='a'/>".to_string(), false),
            (
                "<identity category='a' type='b'/><identity category='a' type='b'/>".into(),
                false,
            ),
            (
                "<identity category='a' type='b'/><identity category='a' type='b' xml:lang='en'/>"
                    .into(),
                true,
            ),
            (format!("{}{}", form_type("a"), form_type("a")), false),
            (format!("{}{}", form_type("a"), form_type("b")), true),
            (two_types, false),
        ] {
            assert_eq!(read_text(&children).is_some(), well_formed, "{children}");
        }
    }

    #[test]
    fn forms_without_a_hidden_type_do_not_count() {
        for fields in [
            "<field var='a'><value>1</value></field>",
            "<field var='FORM_TYPE'><value>t</value></field>",
        ] {
            let info = read_text(&form(fields)).unwrap();
            assert_eq!(info.forms, Vec::new());
        }
    }

    #[test]
    fn announcements_of_other_kinds_are_passed_over() {
        let announced_by = |attributes: &str| {
            let text = format!(
                "<presence><c xmlns='{}' {attributes}/></presence>",
                ns::CAPS
            );
            announced(parse_stored(&text, ns::CLIENT).unwrap().root())
        };
        let (caps, node) =
            announced_by("hash='sha-1' node='n' ver='QgayPKawpkPSDYmwT/WM94uAlu0='").unwrap();
        assert_eq!(
            (&*caps.0, node.as_str()),
            ("QgayPKawpkPSDYmwT/WM94uAlu0=", "n")
        );
        for attributes in [
            "node='n' ver='QgayPKawpkPSDYmwT/WM94uAlu0='",
            "hash='md5' node='n' ver='QgayPKawpkPSDYmwT/WM94uAlu0='",
            "hash='sha-1' node='n' ver='0.9'",
            "hash='sha-1' node='n'",
        ] {
            assert!(announced_by(attributes).is_none(), "{attributes}");
        }
    }

    #[test]
    fn own_caps_and_node_name_the_same_hash() {
        let settings = Settings::new("localhost");
        let node = own_node(&server_info(&settings));
        let (_, ver) = node.split_once('#').unwrap();
        assert!(own_caps(&settings).contains(&format!("ver='{ver}'")));
    }
}
