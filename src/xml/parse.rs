//! The strict pass: one frame to one `Element`, or the reason it is refused (RFC 6120 §11). Nothing that XML 1.0 or
//! Namespaces in XML 1.0 forbids comes through.
use super::chars::{WHITE, checked_text};
use super::context::Context;
use super::parser::Parser;
use super::tag::Attributes;
use super::{Element, XmlError};

/// Far above any limit of a stream.
const TEXT_BYTES_MAX: usize = 1 << 30;

/// Parses one whole element, which must be all of `frame` (no text before or after).
pub fn parse(frame: &[u8], context: &Context) -> Result<Element, XmlError> {
    parse_within(checked_text(frame)?, context, true)
}

/// Parses an element that was checked when it was stored, or that is our own.
pub fn parse_stored(text: &str, default_namespace: &str) -> Result<Element, XmlError> {
    let context = Context {
        default_namespace: default_namespace.into(),
        prefixes: Vec::new(),
    };
    parse_within(checked_text(text.as_bytes())?, &context, false)
}

/// Parses a stream header (an open tag with an optional XML declaration before it): the element without children and
/// what it declares for its children.
pub fn parse_header(frame: &[u8]) -> Result<(Element, Context), XmlError> {
    let text = checked_text(frame)?;
    let text = match text
        .strip_prefix("<?xml")
        .and_then(|rest| rest.split_once("?>"))
    {
        Some((declaration, rest)) => {
            check_declaration(declaration)?;
            rest.trim_start_matches(WHITE)
        }
        None => text,
    };
    Parser::new(text, &Context::default(), true)?.header()
}

/// For text that an `Element` is made of.
pub(super) fn parse_checked(text: &str, context: &Context) -> Element {
    parse_within(text, context, false).expect("what was parsed before parses again")
}

fn parse_within(text: &str, context: &Context, limited: bool) -> Result<Element, XmlError> {
    // Spans are 32 bits wide; carried and unescaped namespaces count too.
    if text.len() > TEXT_BYTES_MAX {
        return Err(XmlError::TooLarge);
    }
    let carried = match Parser::new(text, context, limited)?.element()? {
        Ok(element) => return Ok(element),
        Err(carried) => carried,
    };
    // Now the root and its children declare what they use, so nothing is left to carry in.
    let element = Parser::new(&carried, context, false)?.element()?;
    element.map_err(|_| XmlError::BadNamespace)
}

