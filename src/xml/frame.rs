//! Finds the frames of a stream: header, top-level elements, closing tag. Resumable at any byte, enforces `Limits` as
//! bytes arrive, never copies a frame that lies whole in one read. Looks only at what tells where a frame ends and at
//! what RFC 6120 §11.1 forbids; all else is left to the strict pass, which must consume exactly the frame. What can
//! never become a frame is refused with the byte that makes it so: nobody waits for the end of what has none.
mod markup;
#[cfg(test)]
mod tests;

use memchr::memchr;

use super::chars::is_white;
use super::tag::NameHash;
use super::{Limits, XmlError};

/// One piece of a stream, as bytes that `parse`/`parse_header` then check strictly.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// `<stream:stream …>` with an XML declaration before it, if there was one.
    Header(&'a [u8]),
    /// One whole first-level element.
    Element(&'a [u8]),
    /// `</stream:stream>`.
    End,
    /// White space between elements (a keep-alive, RFC 6120 §4.6.1). Reported once for a run within one read.
    Whitespace,
}

/// The resumable scan of one stream in one direction. After an error it gives the same error for ever.
pub struct Framer {
    limits: Limits,
    held: Vec<u8>,
    /// `held` is a frame that was handed out; it goes with the next call.
    delivered: bool,
    phase: Phase,
    state: State,
    failed: Option<XmlError>,
    /// Elements open in the current frame; its elements; attributes of the current tag.
    depth: u32,
    elements: u32,
    attributes: u32,
    header_name: NameHash,
    /// Hash of the name being read, and of the names of the outermost open elements.
    name: NameHash,
    open_names: [NameHash; OPEN_NAMES],
}

/// So many open elements have their end tags compared while bytes trickle in; the strict pass compares all.
const OPEN_NAMES: usize = 6;

/// How many bytes the first of some elements has that were written by ourselves; all of them where there is none.
pub fn first_element(bytes: &[u8]) -> usize {
    let mut framer = Framer {
        phase: Phase::Body,
        ..Framer::new(Limits {
            bytes: usize::MAX,
            depth: usize::MAX,
            attributes: usize::MAX,
            elements: usize::MAX,
        })
    };
    let mut rest = bytes;
    match framer.next(&mut rest) {
        Ok(Some(Frame::Element(element))) => element.len(),
        _ => bytes.len(),
    }
}

/// Where in the stream the current frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing but white space read: the only place for an XML declaration.
    // COMPAT(go-xmpp, 0.5): ends <auth/> with a newline, which then stands before the next declaration.
    Start,
    /// The header must follow.
    Prolog,
    Body,
    Ended,
}

/// Where in the frame the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    /// After `<`.
    Open,
    /// In the name of an element.
    Name,
    /// After white space within a tag.
    Tag,
    /// In the name of an attribute.
    Attribute,
    /// Between that and `=`.
    AfterAttribute,
    /// Between `=` and the value.
    BeforeValue,
    Quoted(u8),
    /// Behind the closing quote.
    AfterValue,
    /// After the `/` of an empty element.
    Slash,
    /// After `</`, and in the name of an end tag.
    CloseName,
    /// After that name.
    Close,
    /// After `<!` and so many bytes of `[CDATA[`.
    Bang(u8),
    Cdata,
    Text,
    /// After `<?` and so many bytes of `xml`.
    Question(u8),
    Declaration,
    AfterDeclaration,
}

#[derive(Clone, Copy)]
enum Kind {
    Header,
    Element,
    End,
}

enum Step {
    /// Go on at this offset.
    To(usize),
    /// The frame ends before this offset.
    Done(Kind, usize),
}

impl Framer {
    pub fn new(limits: Limits) -> Framer {
        Framer {
            limits,
            held: Vec::new(),
            delivered: false,
            phase: Phase::Start,
            state: State::Between,
            failed: None,
            depth: 0,
            elements: 0,
            attributes: 0,
            header_name: NameHash::default(),
            name: NameHash::default(),
            open_names: [NameHash::default(); OPEN_NAMES],
        }
    }

