//! Tags while bytes trickle in (XML 1.0 §3.1): where one ends, and that it can end at all.
use memchr::memchr2;

use super::super::XmlError;
use super::super::chars::is_white;
use super::super::tag::NameHash;
use super::{Framer, Kind, State, Step, find, over};

/// Whether a name may begin with this byte, as far as one byte tells.
pub(super) fn starts_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'_' | b':' | 0x80..)
}

fn is_in_name(byte: u8) -> bool {
    starts_name(byte) || matches!(byte, b'0'..=b'9' | b'-' | b'.')
}

impl Framer {
    /// A tag from its name to its `>`, as far as `bytes` go.
    pub(super) fn start_tag(&mut self, bytes: &[u8], mut at: usize) -> Result<Step, XmlError> {
        while let Some(&byte) = bytes.get(at) {
            let next = match (self.state, byte) {
                (State::Quoted(quote), _) => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    let Some(found) = memchr2(quote, b'<', rest).map(|offset| at + offset) else {
                        return Ok(Step::To(bytes.len()));
                    };
                    at = found;
                    // §2.3: never in a value.
                    match bytes.get(found) {
                        Some(b'<') => return Err(XmlError::NotWellFormed),
                        _ => State::AfterValue,
                    }
                }
                (State::Name, _) if is_in_name(byte) => {
                    at = self.hash_name(bytes, at);
                    continue;
                }
                (State::Attribute, _) if is_in_name(byte) => State::Attribute,
                (State::Attribute | State::AfterAttribute, b'=') => State::BeforeValue,
                (State::Attribute | State::AfterAttribute, _) if is_white(byte) => {
                    State::AfterAttribute
                }
                (State::BeforeValue, b'\'' | b'"') => State::Quoted(byte),
                (State::BeforeValue, _) if is_white(byte) => State::BeforeValue,
                (State::Tag, _) if starts_name(byte) => {
                    self.attributes += 1;
                    over(self.attributes, self.limits.attributes)?;
                    State::Attribute
                }
                (State::Name | State::Tag | State::AfterValue, b'>' | b'/') => {
                    self.name_is_read()?;
                    if byte == b'>' {
                        return self.opened(at + 1);
                    }
                    State::Slash
                }
                (State::Name | State::Tag | State::AfterValue, _) if is_white(byte) => {
                    self.name_is_read()?;
                    State::Tag
                }
                (State::Slash, b'>') if self.in_header() => return Err(XmlError::NotWellFormed),
                (State::Slash, b'>') => return Ok(self.leave(at + 1)),
                _ => return Err(XmlError::NotWellFormed),
            };
            self.state = next;
            at += 1;
        }
        Ok(Step::To(at))
    }

    fn opened(&mut self, at: usize) -> Result<Step, XmlError> {
        match self.in_header() {
            true => Ok(Step::Done(Kind::Header, at)),
            false => Ok(self.to(State::Text, at)),
        }
    }

    /// Hashes name bytes; where the name ends, or all of `bytes`.
    fn hash_name(&mut self, bytes: &[u8], at: usize) -> usize {
        let name = bytes.iter().skip(at).take_while(|&&byte| is_in_name(byte));
        let mut next = at;
        for byte in name {
            self.name.add(*byte);
            next += 1;
        }
        next
    }

    /// The name of an element ended, if this state was its last.
    fn name_is_read(&mut self) -> Result<(), XmlError> {
        if self.state != State::Name {
            return Ok(());
        }
        let name = self.name;
        if self.in_header() {
            self.header_name = name;
            return Ok(());
        }
        // Its end tag would end the stream; waiting for it, one would wait for ever.
        if self.depth == 1 && name == self.header_name {
            return Err(XmlError::SecondHeader);
        }
        if let Some(slot) = self.open_name() {
            *slot = name;
        }
        Ok(())
    }

    /// An end tag from its `</` to its `>`, as far as `bytes` go.
    pub(super) fn end_tag(&mut self, bytes: &[u8], mut at: usize) -> Result<Step, XmlError> {
        if self.state == State::CloseName {
            at = self.hash_name(bytes, at);
            if at == bytes.len() {
                return Ok(Step::To(at));
            }
            let name = self.name;
            let open = match self.depth {
                0 => Some(self.header_name),
                _ => self.open_name().copied(),
            };
            if name == NameHash::start() || open.is_some_and(|open| open != name) {
                return Err(XmlError::NotWellFormed);
            }
            self.state = State::Close;
        }
        let Some(end) = find(b'>', bytes, at) else {
            let rest = bytes.get(at..).unwrap_or_default();
            return white(rest).map(|()| Step::To(bytes.len()));
        };
        white(bytes.get(at..end).unwrap_or_default())?;
        match self.depth {
            0 => Ok(Step::Done(Kind::End, end + 1)),
            _ => Ok(self.leave(end + 1)),
        }
    }

    /// The place of the innermost open element's name, if it is remembered.
    fn open_name(&mut self) -> Option<&mut NameHash> {
        let place = usize::try_from(self.depth).ok()?.checked_sub(1)?;
        self.open_names.get_mut(place)
    }
}

/// Nothing else stands between the name of an end tag and its `>`.
fn white(bytes: &[u8]) -> Result<(), XmlError> {
    match bytes.iter().copied().all(is_white) {
        true => Ok(()),
        false => Err(XmlError::NotWellFormed),
    }
}
