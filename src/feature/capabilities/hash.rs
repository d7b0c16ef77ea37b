//! What a client or the server says of itself, hashed: XEP-0115 §5.1 and XEP-0390 §4.1.

use crate::state::CapsId;
use crate::xml::ElementRef;
use crate::xmpp::{DataForm, base64, from_base64, ns};

use crate::feature::disco::{Identity, Info};
use crate::xmpp::hashing::digest;

/// Hash functions of XEP-0300 that are at hand, the one to be preferred first.
const ALGORITHMS: &[(&str, &digest::Algorithm)] = &[
    ("sha-256", &digest::SHA256),
    ("sha-512", &digest::SHA512),
    ("sha-384", &digest::SHA384),
];
/// The one the server announces itself by.
pub const OWN_ALGORITHM: &str = "sha-256";
/// A SHA-1 in base64.
const VER_BYTES: usize = 28;

/// XEP-0390 §4.1: what stands behind each part.
const AFTER_ATTRIBUTE: u8 = 0x1f;
const AFTER_ENTRY: u8 = 0x1e;
const AFTER_FORM: u8 = 0x1d;
const AFTER_SECTION: u8 = 0x1c;

/// The id of a SHA-1 of XEP-0115, if it may be one.
pub fn id_of_ver(ver: &str) -> Option<CapsId> {
    (ver.len() == VER_BYTES).then(|| CapsId(ver.into()))
}

/// XEP-0390 §5.4: the hash of a set to go by, the best that is at hand.
pub fn id_of_set(c: ElementRef<'_>) -> Option<CapsId> {
    ALGORITHMS.iter().find_map(|(name, algorithm)| {
        let is_it =
            |hash: &ElementRef<'_>| hash.attribute("algo").is_some_and(|algo| algo == *name);
        let mut hashes = c.children().filter(|hash| hash.is("hash", ns::HASHES));
        let text = hashes.find(is_it)?.text();
        let hash = from_base64(text.trim()).ok()?;
        let is_whole = hash.len() == algorithm.output_len();
        is_whole.then(|| CapsId(format!("{name}.{}", base64(hash)).into()))
    })
}

/// Whether this is what was announced. `lang`: that of the answer, which §4.1 of XEP-0390 has identities inherit; most who
/// announce a hash do not count it in.
pub fn is_hash_of(id: &CapsId, answer: &Answer, lang: &str) -> bool {
    let Some((name, hash)) = id.0.split_once('.') else {
        return verification_string(&answer.info) == *id.0;
    };
    let algorithm = ALGORITHMS.iter().find(|(known, _)| *known == name);
    let Some((_, algorithm)) = algorithm.filter(|_| answer.is_strict) else {
        return false;
    };
    [lang, ""].iter().any(|lang| {
        let input = hash_input(&answer.info, lang);
        base64(digest::digest(algorithm, &input)) == hash
    })
}

/// XEP-0390 §4.3: the server's own.
pub fn own_hash(info: &Info) -> String {
    base64(digest::digest(&digest::SHA256, &hash_input(info, "")))
}

/// XEP-0115 §5.1, with SHA-1.
pub fn verification_string(info: &Info) -> String {
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
    base64(hash)
}

/// In order of bytes.
fn sorted(texts: &[String]) -> Vec<&str> {
    let mut sorted: Vec<&str> = texts.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted
}

/// XEP-0390 §4.1. `lang`: of identities that declare none.
fn hash_input(info: &Info, lang: &str) -> Vec<u8> {
    let mut input = section(info.features.iter().map(|feature| entry([&**feature])));
    let identities = info.identities.iter().map(|identity| {
        let lang = if identity.lang.is_empty() {
            lang
        } else {
            &identity.lang
        };
        let parts = [&*identity.category, &*identity.kind, lang, &*identity.name];
        ended(entry(parts), AFTER_ENTRY)
    });
    input.extend(section(identities));
    let forms = info.forms.iter().map(|form| {
        let fields = form.fields.iter().map(|field| {
            let values = field.values.iter().map(|value| entry([&**value]));
            let field = [entry([&*field.var]), in_order(values)].concat();
            ended(field, AFTER_ENTRY)
        });
        ended(in_order(fields), AFTER_FORM)
    });
    input.extend(section(forms));
    input
}

fn section(parts: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    ended(in_order(parts), AFTER_SECTION)
}

fn entry<const N: usize>(attributes: [&str; N]) -> Vec<u8> {
    let ended = attributes.map(|attribute| ended(attribute.into(), AFTER_ATTRIBUTE));
    ended.concat()
}

fn in_order(parts: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = parts.collect();
    parts.sort_unstable();
    parts.concat()
}

fn ended(mut part: Vec<u8>, end: u8) -> Vec<u8> {
    part.push(end);
    part
}

/// A disco#info result.
pub struct Answer {
    pub info: Info,
    /// Nothing is in it that XEP-0390 §4.1 refuses.
    pub is_strict: bool,
}

/// Reads a disco#info result; `None`: ill-formed by the rules of XEP-0115 §5.4, step 3.
pub fn read(query: ElementRef<'_>) -> Option<Answer> {
    let mut info = Info::default();
    let mut is_strict = true;
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
            is_strict &= !child
                .children()
                .any(|part| matches!(part.name(), "reported" | "item"));
            info.forms.push(form);
        } else {
            is_strict = false;
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
    well_formed.then_some(Answer { info, is_strict })
}

/// XEP-0115 §5.4: a form counts only if its FORM_TYPE is there and hidden.
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
