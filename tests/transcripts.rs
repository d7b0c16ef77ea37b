//! Every file under `tests/transcripts` on the pure core: whole, byte by byte, and at seeded random cuts.
use std::path::{Path, PathBuf};

use stonechat::stream::Framing;

use crate::transcript::core::{Core, Cutting, Disk};
use crate::transcript::prng::Prng;
use crate::transcript::run::{run, run_core, settings};
use crate::transcript::script::{Line, parse};
use crate::transcript::tls::Real;

const RANDOM_RUNS: u64 = 3;

/// Name and text of every transcript, sorted.
pub fn all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in std::fs::read_dir(&root).expect("tests/transcripts") {
        let folder = folder.expect("an entry").path();
        if folder.is_dir() {
            let entries = std::fs::read_dir(&folder)
                .expect("a folder")
                .map(|file| file.expect("an entry").path());
            files.extend(
                entries.filter(|file| file.extension().is_some_and(|extension| extension == "txt")),
            );
        }
    }
    files.sort();
    let name = |file: &Path| {
        file.strip_prefix(&root)
            .expect("below the root")
            .display()
            .to_string()
    };
    files
        .iter()
        .map(|file| {
            (
                name(file),
                std::fs::read_to_string(file).expect("a transcript"),
            )
        })
        .collect()
}

/// Runs all and reports every one that fails.
fn run_all(disk: Disk, cutting: impl Fn(usize) -> Cutting) {
    let index = std::cell::Cell::new(0);
    run_each(|name, text| run_core(name, text, disk, cutting(index.replace(index.get() + 1))));
}

fn run_each(run: impl Fn(&str, &str)) {
    let mut failed = Vec::new();
    let transcripts = all();
    assert!(!transcripts.is_empty());
    for (name, text) in &transcripts {
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(name, text)));
        if run.is_err() {
            failed.push(name.clone());
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} failed: {failed:#?}",
        failed.len(),
        transcripts.len()
    );
}

#[test]
fn whole() {
    run_all(Disk::Quick, |_| Cutting::Whole);
}

#[test]
fn byte_by_byte() {
    run_all(Disk::Quick, |_| Cutting::ByteByByte);
}

#[test]
fn at_random_cuts() {
    for run in 0..RANDOM_RUNS {
        run_all(Disk::Quick, |index| {
            Cutting::Random(Prng(run * 1000 + index as u64))
        });
    }
}

/// As messages of one element each (RFC 7395), whatever is said and however it comes about.
#[test]
fn as_messages() {
    run_each(|name, text| {
        let mut core = Core::new(settings(text), Cutting::Whole);
        core.framing = Framing::Messages;
        run(name, text, &mut core);
    });
}

/// What tells of nothing new comes at once, what does comes in order when it is durable, and nothing waits for ever.
#[test]
fn at_a_slow_disk() {
    run_all(Disk::Slow, |_| Cutting::Whole);
    run_all(Disk::Slow, |index| Cutting::Random(Prng(index as u64)));
}

/// Over loopback TLS against the real binary; what moves the clock or fills the disk needs the pure core.
#[test]
fn over_tls() {
    let transcripts: Vec<_> = all()
        .into_iter()
        .filter(|(_, text)| runs_for_real(text))
        .collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, text)) =
                    transcripts.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let run = std::panic::catch_unwind(|| run_real(name, text));
                    if run.is_err() {
                        failed.lock().expect("the list").push(name.clone());
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("the list");
    assert!(
        failed.is_empty(),
        "{} of {} failed: {failed:#?}",
        failed.len(),
        transcripts.len()
    );
}

/// What moves the clock or fills the disk needs the pure core; so does what counts stanzas or sleeps, for the real stage
/// keeps in step by pings of its own.
fn runs_for_real(text: &str) -> bool {
    if text.contains("urn:xmpp:sm:3") || text.contains("urn:xmpp:csi:0") {
        return false;
    }
    let lines = parse(text);
    let mut later = lines
        .iter()
        .skip_while(|(_, line)| matches!(line, Line::Set(..)));
    !later.any(|(_, line)| {
        matches!(
            line,
            Line::Wait(_) | Line::Clock(_) | Line::Disk(_) | Line::Set(..) | Line::Early(_)
        )
    })
}

fn run_real(name: &str, text: &str) {
    let settings: Vec<(String, String)> = parse(text)
        .into_iter()
        .filter_map(|(_, line)| match line {
            Line::Set(key, value) => Some((key, value)),
            _ => None,
        })
        .collect();
    run(name, text, &mut Real::new(name, &settings));
}
