//! The children of an element that was checked when it came, by their tags alone: for whoever looks through many stored ones and
//! needs little of each.
use memchr::{memchr, memchr3};

/// A child as it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline<'a> {
    /// With its prefix, if it has one.
    pub name: &'a str,
    pub attributes: &'a str,
    pub inside: &'a str,
}

/// Calls `visit` for each child until it says false. False: it did, or there is something that tags do not tell.
pub fn each_child<'a>(xml: &'a str, visit: &mut dyn FnMut(Outline<'a>) -> bool) -> bool {
    walk(xml, visit).is_some()
}

fn walk<'a>(xml: &'a str, visit: &mut dyn FnMut(Outline<'a>) -> bool) -> Option<()> {
    let (_, mut at, root) = tag(xml, 0)?;
    if root.ends_with("/>") {
        return Some(());
    }
    let mut depth = 0_usize;
    let (mut child, mut begin) = (root, 0);
    loop {
        let (start, end, tag) = tag(xml, at)?;
        at = end;
        if tag.starts_with("<!") {
            return None;
        }
        if tag.starts_with("</") {
            if depth == 0 {
                return Some(());
            }
            depth -= 1;
            if depth == 0 && !visit(outline(child, xml.get(begin..start)?)?) {
                return None;
            }
        } else if tag.ends_with("/>") {
            if depth == 0 && !visit(outline(tag, "")?) {
                return None;
            }
        } else {
            if depth == 0 {
                (child, begin) = (tag, end);
            }
            depth += 1;
        }
    }
}

/// The next tag: where it begins and ends, and itself.
fn tag(xml: &str, from: usize) -> Option<(usize, usize, &str)> {
    let bytes = xml.as_bytes();
    let start = from + memchr(b'<', bytes.get(from..)?)?;
    let mut at = start;
    loop {
        at += memchr3(b'>', b'\'', b'"', bytes.get(at..)?)?;
        match bytes.get(at)? {
            b'>' => return Some((start, at + 1, xml.get(start..=at)?)),
            quote => at += 2 + memchr(*quote, bytes.get(at + 1..)?)?,
        }
    }
}

fn outline<'a>(tag: &'a str, inside: &'a str) -> Option<Outline<'a>> {
    let tag = tag.strip_prefix('<')?.strip_suffix('>')?;
    let tag = tag.strip_suffix('/').unwrap_or(tag);
    let end = tag.find([' ', '\t', '\r', '\n']).unwrap_or(tag.len());
    let (name, attributes) = tag.split_at(end);
    Some(Outline {
        name,
        attributes,
        inside,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn children(xml: &str) -> Option<Vec<(&str, &str, &str)>> {
        let mut children = Vec::new();
        let is_whole = each_child(xml, &mut |child| {
            children.push((child.name, child.attributes, child.inside));
            child.name != "end"
        });
        is_whole.then_some(children)
    }

    #[test]
    fn children_are_told_by_their_tags() {
        for (xml, expected) in [
            ("<m/>", Some(&[][..])),
            ("<m a='>'></m>", Some(&[])),
            (
                "<m x='/>'> t <a b=\"'>\" c='/'/><p:b\n><b>1</b>2</p:b><c></c ></m>",
                Some(&[
                    ("a", " b=\"'>\" c='/'", ""),
                    ("p:b", "\n", "<b>1</b>2"),
                    ("c", "", ""),
                ]),
            ),
            ("<m><a><![CDATA[<b/>]]></a></m>", None),
            ("<m><end/><a/></m>", None),
            ("<m><a>", None),
            ("<m><a b='", None),
            ("", None),
        ] {
            let expected = expected.map(<[_]>::to_vec);
            assert_eq!(children(xml), expected, "{xml}");
        }
    }
}
