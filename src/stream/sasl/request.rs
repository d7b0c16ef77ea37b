//! XEP-0388 §2.3: what `<authenticate/>` asks for beside authentication itself: who the client is, an earlier session
//! (XEP-0198 §8), a resource with what it begins with (XEP-0386), tokens (XEP-0484), upgrades (XEP-0480).
use crate::xml::ElementRef;
use crate::xmpp::ns;

use super::{Hashes, ScramHash};

/// Bytes of each text by which a client describes itself; more is cut off.
pub const AGENT_TEXT_BYTES_MAX: usize = 128;

/// XEP-0388 §2.3: the client as it describes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAgent {
    /// A UUID, lower case; what is none is as good as absent.
    pub id: Option<Box<str>>,
    pub software: Box<str>,
    pub device: Box<str>,
    /// XEP-0494 §3.1.
    pub uri: Box<str>,
}

/// XEP-0198 §5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResumeRequest {
    Session {
        id: Box<str>,
        h: u32,
    },
    /// It names no session, or no number.
    Malformed,
}

/// XEP-0198 §3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnableRequest {
    pub resume: bool,
    pub max: Option<u32>,
}

/// XEP-0386 §3.2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindRequest {
    pub tag: Option<Box<str>>,
    pub carbons: bool,
    pub enable: Option<EnableRequest>,
    /// The session begins inactive (XEP-0352).
    pub inactive: bool,
}

/// XEP-0484 §3.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FastRequest {
    pub count: Option<u32>,
    pub invalidate: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub agent: UserAgent,
    pub resume: Option<ResumeRequest>,
    pub bind: Option<BindRequest>,
    pub fast: Option<FastRequest>,
    /// Mechanism a token is wanted for (XEP-0484 §3.2).
    pub token_for: Option<Box<str>>,
    pub(super) upgrades: Hashes,
    /// XEP-0509 §2.2.
    pub(super) config_version: Option<Box<str>>,
    /// It came in TLS early data.
    pub early: bool,
}

impl Request {
    pub(super) fn parse(root: ElementRef<'_>) -> Request {
        let mut request = Request::default();
        for child in root.children() {
            match (child.namespace(), child.name()) {
                (ns::SASL2, "user-agent") => request.agent = user_agent(child),
                (ns::MANAGEMENT, "resume") => request.resume = Some(resume(child)),
                (ns::BIND2, "bind") => request.bind = Some(bind(child)),
                (ns::FAST, "fast") => request.fast = Some(fast(child)),
                (ns::FAST, "request-token") => {
                    request.token_for = child.attribute("mechanism").map(|name| name.into());
                }
                (ns::SASL_UPGRADE, "upgrade") => request
                    .upgrades
                    .extend(ScramHash::of_upgrade(child.text().trim())),
                (ns::PIPELINING, "config-version") => {
                    request.config_version =
                        Some(child.attribute("value").unwrap_or_default().into());
                }
                _ => {}
            }
        }
        request
    }
}

fn user_agent(element: ElementRef<'_>) -> UserAgent {
    let text = |name| {
        let child = element.child(name, ns::SASL2);
        child.map_or(Box::default(), |child| cut(child.text().trim()).into())
    };
    let id = element.attribute("id").map(|id| id.to_ascii_lowercase());
    UserAgent {
        id: id.filter(|id| is_uuid(id)).map(|id| id.into()),
        software: text("software"),
        device: text("device"),
        uri: text("uri"),
    }
}

fn resume(element: ElementRef<'_>) -> ResumeRequest {
    let h = element.attribute("h").and_then(|h| h.parse().ok());
    match (element.attribute("previd"), h) {
        (Some(id), Some(h)) => ResumeRequest::Session { id: id.into(), h },
        _ => ResumeRequest::Malformed,
    }
}

fn bind(element: ElementRef<'_>) -> BindRequest {
    let mut bind = BindRequest::default();
    for child in element.children() {
        match (child.namespace(), child.name()) {
            (ns::BIND2, "tag") => bind.tag = Some(child.text().trim().into()),
            (ns::CARBONS, "enable") => bind.carbons = true,
            (ns::MANAGEMENT, "enable") => bind.enable = Some(enable_request(child)),
            (ns::CLIENT_STATE, name) => bind.inactive = name == "inactive",
            _ => {}
        }
    }
    bind
}

/// The attributes of XEP-0198's `<enable/>`, wherever it stands.
pub fn enable_request(element: ElementRef<'_>) -> EnableRequest {
    EnableRequest {
        resume: is_true(element, "resume"),
        max: element.attribute("max").and_then(|max| max.parse().ok()),
    }
}

fn fast(element: ElementRef<'_>) -> FastRequest {
    FastRequest {
        count: element
            .attribute("count")
            .and_then(|count| count.parse().ok()),
        invalidate: is_true(element, "invalidate"),
    }
}

/// XML Schema's boolean.
fn is_true(element: ElementRef<'_>, name: &str) -> bool {
    matches!(element.attribute(name).as_deref(), Some("true" | "1"))
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    let digits = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    text.bytes().all(digits) && lengths.eq([8, 4, 4, 4, 12])
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(AGENT_TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uuids_name_a_client() {
        assert!(is_uuid("d4565fa7-4d72-4749-b3d3-740edbf87770"));
        for bad in [
            "",
            "x",
            "d4565fa74d724749b3d3740edbf87770",
            "d4565fa7-4d72-4749-b3d3-740edbf8777",
            "d4565fa7-4d72-4749-b3d3-740edbf8777g",
        ] {
            assert!(!is_uuid(bad), "{bad}");
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let long = format!("a{}", "é".repeat(AGENT_TEXT_BYTES_MAX));
        assert_eq!(cut(&long).len(), AGENT_TEXT_BYTES_MAX - 1);
        assert_eq!(cut("short"), "short");
    }
}
