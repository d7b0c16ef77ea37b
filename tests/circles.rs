//! The rooms of one folder do not import each other in a circle: what two need lies below both.
use std::collections::{BTreeMap, BTreeSet};

use crate::layers::{Source, sources};

/// Folders of `src` that hold this. In `stream` each state of a negotiation is made by the one before it, and in `net` a
/// connection and what all share know each other.
const FOLDERS: &[&str] = &[
    "cli", "config", "server", "channel", "feature", "pubsub", "state", "store", "xmpp", "xml",
];

type Module = Vec<String>;

#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let sources = sources();
    let modules: BTreeMap<Module, &Source> = sources
        .iter()
        .map(|source| (module_of(&source.name), source))
        .collect();
    for folder in FOLDERS {
        let mut left: BTreeMap<&Module, BTreeSet<Module>> = modules
            .iter()
            .filter(|(module, _)| module.first().is_some_and(|first| first == folder))
            .map(|(module, source)| (module, imports(module, source, &modules)))
            .collect();
        // Whoever imports nobody that is left is in no circle.
        loop {
            let free: Vec<Module> = left
                .iter()
                .filter(|(_, known)| !known.iter().any(|other| left.contains_key(other)))
                .map(|(module, _)| (*module).clone())
                .collect();
            if free.is_empty() {
                break;
            }
            left.retain(|module, _| !free.contains(module));
        }
        let names: Vec<String> = left.keys().map(|module| module.join("/")).collect();
        assert!(
            names.is_empty(),
            "a circle is among (or below) {}",
            names.join(", ")
        );
    }
}

#[test]
fn paths_are_read_out_of_code() {
    let paths: Vec<String> = named("let x: crate::a::B = super::c::d(super_::e, supers::f);")
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(paths, ["crate::a::B", "super::c::d"]);
}

#[test]
fn paths_are_read_out_of_trees() {
    let paths = paths("crate::{a::B, c::{self, d as e}, f}");
    let paths: Vec<String> = paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(
        paths,
        ["crate::a::B", "crate::c::self", "crate::c::d", "crate::f"]
    );
}

/// `server/route/iq.rs` is `server`, `route`, `iq`; a `mod.rs` is its folder.
fn module_of(name: &str) -> Module {
    let name = name.trim_end_matches(".rs").trim_end_matches("/mod");
    name.split('/').map(str::to_string).collect()
}

/// Files of its own folder of `src` that a file names; those it lies in, as `store/engine/table.rs` has rooms of its own, are
/// none of them: what they have is common to their rooms.
fn imports(
    module: &Module,
    source: &Source,
    modules: &BTreeMap<Module, &Source>,
) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let imported = uses(&source.code).into_iter().flat_map(|tree| paths(&tree));
    for path in imported.chain(named(&source.code)) {
        let mut whole = absolute(module, &path);
        while !whole.is_empty() && !modules.contains_key(&whole) {
            whole.pop();
        }
        let is_other = !module.starts_with(&whole) && whole.first() == module.first();
        if whole.len() > 1 && is_other {
            found.insert(whole);
        }
    }
    found
}

/// What stands behind `use` where nothing is indented.
fn uses(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let line = code[..at].rsplit('\n').next().unwrap_or_default();
        let is_import = line.is_empty() || (line.starts_with("pub") && line.ends_with(' '));
        if is_import && let Some(end) = code[at..].find(';') {
            found.push(code[at + "use ".len()..at + end].to_string());
        }
    }
    found
}

/// Paths from the root or from above that stand where something is used.
fn named(code: &str) -> Vec<Module> {
    let is_of_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let words = code.split(|letter: char| !is_of_path(letter));
    let paths = words.filter(|word| word.starts_with("crate::") || word.starts_with("super::"));
    paths
        .map(|path| path.split("::").map(str::to_string).collect())
        .collect()
}

fn paths(tree: &str) -> Vec<Module> {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or_default();
        return vec![
            name.split("::")
                .map(|part| part.trim().to_string())
                .collect(),
        ];
    };
    let head = head.trim_end_matches("::").split("::");
    let head: Module = head.map(|part| part.trim().to_string()).collect();
    let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    let mut all = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (index, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = &inner[start..index];
                start = (index + 1).min(inner.len());
                if !part.trim().is_empty() {
                    let below = paths(part).into_iter();
                    all.extend(below.map(|path| [head.clone(), path].concat()));
                }
            }
            _ => {}
        }
    }
    all
}

/// Without `crate`, `super` and `self`; of an outside crate nothing is found.
fn absolute(module: &Module, path: &Module) -> Module {
    let mut base = module.clone();
    let mut rest = path.as_slice();
    match rest.first().map(String::as_str) {
        Some("crate") => {
            base.clear();
            rest = &rest[1..];
        }
        Some("super") => {
            while rest.first().is_some_and(|part| part == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        _ => {}
    }
    let parts = rest.iter().filter(|part| *part != "self");
    base.into_iter().chain(parts.cloned()).collect()
}