/// XML 1.0 §2.8 XMLDecl, between `<?xml` and `?>`.
fn check_declaration(declaration: &str) -> Result<(), XmlError> {
    let parts: Vec<_> = Attributes::new(declaration).collect::<Result<_, _>>()?;
    let mut parts = parts.iter().map(|part| (part.name, part.value)).peekable();
    if parts.next() != Some(("version", "1.0")) {
        return Err(XmlError::NotWellFormed);
    }
    if let Some((_, encoding)) = parts.next_if(|(name, _)| *name == "encoding")
        && !encoding.eq_ignore_ascii_case("utf-8")
    {
        return Err(XmlError::UnsupportedEncoding);
    }
    parts.next_if(|part| matches!(part, ("standalone", "yes" | "no")));
    match parts.next() {
        None => Ok(()),
        Some(_) => Err(XmlError::NotWellFormed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::namespace::{DECLARATIONS_MAX, EXPANSION_BYTES_MAX, NAMESPACE_BYTES_MAX};
    use super::*;

    fn refusal(text: &str) -> Option<XmlError> {
        parse(text.as_bytes(), &Context::default()).err()
    }

    fn context() -> Context {
        let prefix = |prefix: &str, namespace: &str| (prefix.into(), namespace.into());
        Context {
            default_namespace: "jabber:client".into(),
            prefixes: vec![
                prefix("stream", "http://etherx.jabber.org/streams"),
                prefix("q", "it's"),
            ],
        }
    }

    #[test]
    fn well_formed_elements() {
        for good in [
            "<a/>",
            "<a />",
            "<a></a\n>",
            "<a\tb='' c = \"'>\"/>",
            "<a>&lt;&gt;&amp;&apos;&quot;&#9;&#x10FFFF;</a>",
            "<a>]] > ]&gt; ></a>",
            "<a b=']]>'/>",
            "<a><![CDATA[<&]] >]]]]></a>",
            "<a><![CDATA[]]></a>",
            "<é ü='ß'>€\u{FFFD}</é>",
            "<a b='1' B='2'/>",
            "<a xmlns='x'><b xmlns=''/></a>",
            "<a xml:lang='en' lang='en'/>",
            "<a xmlns:b='1' xmlns:c='2' b:d='' c:d='' d=''/>",
            "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
            "<xml:a/>",
            "<a xmlns:xmlfoo='x'/>",
            "<p:a xmlns:p='x'><p:b p:c=''/></p:a>",
            "<_.-1/>",
            "<a>\r\n\u{85}</a>",
        ] {
            assert_eq!(refusal(good), None, "{good}");
            let kept = parse(good.as_bytes(), &context()).unwrap();
            let is_other = ["<p:", "<a><![CDATA[", "<a b=']]>"]
                .iter()
                .any(|start| good.starts_with(start))
                || good.contains("&#x10FFFF;");
            assert!(kept.source() == good || is_other, "{good}");
        }
    }

    #[test]
    fn not_well_formed() {
        for bad in [
            "",
            "a",
            " <a/>",
            "<a/> ",
            "<a/>\n",
            "<a/><b/>",
            "<a>",
            "<a",
            "<",
            "</a>",
            "<a></b>",
            "<a><b></a></b>",
            "<a></a b='c'>",
            "<a></ a>",
            "<a></a/>",
            "\u{FEFF}<a/>",
            "<a b/>",
            "<a b=c/>",
            "<a b='c/>",
            "<a b='1'c='2'/>",
            "<a b='<'/>",
            "<a / >",
            "<a/b>",
            "<a 'b'/>",
            "<a ='b'/>",
            "<a b='1' b='2'/>",
            "<a xmlns='1' xmlns='2'/>",
            "<a b='&'/>",
            "<a b='&amp'/>",
            "<a b='&;'/>",
            "<a>&</a>",
            "<a>&amp</a>",
            "<a>& amp;</a>",
            "<a>&;</a>",
            "<a>&#0;</a>",
            "<a>&#xD800;</a>",
            "<a>&#x;</a>",
            "<a>&#+9;</a>",
            "<a b='&#1;'/>",
            "<a>]]></a>",
            "<a>x]]>y</a>",
            "<a>\u{1}</a>",
            "<a b='\u{0}'/>",
            "<a\u{C}/>",
            "<a>\u{FFFE}</a>",
            "<1/>",
            "<-/>",
            "<a 1=''/>",
            "<a b\u{D7}=''/>",
            "<a><![CDATA[</a>",
            "<a><![CDATA[]]</a>",
            "<![CDATA[x]]><a/>",
            "<a/><![CDATA[x]]>",
            "x<a/>",
            "<a/>&amp;",
            "<a><b</a>",
            "<a><></></a>",
            "< a/>",
            "<a b='c' <d='e'/>",
            "<a\u{A0}b=''/>",
            "<a><![cdata[x]]></a>",
        ] {
            assert_eq!(refusal(bad), Some(XmlError::NotWellFormed), "{bad}");
        }
        assert_eq!(
            parse(b"<a>\xFF</a>", &context()).err(),
            Some(XmlError::NotUtf8)
        );
    }

    /// RFC 6120 §11.1.
    #[test]
    fn restricted() {
        for bad in [
            "<a><!-- x --></a>",
            "<!-- x --><a/>",
            "<a/><!-- x -->",
            "<a><?b c?></a>",
            "<?b?><a/>",
            "<?xml version='1.0'?><a/>",
            "<a><?xml version='1.0'?></a>",
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            "<a><!DOCTYPE b></a>",
            "<a>&nbsp;</a>",
            "<a b='&foo;'/>",
            "<a><!x></a>",
            "<a><!-- </a>",
            "<a><?b</a>",
            "<a>&AMP;</a>",
        ] {
            assert_eq!(refusal(bad), Some(XmlError::Restricted), "{bad}");
        }
    }

    #[test]
    fn bad_namespaces() {
        for bad in [
            "<p:a/>",
            "<a p:b=''/>",
            "<a><b xmlns:p='x'/><p:c/></a>",
            "<a xmlns:p=''/>",
            "<:a/>",
            "<a:/>",
            "<a:b:c/>",
            "<a :b=''/>",
            "<a xmlns:='x'/>",
            "<a xmlns:xml='x'/>",
            "<a xmlns:xmlns='x'/>",
            "<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>",
            "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
            "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
            "<xmlns:a/>",
            "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
            "<a xmlns='http://www.w3.org/XML/1998/namespac&#x65;'/>",
            "<a xmlns:p='x' xmlns:q='x' p:b='' q:b=''/>",
            "<a xmlns:p='x&amp;' xmlns:q='x&#38;' p:b='' q:b=''/>",
            "<stream:a xmlns:p='http://etherx.jabber.org/streams' p:b='' stream:b=''/>",
            "<a xmlns='x}y'/>",
            "<a xmlns='{x'/>",
            "<a xmlns=' x'/>",
            "<a xmlns:p='x\ny'/>",
            "<a xmlns='x&#10;'/>",
            "<a xmlns='x&#x2028;y'/>",
            "<a xmlns='x&#x7f;y'/>",
            "<a><b xmlns='x&#125;y'/></a>",
        ] {
            assert_eq!(
                parse(bad.as_bytes(), &context()).err(),
                Some(XmlError::BadNamespace),
                "{bad}"
            );
        }
    }

    #[test]
    fn declarations_further_out_are_carried_in() {
        for (text, carried) in [
            (
                "<stream:error/>",
                "<stream:error xmlns:stream='http://etherx.jabber.org/streams'/>",
            ),
            (
                "<a q:b=''><c/></a>",
                "<a xmlns:q='it&apos;s' q:b=''><c/></a>",
            ),
            (
                "<a><b q:x=''><q:c q:d=''/></b><q:b/></a>",
                "<a><b xmlns:q='it&apos;s' q:x=''><q:c q:d=''/></b><q:b xmlns:q='it&apos;s'/></a>",
            ),
            (
                "<a xmlns:p=\"n:l\"><p:b/><b><p:c/></b></a>",
                "<a xmlns:p=\"n:l\"><p:b xmlns:p=\"n:l\"/><b xmlns:p=\"n:l\"><p:c/></b></a>",
            ),
            (
                "<q:a><q:b xmlns:q='n'/></q:a>",
                "<q:a xmlns:q='it&apos;s'><q:b xmlns:q='n'/></q:a>",
            ),
            (
                "<a><b xmlns:q='n'><q:c/></b></a>",
                "<a><b xmlns:q='n'><q:c/></b></a>",
            ),
        ] {
            let element = parse(text.as_bytes(), &context()).unwrap();
            assert_eq!(element.source(), carried);
            assert_eq!(
                parse_stored(carried, "jabber:client").unwrap().source(),
                carried
            );
            for child in element.root().children() {
                assert!(parse_stored(child.source(), "").is_ok(), "{carried}");
            }
        }
        let element = parse(b"<stream:a><b/></stream:a>", &context()).unwrap();
        assert!(element.root().is("a", "http://etherx.jabber.org/streams"));
        assert!(element.root().child("b", "jabber:client").is_some());
        let error = parse(
            b"<a stream:b='' xmlns:p='http://etherx.jabber.org/streams' p:b=''/>",
            &context(),
        );
        assert_eq!(error.err(), Some(XmlError::BadNamespace));
    }

    /// What all parsers should read in one way, and some do not.
    #[test]
    fn what_some_read_otherwise_is_written_in_another_way() {
        for (text, written) in [
            (
                "<a>&#x1F600;&#128512;&#233;&amp;</a>",
                "<a>😀😀&#233;&amp;</a>",
            ),
            ("<a b='&#x1F600;&#9;'/>", "<a b='😀&#9;'/>"),
            ("<a><![CDATA[]]>x</a>", "<a>x</a>"),
            (
                "<a><![CDATA[a\r\nb<&]]>]]&gt;</a>",
                "<a>a\nb&lt;&amp;]]&gt;</a>",
            ),
            ("<a><![CDATA[]]]]><![CDATA[>]]></a>", "<a>]]&gt;</a>"),
            ("<a b='\t]]>\t>'/>", "<a b=' ]]&gt; >'/>"),
            (
                "<a xml:id='x' b=''><b\n\txml:id=\"\"/></a>",
                "<a b=''><b\n/></a>",
            ),
            ("<a xml:lang='en' id='x'/>", "<a xml:lang='en' id='x'/>"),
            (
                "<a xml:id='x' q:b='1'/>",
                "<a xmlns:q='it&apos;s' q:b='1'/>",
            ),
            (
                "<q:a b='\t'><q:b><![CDATA[1]]></q:b></q:a>",
                "<q:a xmlns:q='it&apos;s' b=' '><q:b xmlns:q='it&apos;s'>1</q:b></q:a>",
            ),
        ] {
            let element = parse(text.as_bytes(), &context()).unwrap();
            assert_eq!(element.source(), written);
            let stored = parse_stored(text.replace("q:", "").as_str(), "");
            assert_eq!(
                stored.unwrap().source(),
                text.replace("q:", ""),
                "stored stays"
            );
        }
        // It does not grow beyond all measure.
        let grown = |count: usize| format!("<a><![CDATA[{}]]></a>", "&".repeat(count));
        assert!(parse(grown(EXPANSION_BYTES_MAX / 4).as_bytes(), &context()).is_ok());
        assert_eq!(
            refusal(&grown(EXPANSION_BYTES_MAX)),
            Some(XmlError::TooLarge)
        );
    }

    #[test]
    fn what_was_stored_before_names_were_restricted_is_read() {
        let long = format!("<a xmlns='{}'/>", "x".repeat(NAMESPACE_BYTES_MAX + 1));
        for old in ["<a><\u{10000} \u{132}=''/></a>", "<a xmlns='x y}'/>", &long] {
            assert!(refusal(old).is_some(), "{old}");
            let read = parse_stored(old, "").unwrap();
            assert_eq!(read.source(), old);
            // Also what is taken out of it.
            assert!(
                read.root()
                    .children()
                    .all(|child| parse_stored(child.source(), "").is_ok())
            );
        }
    }

    #[test]
    fn declarations_and_their_use_are_limited() {
        let nested = |count: usize| {
            let open: String = (0..count).map(|n| format!("<a xmlns:p{n}='x'>")).collect();
            open + &"</a>".repeat(count)
        };
        assert_eq!(refusal(&nested(DECLARATIONS_MAX)), None);
        assert_eq!(
            refusal(&nested(DECLARATIONS_MAX + 1)),
            Some(XmlError::TooLarge)
        );
        let used = |count: usize| {
            format!(
                "<a xmlns:p='{}'>{}</a>",
                "x".repeat(NAMESPACE_BYTES_MAX),
                "<p:b/>".repeat(count)
            )
        };
        let element = parse(used(259).as_bytes(), &Context::default()).unwrap();
        assert!(element.source().len() > EXPANSION_BYTES_MAX);
        assert_eq!(refusal(&used(260)), Some(XmlError::TooLarge));
        // Such an element, once stored, is read again.
        assert!(parse_stored(element.source(), "").is_ok());
        let own = format!(
            "<a>{}</a>",
            format!("<p:b xmlns:p='{}'/>", "x".repeat(1000)).repeat(300)
        );
        assert_eq!(refusal(&own), None);
    }

    #[test]
    fn headers() {
        let header = "<stream:stream to='a' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:p='a:1' version='1.0' xml:lang='en'>";
        for declaration in [
            "",
            " \n",
            "<?xml version='1.0'?>",
            "<?xml version=\"1.0\" encoding='utf-8' ?>\n",
            "<?xml version='1.0' encoding='UTF-8' standalone='yes'?>",
            "<?xml version='1.0' standalone='no'?>",
        ] {
            let frame = format!("{}{header}", declaration.trim_start());
            let (element, context) = parse_header(frame.as_bytes()).unwrap();
            let root = element.root();
            assert!(root.is("stream", "http://etherx.jabber.org/streams"));
            assert_eq!(root.source(), header);
            assert_eq!(
                (
                    root.attribute("to").as_deref(),
                    root.attribute("version").as_deref()
                ),
                (Some("a"), Some("1.0"))
            );
            assert_eq!(
                (
                    root.lang().as_deref(),
                    root.children().count(),
                    &*root.text()
                ),
                (Some("en"), 0, "")
            );
            assert!(element.inner_range().is_empty());
            assert_eq!(&*context.default_namespace, "jabber:client");
            let prefixes: Vec<_> = context.prefixes.iter().map(|(p, n)| (&**p, &**n)).collect();
            assert_eq!(
                prefixes,
                [("stream", "http://etherx.jabber.org/streams"), ("p", "a:1")]
            );
        }
        assert_eq!(parse_header(b"<s>").unwrap().1, Context::default());
    }

    #[test]
    fn bad_headers() {
        use XmlError::{BadNamespace, NotUtf8, NotWellFormed, Restricted, UnsupportedEncoding};
        for (bad, error) in [
            ("", NotWellFormed),
            ("<s/>", NotWellFormed),
            ("</s>", NotWellFormed),
            ("<s></s>", NotWellFormed),
            ("<s> ", NotWellFormed),
            ("<s", NotWellFormed),
            ("<s a='1' a='2'>", NotWellFormed),
            ("<s a='&#0;'>", NotWellFormed),
            ("<p:s>", BadNamespace),
            ("<?xml?><s>", NotWellFormed),
            ("<?xml version='1.1'?><s>", NotWellFormed),
            ("<?xml encoding='utf-8'?><s>", NotWellFormed),
            ("<?xml version='1.0' a='b'?><s>", NotWellFormed),
            ("<?xml version='1.0' standalone='maybe'?><s>", NotWellFormed),
            (
                "<?xml version='1.0' standalone='no' encoding='utf-8'?><s>",
                NotWellFormed,
            ),
            ("<?xml version='1.0'?>", NotWellFormed),
            (
                "<?xml version='1.0' encoding='utf-16'?><s>",
                UnsupportedEncoding,
            ),
            (
                "<?xml version='1.0' encoding='ISO-8859-1'?><s>",
                UnsupportedEncoding,
            ),
            (
                "<?xml version='1.0'?><?xml version='1.0'?><s>",
                NotWellFormed,
            ),
            ("<?xml version='1.0'", Restricted),
            ("x<s>", NotWellFormed),
        ] {
            assert_eq!(parse_header(bad.as_bytes()).err(), Some(error), "{bad}");
        }
        assert_eq!(parse_header(b"<s a='\x80'>").err(), Some(NotUtf8));
    }

    /// Whatever comes, the pass ends with an element or a refusal, and what it lets through it lets through again.
    #[test]
    fn damaged_elements_never_panic() {
        let good = "<a xmlns='n' xmlns:p=\"&#x6d;\" p:b='c'>t&amp;<![CDATA[d]]><p:e><f q:g='&#65;'/></p:e></a>";
        let mut random: u32 = 0x1234_5678;
        let mut below = |bound: usize| {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            random as usize % bound
        };
        let mut accepted = 0;
        for _ in 0..20_000 {
            let mut bytes = good.as_bytes().to_vec();
            for _ in 0..1 + below(3) {
                let at = below(bytes.len());
                match below(3) {
                    0 => bytes[at] = b"<>/'\"!?[]-&;:= xpq\x80"[below(19)],
                    1 => _ = bytes.remove(at),
                    _ => bytes.insert(at, b"<>/'\"!?[]-&;:= xpq\x80"[below(19)]),
                }
            }
            let Ok(element) = parse(&bytes, &context()) else {
                continue;
            };
            accepted += 1;
            let again = parse_stored(element.source(), "jabber:client").unwrap();
            assert_eq!(again.source(), element.source());
            for child in element.root().children() {
                let alone = child.to_element();
                assert_eq!(alone.root().namespace(), child.namespace());
                assert_eq!(alone.root().text(), child.text());
                assert_eq!(
                    alone.root().attributes().count(),
                    child.attributes().count()
                );
            }
        }
        assert!(accepted > 100, "{accepted}");
    }
}
