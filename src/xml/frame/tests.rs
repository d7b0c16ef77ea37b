//! Frames of whole streams, of damaged ones, in any pieces.
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
    let element = "<a b='/>' c=\">\"><d/>t<![CDATA[</a>]]]><e x='>'></e >]</a\n>";
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

/// Whoever sent these would wait for an answer for ever, and so would we for an end.
#[test]
fn what_can_never_end_is_refused_at_once() {
    for after in [
        "<m><x a\"",
        "<m><x a'",
        "<m><x a=b",
        "<m><x a==",
        "<m><x a='b'\"",
        "<m><x a='b'c",
        "<m><x a='b'=",
        "<m><x 'b'",
        "<m><x =",
        "<m><x a b",
        "<m><x a/",
        "<m><x a>",
        "<m><x a=>",
        "<m><x a='<",
        "<m><x <",
        "<m><x<",
        "<m><x'",
        "<m><x\"",
        "<m><x=",
        "<m><x&",
        "<m><x/ ",
        "<m><x/x",
        "<m><x//",
        "<m><x / ",
        "<m><x 1",
        "<m><x -",
        "<m><x\0",
        "<m></m x",
        "<m></m/",
        "<m></m<",
        "<m></ ",
        "<m></>",
        "<a><b><c><d></>",
        "</stream:stream/",
    ] {
        let ended = whole(&format!("{HEADER}{after}")).1;
        assert_eq!(ended, Some(XmlError::NotWellFormed), "{after}");
    }
    for header in ["<h a\"", "<h <", "<h/", "<h a='b'c", "<h a='<"] {
        let ended = match header {
            "<h/" => whole("<h/>").1,
            _ => whole(header).1,
        };
        assert_eq!(ended, Some(XmlError::NotWellFormed), "{header}");
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
