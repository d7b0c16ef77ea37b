//! JIDs (RFC 7622): prepared once at the edge, compared as text ever after.
use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use precis_core::profile::Profile;
use precis_profiles::{OpaqueString, UsernameCaseMapped};

/// RFC 7622 §3.1: each part takes at most 1023 bytes after preparation.
const PART_BYTES_MAX: usize = 1023;

/// A text that is no JID (RFC 7622 §3); the sender hears `jid-malformed` or `improper-addressing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JidError;

/// Any JID: a bare one or one with a resource. Prepared, so equality of text is equality of JIDs.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jid {
    text: Rc<str>,
    /// Byte offset of `@`, if there is a localpart.
    at: Option<u16>,
    /// Byte offset of `/`, if there is a resource.
    slash: Option<u16>,
}

/// `domain` or `localpart@domain`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BareJid(Jid);

/// A JID with a resourcepart.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FullJid(Jid);

impl Jid {
    /// Parses and prepares.
    pub fn parse(text: &str) -> Result<Jid, JidError> {
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, bare),
        };
        let local = local.map(localpart).transpose()?;
        let domain = domainpart(domain)?;
        let resource = resource.map(resourcepart).transpose()?;
        Ok(Jid::join(local.as_deref(), &domain, resource.as_deref()))
    }

    /// Joins parts that are prepared already.
    fn join(local: Option<&str>, domain: &str, resource: Option<&str>) -> Jid {
        let mut text = String::with_capacity(
            local.map_or(0, |l| l.len() + 1) + domain.len() + resource.map_or(0, |r| r.len() + 1),
        );
        let mut at = None;
        if let Some(local) = local {
            text.push_str(local);
            at = u16::try_from(text.len()).ok();
            text.push('@');
        }
        text.push_str(domain);
        let mut slash = None;
        if let Some(resource) = resource {
            slash = u16::try_from(text.len()).ok();
            text.push('/');
            text.push_str(resource);
        }
        Jid {
            text: text.into(),
            at,
            slash,
        }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn local(&self) -> Option<&str> {
        self.text.get(..usize::from(self.at?))
    }

    pub fn domain(&self) -> &str {
        let start = self.at.map_or(0, |at| usize::from(at) + 1);
        let end = self.slash.map_or(self.text.len(), usize::from);
        self.text.get(start..end).unwrap_or_default()
    }

    pub fn resource(&self) -> Option<&str> {
        self.text.get(usize::from(self.slash?) + 1..)
    }

    pub fn is_bare(&self) -> bool {
        self.slash.is_none()
    }

    /// The text without the resource.
    pub fn bare_str(&self) -> &str {
        let end = self.slash.map_or(self.text.len(), usize::from);
        self.text.get(..end).unwrap_or_default()
    }

    pub fn to_bare(&self) -> BareJid {
        match self.slash {
            None => BareJid(self.clone()),
            Some(_) => BareJid(Jid {
                text: self.bare_str().into(),
                at: self.at,
                slash: None,
            }),
        }
    }

    pub fn to_full(&self) -> Option<FullJid> {
        self.slash.is_some().then(|| FullJid(self.clone()))
    }
}

impl BareJid {
    /// Parses a JID that must have no resource.
    pub fn parse(text: &str) -> Result<BareJid, JidError> {
        let jid = Jid::parse(text)?;
        if jid.is_bare() {
            Ok(BareJid(jid))
        } else {
            Err(JidError)
        }
    }

    /// One that was prepared before it was stored: thousands are read at once, and preparing takes its time.
    pub fn stored(text: &str) -> Option<BareJid> {
        let (local, domain) = match text.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, text),
        };
        let is_part = |part: &str| (1..=PART_BYTES_MAX).contains(&part.len());
        let is_whole = is_part(domain) && local.is_none_or(is_part) && !text.contains('/');
        is_whole.then(|| BareJid(Jid::join(local, domain, None)))
    }

    /// `localpart@domain` from parts, each prepared here.
    pub fn from_parts(local: Option<&str>, domain: &str) -> Result<BareJid, JidError> {
        let local = local.map(localpart).transpose()?;
        Ok(BareJid(Jid::join(
            local.as_deref(),
            &domainpart(domain)?,
            None,
        )))
    }

    /// This JID with a resource, which is prepared here.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        let resource = resourcepart(resource)?;
        Ok(FullJid(Jid::join(
            self.0.local(),
            self.0.domain(),
            Some(&resource),
        )))
    }

    pub fn as_jid(&self) -> &Jid {
        &self.0
    }
}

impl FullJid {
    pub fn parse(text: &str) -> Result<FullJid, JidError> {
        Jid::parse(text)?.to_full().ok_or(JidError)
    }

    pub fn as_jid(&self) -> &Jid {
        &self.0
    }

    pub fn resource(&self) -> &str {
        self.0.resource().expect("a full JID has a resource")
    }
}

impl std::ops::Deref for BareJid {
    type Target = Jid;
    fn deref(&self) -> &Jid {
        &self.0
    }
}

impl std::ops::Deref for FullJid {
    type Target = Jid;
    fn deref(&self) -> &Jid {
        &self.0
    }
}

impl From<BareJid> for Jid {
    fn from(jid: BareJid) -> Jid {
        jid.0
    }
}

impl From<FullJid> for Jid {
    fn from(jid: FullJid) -> Jid {
        jid.0
    }
}

