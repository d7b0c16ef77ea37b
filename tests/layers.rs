//! The rules of who knows whom, read from the source: folders know only those to their right, outside crates have one
//! home each, and only `net` waits or reads the clock.
use std::path::{Path, PathBuf};

/// Left to right; a folder knows those behind it. What stands together may know each other.
const ORDER: &[&[&str]] = &[
    &["main"],
    &["net", "cli"],
    &["config"],
    &["server"],
    &["channel"],
    &["feature"],
    &["pubsub"],
    &["state"],
    &["stream", "store"],
    &["xmpp"],
    &["xml"],
];

/// Outside crates and where they may be named.
const HOMES: &[(&str, &[&str])] = &[
    ("quick_xml", &["xml/"]),
    ("rustls", &["net/tls"]),
    ("graviola", &["net/tls"]),
    ("zeroize", &["net/tls"]),
    ("redb", &["store/"]),
    ("crc32fast", &["store/"]),
    ("smol", &["net/", "main.rs"]),
    ("signal_hook", &["net/"]),
    ("ring", &["net/", "xmpp/hashing.rs"]),
    ("base64", &["xmpp/encoding.rs"]),
    ("argh", &["cli/", "main.rs"]),
    ("simple_logger", &["cli/", "main.rs"]),
    ("toml", &["config"]),
    ("rustix", &["net/", "cli/", "config/file.rs"]),
    ("libc", &["net/machine/system.rs"]),
    (
        "unicode_normalization",
        &["xmpp/folding.rs", "xmpp/words.rs"],
    ),
];

/// What only `net` may do.
const ONLY_NET: &[&str] = &[
    ".await",
    "Instant::now",
    "SystemTime::now",
    "thread::sleep",
    "SystemRandom",
];

pub struct Source {
    /// Below `src`.
    pub name: String,
    /// Without comments, texts and tests.
    pub code: String,
}

