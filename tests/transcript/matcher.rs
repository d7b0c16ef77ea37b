//! Compares a received element with a pattern: `…` in a tag allows more attributes, between tags more children; `$name`
//! stands for a value that is bound at first sight and must be the same ever after.
use std::collections::HashMap;

use stonechat::xml::{ElementRef, parse_header, parse_stored};

pub type Bindings = HashMap<String, String>;

const MORE: &str = "more-is-allowed";

/// `Err`: where they differ.
pub fn matches(
    pattern: &str,
    received: ElementRef<'_>,
    bindings: &mut Bindings,
) -> Result<(), String> {
    let prepared = prepare(pattern);
    if prepared
        .trim_start_matches("<?xml version='1.0'?>")
        .starts_with("<stream:stream")
        && !prepared.contains("</")
    {
        let prepared = declare_header(&prepared);
        let (header, _) = parse_header(prepared.as_bytes())
            .map_err(|e| format!("bad pattern {pattern}: {e:?}"))?;
        return compare(header.root(), received, bindings);
    }
    let prefixed = declare_stream_prefix(&prepared);
    let element = parse_stored(&prefixed, "jabber:client")
        .map_err(|e| format!("bad pattern {prefixed}: {e:?}"))?;
    compare(element.root(), received, bindings)
}

/// A pattern of a header may leave its namespaces out.
fn declare_header(pattern: &str) -> String {
    let usual =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";
    match pattern.contains("xmlns:stream=") {
        true => pattern.to_string(),
        false => pattern.replacen("<stream:stream", usual, 1),
    }
}

/// Features and errors of streams are written with their usual prefix.
fn declare_stream_prefix(pattern: &str) -> String {
    match pattern.strip_prefix("<stream:") {
        Some(rest) => {
            let end = rest.find([' ', '>', '/']).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            format!("<stream:{name} xmlns:stream='http://etherx.jabber.org/streams'{rest}")
        }
        None => pattern.to_string(),
    }
}

/// Turns `…` into markers that are XML.
fn prepare(pattern: &str) -> String {
    let mut out = String::new();
    let mut in_tag = false;
    let mut quote = None;
    for c in pattern.chars() {
        match (c, quote) {
            ('…', _) if in_tag => out.push_str(&format!(" {MORE}=''")),
            ('…', _) => out.push_str(&format!("<{MORE}/>")),
            (c, Some(q)) => {
                if c == q {
                    quote = None;
                }
                out.push(c);
            }
            (c @ ('\'' | '"'), None) if in_tag => {
                quote = Some(c);
                out.push(c);
            }
            (c, None) => {
                match c {
                    '<' => in_tag = true,
                    '>' => in_tag = false,
                    _ => {}
                }
                out.push(c);
            }
        }
    }
    out
}

fn compare(
    pattern: ElementRef<'_>,
    received: ElementRef<'_>,
    bindings: &mut Bindings,
) -> Result<(), String> {
    if pattern.name() != received.name() || pattern.namespace() != received.namespace() {
        return Err(format!(
            "expected <{} xmlns='{}'> but got <{} xmlns='{}'>",
            pattern.name(),
            pattern.namespace(),
            received.name(),
            received.namespace()
        ));
    }
    compare_attributes(pattern, received, bindings)?;
    let wanted: Vec<ElementRef<'_>> = pattern.children().collect();
    let got: Vec<ElementRef<'_>> = received.children().collect();
    compare_children(received.name(), &wanted, &got, bindings)?;
    let open = wanted.iter().any(|child| child.name() == MORE);
    let (wanted, got) = (pattern.text(), received.text());
    if !open {
        bind(wanted.trim(), got.trim(), bindings)
            .map_err(|e| format!("text of <{}>: {e}", received.name()))?;
    }
    Ok(())
}

fn compare_attributes(
    pattern: ElementRef<'_>,
    received: ElementRef<'_>,
    bindings: &mut Bindings,
) -> Result<(), String> {
    let open = pattern.attributes().any(|attribute| attribute.name == MORE);
    for wanted in pattern
        .attributes()
        .filter(|attribute| attribute.name != MORE)
    {
        let got = received
            .attributes()
            .find(|a| a.name == wanted.name && a.namespace == wanted.namespace);
        let Some(got) = got else {
            return Err(format!(
                "<{}> has no attribute {}",
                received.name(),
                wanted.name
            ));
        };
        bind(&wanted.value, &got.value, bindings)
            .map_err(|e| format!("attribute {} of <{}>: {e}", wanted.name, received.name()))?;
    }
    if open {
        return Ok(());
    }
    for got in received.attributes() {
        if !pattern
            .attributes()
            .any(|a| a.name == got.name && a.namespace == got.namespace)
        {
            return Err(format!(
                "<{}> has an attribute {}='{}' too many",
                received.name(),
                got.name,
                got.value
            ));
        }
    }
    Ok(())
}

/// Children in order; a marker stands for any number of them.
fn compare_children(
    parent: &str,
    wanted: &[ElementRef<'_>],
    got: &[ElementRef<'_>],
    bindings: &mut Bindings,
) -> Result<(), String> {
    match (wanted.split_first(), got.split_first()) {
        (None, None) => Ok(()),
        (None, Some((extra, _))) => Err(format!(
            "<{parent}> has a child too many: {}",
            extra.source()
        )),
        (Some((marker, rest)), _) if marker.name() == MORE => {
            let mut last = Ok(());
            for skipped in 0..=got.len() {
                let mut trial = bindings.clone();
                last = compare_children(parent, rest, &got[skipped..], &mut trial);
                if last.is_ok() {
                    *bindings = trial;
                    return last;
                }
            }
            last
        }
        (Some((missing, _)), None) => Err(format!("<{parent}> lacks a child <{}>", missing.name())),
        (Some((wanted, more_wanted)), Some((first, more))) => {
            compare(*wanted, *first, bindings)?;
            compare_children(parent, more_wanted, more, bindings)
        }
    }
}

/// `$name` binds or must equal; everything else is literal.
fn bind(wanted: &str, got: &str, bindings: &mut Bindings) -> Result<(), String> {
    let Some(name) = wanted.strip_prefix('$') else {
        return if wanted == got {
            Ok(())
        } else {
            Err(format!("expected '{wanted}' but got '{got}'"))
        };
    };
    match bindings.get(name) {
        Some(bound) if bound == got => Ok(()),
        Some(bound) => Err(format!("${name} is '{bound}' but here it is '{got}'")),
        None => {
            bindings.insert(name.to_string(), got.to_string());
            Ok(())
        }
    }
}