    /// The next frame of `input`; what was looked at is cut off its front. `None`: all of `input` was taken (an
    /// unfinished frame is kept, at most `limits.bytes`). Call again until `None`.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Frame<'a>>, XmlError> {
        if std::mem::take(&mut self.delivered) {
            self.held = Vec::new();
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.state == State::Between && self.skip_white(input) {
            return Ok(Some(Frame::Whitespace));
        }
        match self.scan(input) {
            Ok(Some((kind, len))) => Ok(Some(self.deliver(kind, len, input))),
            Ok(None) => {
                self.held.extend_from_slice(input);
                *input = &[];
                Ok(None)
            }
            Err(error) => {
                self.failed = Some(error);
                self.held = Vec::new();
                Err(error)
            }
        }
    }

    /// Changes the limits for what comes next (after authentication).
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Expects a stream header again (RFC 6120 §4.3.3); forgets the old header, keeps nothing unread.
    pub fn restart(&mut self) {
        *self = Framer::new(self.limits);
    }

    /// Bytes of memory held for an unfinished frame.
    pub fn held_bytes(&self) -> usize {
        if self.delivered {
            0
        } else {
            self.held.capacity()
        }
    }

    fn skip_white(&mut self, input: &mut &[u8]) -> bool {
        let white = input.iter().take_while(|&&byte| is_white(byte)).count();
        *input = input.get(white..).unwrap_or_default();
        white > 0
    }

    /// How far the current frame reaches into `input`, when it ends there.
    fn scan(&mut self, input: &[u8]) -> Result<Option<(Kind, usize)>, XmlError> {
        // Never looks past the limit, so that the verdict does not depend on how much came at once.
        let room = self.limits.bytes.saturating_sub(self.held.len());
        let window = input.get(..room).unwrap_or(input);
        let mut at = 0;
        while at < window.len() {
            match self.step(window, at)? {
                Step::To(next) => at = next,
                Step::Done(kind, end) => return Ok(Some((kind, end))),
            }
        }
        if window.len() == room && !input.is_empty() {
            return Err(XmlError::TooLarge);
        }
        Ok(None)
    }

    fn step(&mut self, bytes: &[u8], at: usize) -> Result<Step, XmlError> {
        let byte = bytes.get(at).copied().unwrap_or_default();
        match self.state {
            State::Text => Ok(match find(b'<', bytes, at) {
                Some(found) => self.to(State::Open, found + 1),
                None => Step::To(bytes.len()),
            }),
            State::Name
            | State::Tag
            | State::Attribute
            | State::AfterAttribute
            | State::BeforeValue
            | State::Quoted(_)
            | State::AfterValue
            | State::Slash => self.start_tag(bytes, at),
            State::CloseName | State::Close => self.end_tag(bytes, at),
            State::Open => self.open(byte, at),
            State::Cdata => Ok(self.cdata(bytes, at)),
            State::Between => self.between(byte, at),
            State::Bang(matched) => self.bang(matched, byte, at),
            State::Question(matched) => self.question(matched, byte, at),
            State::Declaration => Ok(self.declaration(bytes, at)),
            State::AfterDeclaration => match byte {
                b'<' => Ok(self.to(State::Open, at + 1)),
                _ if is_white(byte) => Ok(Step::To(at + 1)),
                _ => Err(XmlError::NotWellFormed),
            },
        }
    }

    fn to(&mut self, state: State, at: usize) -> Step {
        self.state = state;
        Step::To(at)
    }

    fn between(&mut self, byte: u8, at: usize) -> Result<Step, XmlError> {
        match byte {
            b'<' if self.phase != Phase::Ended => Ok(self.to(State::Open, at + 1)),
            // The first byte of UTF-16 with its mark, and never one of UTF-8 (RFC 6120 §4.9.3.22).
            0xFE | 0xFF if self.phase == Phase::Start => Err(XmlError::UnsupportedEncoding),
            _ => Err(XmlError::NotWellFormed),
        }
    }

    fn in_header(&self) -> bool {
        matches!(self.phase, Phase::Start | Phase::Prolog)
    }