#[test]
fn folders_know_only_those_to_their_right() {
    let mut broken = Vec::new();
    for source in sources() {
        let layer = layer_of(&source.name);
        for known in ["crate::", "stonechat::"]
            .iter()
            .flat_map(|prefix| named_after(&source.code, prefix))
        {
            let Some(other) = position(&known) else {
                continue;
            };
            if let Some(own) = position(layer)
                && other < own
            {
                broken.push(format!(
                    "src/{}: `{layer}` must not know `{known}`",
                    source.name
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// `stream` and `store` stand side by side, but the machine of a stream never reads storage.
#[test]
fn streams_do_not_read_storage() {
    for source in sources() {
        if layer_of(&source.name) == "stream" {
            let known = named_after(&source.code, "crate::");
            assert!(
                !known.contains(&"store".to_string()),
                "src/{}: `stream` must not know `store`",
                source.name
            );
        }
    }
}

#[test]
fn outside_crates_have_one_home() {
    let mut broken = Vec::new();
    for source in sources() {
        for (outside, homes) in HOMES {
            let at_home = homes.iter().any(|home| source.name.starts_with(home));
            if !at_home && names(&source.code, outside) {
                let homes = homes.join(", ");
                broken.push(format!(
                    "src/{}: `{outside}` belongs in {homes} only",
                    source.name
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn only_net_waits_and_reads_the_clock() {
    let mut broken = Vec::new();
    for source in sources() {
        if source.name.starts_with("net/") {
            continue;
        }
        for word in ONLY_NET {
            if source.code.contains(word) {
                broken.push(format!("src/{}: `{word}` belongs in net only", source.name));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn what_the_compiler_cannot_check_stands_in_one_file() {
    for source in sources() {
        let is_unsafe = source.code.contains("unsafe");
        assert!(
            !is_unsafe || source.name == "net/machine/system.rs",
            "src/{}",
            source.name
        );
    }
}

/// Fields of log lines whose values come from outside, or are errors that may tell of something from there.
const FOREIGN_FIELDS: &[&str] = &[
    "jid", "account", "from", "to", "ver", "answer", "socket", "reason", "error", "name",
];

/// One line of the log is one event with the fields it has, whatever their values are.
#[test]
fn log_lines_quote_what_comes_from_outside() {
    let mut broken = Vec::new();
    for path in files(&root()) {
        let text = std::fs::read_to_string(&path).unwrap();
        for level in ["error", "warn", "info", "debug", "trace"] {
            for rest in text.split(&format!("log::{level}!(")).skip(1) {
                let line = &rest[..rest.find(");").unwrap_or(rest.len())];
                for field in FOREIGN_FIELDS {
                    if line.contains(&format!(" {field}=")) && !line.contains("quoted") {
                        broken.push(format!("{}: {field} in {line}", path.display()));
                    }
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The style guide's bound of a file; half of that is where to split.
#[test]
fn files_are_not_too_long() {
    for path in files(&root()) {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(
            lines <= 800,
            "{} has {lines} lines, more than 800",
            path.display()
        );
    }
}

#[test]
fn the_reader_sees_through_comments_texts_and_tests() {
    let code = code_only(
        "use crate::{xml::Element, net};\n// crate::cli\nlet a = \"crate::store\"; let c = '\"'; let r = r#\"crate::main\"#;\n\
         /* crate::state */ x.await;\n#[cfg(test)]\nmod tests { use crate::server; }\nfn after() { crate::feature::f(); }\n",
    );
    assert_eq!(named_after(&code, "crate::"), ["xml", "net", "feature"]);
    assert!(code.contains(".await"));
    assert!(names("use smol::Timer;", "smol") && names("a = smol::x()", "smol"));
    assert!(!names("use crate::smol::Timer; notsmol::x", "smol"));
    assert_eq!(layer_of("net/tls/binding.rs"), "net");
    assert_eq!(layer_of("config.rs"), "config");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

pub fn sources() -> Vec<Source> {
    let root = root();
    let mut sources: Vec<Source> = files(&root)
        .iter()
        .map(|path| Source {
            name: path.strip_prefix(&root).unwrap().display().to_string(),
            code: code_only(&std::fs::read_to_string(path).unwrap()),
        })
        // Whole files of tests, and the list of all modules.
        .filter(|source| !source.name.ends_with("tests.rs") && source.name != "lib.rs")
        .collect();
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(sources.len() > 50, "the sources were found");
    sources
}

fn layer_of(name: &str) -> &str {
    let first = name.split('/').next().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

fn position(layer: &str) -> Option<usize> {
    ORDER.iter().position(|together| together.contains(&layer))
}

/// The names directly behind a prefix, also those in braces: `crate::{a::B, c}` gives `a` and `c`.
fn named_after(code: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut start = true;
            for (index, letter) in list.char_indices() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    _ if start && depth == 0 && is_word(letter) => {
                        found.push(word(&list[index..]));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            found.push(word(rest));
        }
    }
    found
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn word(text: &str) -> String {
    text.chars().take_while(|letter| is_word(*letter)).collect()
}

/// Whether an outside crate is named as the beginning of a path.
fn names(code: &str, outside: &str) -> bool {
    code.match_indices(outside).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + outside.len()..];
        !before.is_some_and(|letter| is_word(letter) || letter == ':') && after.starts_with("::")
    })
}

/// Comments and texts blanked, items under `#[cfg(test)]` left out.
fn code_only(text: &str) -> String {
    let blanked = blank(text);
    let mut code = String::new();
    let mut rest = blanked.as_str();
    while let Some(at) = rest.find("#[cfg(test)]") {
        code.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(['{', ';']).map_or(rest.len(), |open| {
            if rest[open..].starts_with(';') {
                return open + 1;
            }
            let mut depth = 0;
            for (index, letter) in rest[open..].char_indices() {
                match letter {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    return open + index + 1;
                }
            }
            rest.len()
        });
        rest = &rest[end..];
    }
    code.push_str(rest);
    code
}

fn blank(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_text(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = rest.find('"').unwrap() + 1;
            rest[open..]
                .find(&close)
                .map_or(rest.len(), |end| open + end + close.len())
        } else if letter == '"' {
            quoted(rest)
        } else {
            character(rest).unwrap_or_default()
        };
        if skipped == 0 {
            out.push(letter);
            rest = &rest[letter.len_utf8()..];
        } else {
            out.push(' ');
            rest = &rest[skipped..];
        }
    }
    out
}

/// The number of hashes if a raw text begins here.
fn raw_text(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.chars().take_while(|letter| *letter == '#').count();
    after[hashes..].starts_with('"').then_some(hashes)
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (index, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character literal; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    let mut letters = inner.char_indices();
    let (_, first) = letters.next()?;
    if first == '\\' {
        letters.next()?;
        return inner[2..].find('\'').map(|end| end + 4);
    }
    let (next, quote) = letters.next()?;
    (quote == '\'').then_some(next + 2)
}
