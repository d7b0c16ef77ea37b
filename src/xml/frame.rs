//! Finds the frames of a stream: header, top-level elements, closing tag. Resumable at any byte, enforces `Limits` as
//! bytes arrive, never copies a frame that lies whole in one read. Looks only at what tells where a frame ends and at
//! what RFC 6120 §11.1 forbids; all else is left to the strict pass, which must consume exactly the frame.
use memchr::{memchr, memchr3};

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
    Tag,
    Quoted(u8),
    /// After `</`.
    Close,
    /// In the name of an end tag.
    CloseName,
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
            State::Text => self.skip_past(b'<', bytes, at, State::Open),
            State::Quoted(quote) => self.skip_past(quote, bytes, at, State::Tag),
            State::Name => self.name(bytes, at),
            State::CloseName => self.close_name(bytes, at),
            State::Tag => self.tag(bytes, at),
            State::Open => self.open(byte, at),
            State::Close => self.close(bytes, at),
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

    fn skip_past(
        &mut self,
        needle: u8,
        bytes: &[u8],
        at: usize,
        then: State,
    ) -> Result<Step, XmlError> {
        Ok(match find(needle, bytes, at) {
            Some(found) => self.to(then, found + 1),
            None => Step::To(bytes.len()),
        })
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
            b'/' if self.depth == 0 => self.state = State::Close,
            b'/' => {
                self.name = NameHash::start();
                self.state = State::CloseName;
            }
            b'!' if self.in_header() => return Err(XmlError::Restricted),
            b'!' => self.state = State::Bang(0),
            b'?' if self.phase == Phase::Start => self.state = State::Question(0),
            b'?' => return Err(XmlError::Restricted),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b':' | 0x80.. => {
                self.state = State::Tag;
                self.attributes = 0;
                if !self.in_header() {
                    self.name = NameHash::start();
                    self.name.add(byte);
                    self.state = State::Name;
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

    /// Hashes name bytes; where the name ends, or all of `bytes`.
    fn hash_name(&mut self, bytes: &[u8], at: usize) -> usize {
        let ends = |byte: u8| is_white(byte) || matches!(byte, b'/' | b'>');
        let name = bytes.iter().skip(at).take_while(|&&byte| !ends(byte));
        let mut next = at;
        for byte in name {
            self.name.add(*byte);
            next += 1;
        }
        next
    }

    fn name(&mut self, bytes: &[u8], at: usize) -> Result<Step, XmlError> {
        let next = self.hash_name(bytes, at);
        if next == bytes.len() {
            return Ok(Step::To(next));
        }
        let name = self.name;
        // Its end tag would end the stream; waiting for it, one would wait for ever.
        if self.depth == 1 && name == self.header_name {
            return Err(XmlError::SecondHeader);
        }
        if let Some(slot) = self.open_name() {
            *slot = name;
        }
        Ok(self.to(State::Tag, next))
    }

    fn close_name(&mut self, bytes: &[u8], at: usize) -> Result<Step, XmlError> {
        let next = self.hash_name(bytes, at);
        if next == bytes.len() {
            return Ok(Step::To(next));
        }
        let name = self.name;
        match self.open_name() {
            Some(open) if *open != name => Err(XmlError::NotWellFormed),
            _ => Ok(self.to(State::Close, next)),
        }
    }

    /// The place of the innermost open element's name, if it is remembered.
    fn open_name(&mut self) -> Option<&mut NameHash> {
        let place = usize::try_from(self.depth).ok()?.checked_sub(1)?;
        self.open_names.get_mut(place)
    }

    fn tag(&mut self, bytes: &[u8], at: usize) -> Result<Step, XmlError> {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(found) = memchr3(b'>', b'\'', b'"', rest).map(|offset| at + offset) else {
            return Ok(Step::To(bytes.len()));
        };
        let next = found + 1;
        match bytes.get(found).copied() {
            Some(b'>') => {}
            quote => {
                self.attributes += 1;
                over(self.attributes, self.limits.attributes)?;
                return Ok(self.to(State::Quoted(quote.unwrap_or_default()), next));
            }
        }
        let empty = self.before(bytes, found, 1) == Some(b'/');
        match (self.in_header(), empty) {
            (true, true) => Err(XmlError::NotWellFormed),
            (true, false) => Ok(Step::Done(Kind::Header, next)),
            (false, true) => Ok(self.leave(next)),
            (false, false) => Ok(self.to(State::Text, next)),
        }
    }

    fn close(&mut self, bytes: &[u8], at: usize) -> Result<Step, XmlError> {
        Ok(match find(b'>', bytes, at) {
            None => Step::To(bytes.len()),
            Some(found) if self.depth > 0 => self.leave(found + 1),
            Some(found) => {
                let tag = self.held.iter().chain(bytes.iter().take(found));
                if NameHash::of_end_tag(tag.copied()) != Some(self.header_name) {
                    return Err(XmlError::NotWellFormed);
                }
                Step::Done(Kind::End, found + 1)
            }
        })
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
                self.header_name = NameHash::of_header(frame);
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        bytes: 200,
        depth: 4,
        attributes: 5,
        elements: 6,
    };
    const HEADER: &str = "<stream:stream xmlns='a' xmlns:stream='b>'>";

    /// Frames as text, runs of white space as one, and how it ended.
    fn frames(pieces: &[&[u8]], limits: Limits) -> (Vec<String>, Option<XmlError>) {
        let mut framer = Framer::new(limits);
        let mut found: Vec<String> = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            loop {
                let text = match framer.next(&mut input) {
                    Ok(None) => break,
                    Ok(Some(Frame::Header(bytes))) => {
                        format!("H{}", String::from_utf8_lossy(bytes))
                    }
                    Ok(Some(Frame::Element(bytes))) => {
                        format!("E{}", String::from_utf8_lossy(bytes))
                    }
                    Ok(Some(Frame::End)) => "End".to_owned(),
                    Ok(Some(Frame::Whitespace)) => "White".to_owned(),
                    Err(error) => {
                        assert_eq!(framer.next(&mut &b"<a/>"[..]), Err(error));
                        return (found, Some(error));
                    }
                };
                if text != "White" || found.last() != Some(&text) {
                    found.push(text);
                }
            }
            assert!(input.is_empty());
            assert!(framer.held_bytes() <= 2 * limits.bytes);
        }
        (found, None)
    }

    fn whole(text: &str) -> (Vec<String>, Option<XmlError>) {
        frames(&[text.as_bytes()], LIMITS)
    }

    #[test]
    fn frames_of_a_stream() {
        let element = "<a b='/>' c=\">\"><d/>t<![CDATA[</a>]]]><e x='<'></e >]</a\n>";
        let (found, error) = whole(&format!(
            "<?xml version='1.0'?>\n{HEADER} \n{element}<x/></stream:stream \n> "
        ));
        assert_eq!(error, None);
        let header = format!("H<?xml version='1.0'?>\n{HEADER}");
        assert_eq!(
            found,
            [
                &header,
                "White",
                &format!("E{element}"),
                "E<x/>",
                "End",
                "White"
            ]
        );
    }

    #[test]
    fn what_a_stream_may_not_hold() {
        use XmlError::{NotWellFormed, Restricted, SecondHeader, UnsupportedEncoding};
        for (before, error) in [
            ("x", NotWellFormed),
            ("\u{FEFF}<a>", NotWellFormed),
            ("</a>", NotWellFormed),
            ("<a/>", NotWellFormed),
            ("< a>", NotWellFormed),
            ("<<", NotWellFormed),
            ("<!", Restricted),
            (" <?p", Restricted),
            ("<?xm-", Restricted),
            ("<?xml-s ", Restricted),
            ("<?xml ?>x", NotWellFormed),
            ("<?xml ?><?", Restricted),
            ("<?xml ?><!", Restricted),
        ] {
            assert_eq!(whole(before).1, Some(error), "{before}");
        }
        for (after, error) in [
            ("<stream:stream ", SecondHeader),
            ("<a/><stream:stream>", SecondHeader),
            ("x", NotWellFormed),
            (" &amp;", NotWellFormed),
            ("]]>", NotWellFormed),
            ("<![", NotWellFormed),
            ("<!-", Restricted),
            ("<!D", Restricted),
            ("<?", Restricted),
            ("<1", NotWellFormed),
            ("</stream:strea>", NotWellFormed),
            ("</stream:streams>", NotWellFormed),
            ("</stream:stream x>", NotWellFormed),
            ("</>", NotWellFormed),
            ("<a>b<!-", Restricted),
            ("<a><![CDATE", Restricted),
            ("<a><![CDATA ", Restricted),
            ("<a><!E", Restricted),
            ("<a><?x", Restricted),
            ("<a><>", NotWellFormed),
            ("</stream:stream>x", NotWellFormed),
            ("</stream:stream><a/>", NotWellFormed),
        ] {
            assert_eq!(whole(&format!("{HEADER}{after}")).1, Some(error), "{after}");
        }
        for mark in [b"\xFE\xFF", b"\xFF\xFE"] {
            assert_eq!(frames(&[mark], LIMITS).1, Some(UnsupportedEncoding));
        }
    }

    #[test]
    fn limits_are_reached_as_early_as_they_can_be_known() {
        let ends = |text: &str| whole(&format!("{HEADER}{text}")).1;
        assert_eq!(ends("<a><a><a><a></a><a/></a></a></a>"), None);
        assert_eq!(ends("<a><a><a><a><a"), Some(XmlError::TooLarge));
        assert_eq!(
            ends("<a><b/><b/><b/><b/><b/></a><a><b/><b/><b/><b/><b/></a>"),
            None
        );
        assert_eq!(ends("<a><b/><b/><b/><b/><b/><b"), Some(XmlError::TooLarge));
        assert_eq!(ends("<a b='' c='' d='' e='' f=''><b a=''/></a>"), None);
        assert_eq!(
            ends("<a b='' c='' d='' e='' f='' g='"),
            Some(XmlError::TooLarge)
        );
        assert_eq!(
            whole("<h a='' b='' c='' d='' e='' f='").1,
            Some(XmlError::TooLarge)
        );
        for (start, end) in [
            ("<a>", "</a>"),
            ("<", "/>"),
            ("<a b='", "'/>"),
            ("<a>&", "</a>"),
            ("<a><![CDATA[", "]]></a>"),
            ("<a></a", ">"),
        ] {
            let fill = |len: usize| {
                " ".repeat(len - start.len() - end.len())
                    .replace(' ', if start == "<a></a" { " " } else { "x" })
            };
            assert_eq!(ends(&format!("{start}{}{end}", fill(200))), None, "{start}");
            assert_eq!(
                ends(&format!("{start}{}{end}", fill(201))),
                Some(XmlError::TooLarge),
                "{start}"
            );
            let endless = format!("{start}{}", fill(200 + end.len()));
            assert_eq!(ends(&endless), Some(XmlError::TooLarge), "{start}");
            assert_eq!(ends(&endless[..199]), None, "{start}");
        }
        assert_eq!(whole(&" ".repeat(1000)).1, None);
        assert_eq!(ends(&" ".repeat(1000)), None);
        assert_eq!(
            ends(&format!("</stream:stream{}", " ".repeat(200))),
            Some(XmlError::TooLarge)
        );
        assert_eq!(
            whole(&format!("<?xml {}", " ".repeat(200))).1,
            Some(XmlError::TooLarge)
        );
        assert_eq!(
            whole(&format!("<{}", "h".repeat(200))).1,
            Some(XmlError::TooLarge)
        );
    }

    #[test]
    fn any_cut_gives_the_same_frames() {
        let bodies = [
            "<a/>",
            "<a></a> <b/>\n\t<c>d</c></stream:stream>",
            "<a b='>' c=\"'/>\"/>",
            "<a><![CDATA[]]]]]>]]></a>",
            "<a><![CDATA[<b>]]</a>]]></a></stream:stream >\r\n",
            "<a>&lt;<b><c/></b></a>x",
            "<a><!-- x --></a>",
            "<a><![CDATX",
            "<a><b><c><d><e/></d></c></b></a>",
            "<é ü='ß'>€</é>",
            "</stream:strean>",
            "<a/ ></a>",
            "<a>]]></a>",
            "<a b='1' c='2' d='3' e='4' f='5' g='6'/>",
            "<a/><b/><c/><d/><e/><f/><g/>",
            "</stream:stream></stream:stream>",
            "<a b=/><c/>",
        ];
        let long = format!("<a>{}<!", "x".repeat(195));
        let longer = format!("<a>{}<!", "x".repeat(196));
        let mut corpus: Vec<Vec<u8>> = vec![
            b"\xFF".to_vec(),
            b" <?xml".to_vec(),
            b"<?xml a>?b?> <h>".to_vec(),
            Vec::new(),
        ];
        for body in bodies.into_iter().chain([&*long, &*longer]) {
            for before in [
                "",
                " ",
                "<?xml version='1.0'?>",
                "<?xml version='1.0'?> \n",
                "<?xml",
            ] {
                corpus.push(format!("{before}{HEADER}{body}").into_bytes());
            }
        }
        let mut random: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut below = |bound: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % bound as u64) as usize
        };
        // Damaged input too: bytes changed to ones that mean something.
        for index in 0..2000 {
            let mut bytes = corpus[index % 80].clone();
            for _ in 0..bytes.len().min(3) {
                let at = below(bytes.len());
                bytes[at] = b"<>/'\"!?[]- =x\x80"[below(14)];
            }
            corpus.push(bytes);
        }
        for bytes in &corpus {
            let expected = frames(&[bytes], LIMITS);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(
                frames(&single, LIMITS),
                expected,
                "{}",
                String::from_utf8_lossy(bytes)
            );
            for _ in 0..5 {
                let mut rest = &bytes[..];
                let mut pieces = Vec::new();
                while !rest.is_empty() {
                    let (piece, tail) = rest.split_at(1 + below(rest.len()));
                    pieces.push(piece);
                    rest = tail;
                }
                assert_eq!(
                    frames(&pieces, LIMITS),
                    expected,
                    "{}",
                    String::from_utf8_lossy(bytes)
                );
            }
        }
    }

    #[test]
    fn whole_frames_are_borrowed_and_an_idle_framer_holds_nothing() {
        assert!(size_of::<Framer>() <= 112, "{}", size_of::<Framer>());
        let text = format!("{HEADER}<a/>");
        let mut input = text.as_bytes();
        let mut framer = Framer::new(LIMITS);
        assert!(
            matches!(framer.next(&mut input), Ok(Some(Frame::Header(bytes))) if bytes.as_ptr() == text.as_ptr())
        );
        assert!(matches!(
            framer.next(&mut input),
            Ok(Some(Frame::Element(b"<a/>")))
        ));
        assert_eq!((framer.held_bytes(), framer.held.capacity()), (0, 0));
        assert_eq!(framer.next(&mut &b"<a>"[..]), Ok(None));
        assert!(framer.held_bytes() >= 3);
        let mut input = &b"</a>\n"[..];
        assert_eq!(
            framer.next(&mut input),
            Ok(Some(Frame::Element(b"<a></a>")))
        );
        assert_eq!(framer.held_bytes(), 0);
        assert_eq!(framer.next(&mut input), Ok(Some(Frame::Whitespace)));
        assert_eq!(framer.next(&mut input), Ok(None));
        assert_eq!(framer.held.capacity(), 0);
    }

    #[test]
    fn restart_expects_a_header_again() {
        let mut framer = Framer::new(LIMITS);
        assert!(matches!(
            framer.next(&mut HEADER.as_bytes()),
            Ok(Some(Frame::Header(_)))
        ));
        assert_eq!(framer.next(&mut &b"<unfinished"[..]), Ok(None));
        framer.restart();
        framer.set_limits(Limits {
            bytes: 40,
            ..LIMITS
        });
        assert_eq!(framer.held_bytes(), 0);
        let mut input = &b"<?xml version='1.0'?><h:s a='b'></h:s>"[..];
        assert!(matches!(
            framer.next(&mut input),
            Ok(Some(Frame::Header(b"<?xml version='1.0'?><h:s a='b'>")))
        ));
        assert_eq!(framer.next(&mut input), Ok(Some(Frame::End)));
        framer.restart();
        assert_eq!(framer.next(&mut &[b'<'; 1][..]), Ok(None));
        assert_eq!(framer.next(&mut &[b'h'; 39][..]), Err(XmlError::TooLarge));
    }
}