    fn open(&mut self, byte: u8, at: usize) -> Result<Step, XmlError> {
        match byte {
            b'/' if self.in_header() => return Err(XmlError::NotWellFormed),
            b'/' => {
                self.name = NameHash::start();
                self.state = State::CloseName;
            }
            b'!' if self.in_header() => return Err(XmlError::Restricted),
            b'!' => self.state = State::Bang(0),
            b'?' if self.phase == Phase::Start => self.state = State::Question(0),
            b'?' => return Err(XmlError::Restricted),
            _ if markup::starts_name(byte) => {
                self.name = NameHash::start();
                self.name.add(byte);
                self.state = State::Name;
                self.attributes = 0;
                if !self.in_header() {
                    self.elements += 1;
                    self.depth += 1;
                    over(self.depth, self.limits.depth)?;
                    over(self.elements, self.limits.elements)?;
                }
            }
            _ => return Err(XmlError::NotWellFormed),
        }
        Ok(Step::To(at + 1))
    }

    /// One element ends here.
    fn leave(&mut self, at: usize) -> Step {
        self.depth -= 1;
        match self.depth {
            0 => Step::Done(Kind::Element, at),
            _ => self.to(State::Text, at),
        }
    }

    fn bang(&mut self, matched: u8, byte: u8, at: usize) -> Result<Step, XmlError> {
        const CDATA: &[u8] = b"[CDATA[";
        if CDATA.get(usize::from(matched)) != Some(&byte) {
            return Err(XmlError::Restricted);
        }
        if self.depth == 0 {
            // Text between first-level elements.
            return Err(XmlError::NotWellFormed);
        }
        let next = match usize::from(matched + 1) == CDATA.len() {
            true => State::Cdata,
            false => State::Bang(matched + 1),
        };
        Ok(self.to(next, at + 1))
    }

    fn cdata(&mut self, bytes: &[u8], at: usize) -> Step {
        let Some(found) = find(b'>', bytes, at) else {
            return Step::To(bytes.len());
        };
        if [1, 2].map(|back| self.before(bytes, found, back)) == [Some(b']'); 2] {
            self.state = State::Text;
        }
        Step::To(found + 1)
    }

    fn question(&mut self, matched: u8, byte: u8, at: usize) -> Result<Step, XmlError> {
        match b"xml".get(usize::from(matched)) {
            Some(&expected) if expected == byte => {
                Ok(self.to(State::Question(matched + 1), at + 1))
            }
            None if is_white(byte) => {
                self.phase = Phase::Prolog;
                Ok(self.to(State::Declaration, at + 1))
            }
            _ => Err(XmlError::Restricted),
        }
    }

    fn declaration(&mut self, bytes: &[u8], at: usize) -> Step {
        let Some(found) = find(b'>', bytes, at) else {
            return Step::To(bytes.len());
        };
        if self.before(bytes, found, 1) == Some(b'?') {
            self.state = State::AfterDeclaration;
        }
        Step::To(found + 1)
    }

    /// The byte so many before `at`, which may have come with an earlier read.
    fn before(&self, bytes: &[u8], at: usize, back: usize) -> Option<u8> {
        match at.checked_sub(back) {
            Some(index) => bytes.get(index).copied(),
            None => self
                .held
                .get((self.held.len() + at).checked_sub(back)?)
                .copied(),
        }
    }

    fn deliver<'a, 'i: 'a>(
        &'a mut self,
        kind: Kind,
        len: usize,
        input: &mut &'i [u8],
    ) -> Frame<'a> {
        let (part, rest) = input.split_at_checked(len).unwrap_or((input, &[]));
        *input = rest;
        self.state = State::Between;
        self.elements = 0;
        let frame = if self.held.is_empty() {
            part
        } else {
            self.held.extend_from_slice(part);
            self.delivered = true;
            &self.held
        };
        match kind {
            Kind::Header => {
                self.phase = Phase::Body;
                Frame::Header(frame)
            }
            Kind::Element => Frame::Element(frame),
            Kind::End => {
                self.phase = Phase::Ended;
                Frame::End
            }
        }
    }
}

fn over(count: u32, limit: usize) -> Result<(), XmlError> {
    match usize::try_from(count).is_ok_and(|count| count <= limit) {
        true => Ok(()),
        false => Err(XmlError::TooLarge),
    }
}

fn find(needle: u8, bytes: &[u8], at: usize) -> Option<usize> {
    memchr(needle, bytes.get(at..)?).map(|offset| at + offset)
}