/// RFC 7622 §3.3: UsernameCaseMapped, and without the characters that would make quoting necessary.
pub fn localpart(text: &str) -> Result<Cow<'_, str>, JidError> {
    if is_plain(text, |b| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_')
    }) {
        return Ok(Cow::Borrowed(text));
    }
    let prepared = UsernameCaseMapped::new()
        .enforce(text)
        .map_err(|_| JidError)?;
    let forbidden = |c: char| matches!(c, '"' | '&' | '\'' | '/' | ':' | '<' | '>' | '@');
    if prepared.contains(forbidden) {
        return Err(JidError);
    }
    within_limits(prepared)
}

/// RFC 7622 §3.4: OpaqueString.
pub fn resourcepart(text: &str) -> Result<Cow<'_, str>, JidError> {
    if is_plain(text, |b| b.is_ascii_graphic()) {
        return Ok(Cow::Borrowed(text));
    }
    within_limits(OpaqueString::new().enforce(text).map_err(|_| JidError)?)
}

/// RFC 7622 §3.2: IP literal, or a domain name as U-labels in lower case, a trailing dot dropped.
pub fn domainpart(text: &str) -> Result<Cow<'_, str>, JidError> {
    if let Some(literal) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        let address: Ipv6Addr = literal.parse().map_err(|_| JidError)?;
        return Ok(Cow::Owned(format!("[{address}]")));
    }
    if text.parse::<Ipv4Addr>().is_ok() {
        return Ok(Cow::Borrowed(text));
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    let ascii = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    let prepared =
        if is_plain(text, ascii) && !text.split('.').any(|label| label.starts_with("xn--")) {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(u_labels(text)?)
        };
    let well_formed = |label: &str| {
        let ascii_ok = |c: char| {
            !c.is_ascii() || c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_')
        };
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(ascii_ok)
    };
    if !prepared.split('.').all(well_formed) {
        return Err(JidError);
    }
    if prepared
        .split('.')
        .any(|label| label.is_ascii() && label.len() > 63)
    {
        return Err(JidError);
    }
    within_limits(prepared)
}

/// The domain in U-labels; refused if that is not its own preparation (an A-label whose content looks like one again).
fn u_labels(text: &str) -> Result<String, JidError> {
    let convert = |text: &str| {
        let (unicode, checked) = idna::domain_to_unicode(text);
        checked.map(|()| unicode).map_err(|_| JidError)
    };
    let unicode = convert(text)?;
    if convert(&unicode)? == unicode {
        Ok(unicode)
    } else {
        Err(JidError)
    }
}

/// True for a text that every profile leaves as it is: not empty, within limits, and of such bytes only.
fn is_plain(text: &str, byte: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.len() <= PART_BYTES_MAX && text.bytes().all(byte)
}

fn within_limits(text: Cow<'_, str>) -> Result<Cow<'_, str>, JidError> {
    if text.is_empty() || text.len() > PART_BYTES_MAX {
        Err(JidError)
    } else {
        Ok(text)
    }
}

macro_rules! text_of {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}
text_of!(Jid, BareJid, FullJid);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepares_every_part() {
        for (given, prepared) in [
            ("juliet@example.com", "juliet@example.com"),
            ("JULIET@Example.COM/Balcony", "juliet@example.com/Balcony"),
            ("juliet@example.com.", "juliet@example.com"),
            ("juliet@example.com/foo bar", "juliet@example.com/foo bar"),
            (
                "juliet@example.com/foo@bar/baz",
                "juliet@example.com/foo@bar/baz",
            ),
            ("fußball@example.com", "fußball@example.com"),
            ("π@example.com", "π@example.com"),
            ("Σ@example.com/foo", "σ@example.com/foo"),
            ("king@example.com/♚", "king@example.com/♚"),
            ("example.com", "example.com"),
            ("a@XN--bcher-KVA.example", "a@bücher.example"),
            ("a@BÜCHER.example", "a@bücher.example"),
            ("a@127.0.0.1", "a@127.0.0.1"),
            ("a@[0:0:0:0:0:0:0:1]/r", "a@[::1]/r"),
            ("foo\\20bar@example.com", "foo\\20bar@example.com"),
        ] {
            assert_eq!(
                Jid::parse(given).map(|j| j.to_string()),
                Ok(prepared.to_string()),
                "{given}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_jid() {
        let long = "a".repeat(1024);
        for text in [
            "",
            "@example.com",
            "juliet@",
            "/r",
            "juliet@example.com/",
            "\"juliet\"@example.com",
            "foo bar@example.com",
            "henry\u{2163}@example.com",
            "♚@example.com",
            "a@ex ample.com",
            "a@b@c",
            "a@.example",
            "a@-x.example",
            "a@[::zz]",
            "a@exa<mple",
            "a@xn--xn--bbcherc-k3e",
            &format!("{long}@example.com"),
            &format!("a@example.com/{long}"),
        ] {
            assert_eq!(Jid::parse(text), Err(JidError), "{text}");
        }
    }

    #[test]
    fn parts_of_a_full_jid() {
        let jid = Jid::parse("a@b/c/d").unwrap();
        assert_eq!(
            (jid.local(), jid.domain(), jid.resource()),
            (Some("a"), "b", Some("c/d"))
        );
        assert_eq!(jid.to_bare().as_str(), "a@b");
    }
}
