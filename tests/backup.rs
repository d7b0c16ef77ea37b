//! `backup`, `restore` and `check` as an operator uses them: while the server runs and when it does not, on what is whole,
//! cut, damaged, and in the way.
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::transcript::simple::Simple;
use crate::transcript::tls::{Process, TestDir, operate};

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no \"{word}\" in: {text}");
    }
}

fn ok(data: &Path, words: &[&str]) -> String {
    let (code, text) = operate(data, words, "secret\n");
    assert_eq!(code, 0, "{words:?}: {text}");
    text
}

fn fails(data: &Path, words: &[&str]) -> String {
    let (code, text) = operate(data, words, "secret\n");
    assert_eq!(code, 1, "{words:?}: {text}");
    text
}

/// A server with two users and so many messages between them.
fn with_messages(data: &Path, count: usize) -> Process {
    let process = Process::start(data);
    for name in ["alice", "bob"] {
        ok(data, &["user", "add", name]);
    }
    let mut alice = Simple::log_in(&process.access, "alice", "secret", "r").unwrap();
    for number in 0..count {
        let body = format!("message {number} {}", "x".repeat(200));
        alice
            .send(&format!(
                "<message to='bob@localhost' type='chat'><body>{body}</body></message>"
            ))
            .unwrap();
    }
    alice
        .send("<iq type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>")
        .unwrap();
    alice.until_answer("end").unwrap();
    process
}

#[test]
fn what_was_backed_up_while_it_runs_is_restored() {
    let dir = TestDir::new("backup");
    let data = dir.0.join("data");
    let mut process = with_messages(&data, 50);
    let file = dir.0.join("home.backup");
    let file = file.to_str().unwrap();
    let text = ok(&data, &["backup", file]);
    says(
        &text,
        &[
            file,
            "verified",
            "secrets",
            "token.key",
            "key.pem",
            "domain",
        ],
    );
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let left: Vec<_> = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    says(&ok(&data, &["check", file]), &["whole backup", "key.pem"]);
    says(&fails(&data, &["check"]), &["stop the server"]);
    process.stop();
    says(&ok(&data, &["check"]), &["is whole"]);

    let new = dir.0.join("new");
    says(&ok(&new, &["restore", file]), &["restored", "verified"]);
    says(&ok(&new, &["check"]), &["is whole"]);
    for (name, mode) in [
        ("key.pem", 0o600),
        ("cert.pem", 0o644),
        ("token.key", 0o600),
        ("domain", 0o600),
        ("stonechat.redb", 0o600),
    ] {
        let made = new.join(name);
        assert_eq!(
            std::fs::metadata(&made).unwrap().permissions().mode() & 0o777,
            mode,
            "{name}"
        );
        if name != "stonechat.redb" {
            assert_eq!(
                std::fs::read(&made).unwrap(),
                std::fs::read(data.join(name)).unwrap()
            );
        }
    }
    assert_eq!(ok(&new, &["user", "list"]), ok(&data, &["user", "list"]));
    let process = Process::start(&new);
    let mut bob = Simple::log_in(&process.access, "bob", "secret", "r").unwrap();
    assert_eq!(bob.archive().unwrap().len(), 50);
    drop(process);
    // What is there is not overwritten.
    says(&fails(&new, &["restore", file]), &["not overwritten"]);
}

#[test]
fn a_backup_of_a_stopped_server_is_the_same() {
    let dir = TestDir::new("backup-off");
    let data = dir.0.join("data");
    with_messages(&data, 10).stop();
    let before = std::fs::read(data.join("stonechat.redb")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_stonechat"))
        .args(["backup", "-", "--data"])
        .arg(&data)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(output.stdout.starts_with(b"stonechat backup 1\n"));
    let file = dir.0.join("b");
    ok(&data, &["backup", file.to_str().unwrap()]);
    assert_eq!(std::fs::read(&file).unwrap(), output.stdout);
    ok(&data, &["check"]);
    let after = std::fs::read(data.join("stonechat.redb")).unwrap();
    assert!(before == after, "who only looks changes nothing");
}

#[test]
fn a_backup_that_was_cut_or_damaged_is_refused() {
    let dir = TestDir::new("backup-cut");
    let data = dir.0.join("data");
    with_messages(&data, 10).stop();
    let file = dir.0.join("b");
    let name = file.to_str().unwrap();
    ok(&data, &["backup", name]);
    let whole = std::fs::read(&file).unwrap();
    let new = dir.0.join("new");
    let refused = |bytes: &[u8], words: &[&str]| {
        std::fs::write(&file, bytes).unwrap();
        says(&fails(&data, &["check", name]), words);
        says(&fails(&new, &["restore", name]), words);
        let beside = std::fs::read_dir(&dir.0).unwrap().count();
        assert_eq!(beside, 2, "nothing is left behind");
    };
    refused(&whole[..whole.len() - 1], &[name, "incomplete"]);
    refused(&whole[..whole.len() / 2], &[name, "incomplete"]);
    refused(&[&whole[..], b"x"].concat(), &[name, "damaged"]);
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    refused(&flipped, &[name, "damaged at byte"]);
    let later = [b"stonechat backup 2\n", &whole[19..]].concat();
    refused(&later, &[name, "newer version"]);
    std::fs::write(&file, "something else, and long enough for any head").unwrap();
    says(&fails(&new, &["restore", name]), &["no backup"]);
}

/// Every page of the archive that is damaged costs what it held; the rest is saved.
#[test]
fn what_is_whole_of_a_damaged_database_is_saved() {
    let dir = TestDir::new("salvage");
    let data = dir.0.join("data");
    with_messages(&data, 400).stop();
    let path = data.join("stonechat.redb");
    // One message, wherever it lies; all copies of it.
    let mut bytes = std::fs::read(&path).unwrap();
    let needle = b"message 123 ";
    let found: Vec<usize> = (0..bytes.len() - needle.len())
        .filter(|at| bytes[*at..].starts_with(needle))
        .collect();
    assert!(!found.is_empty());
    for at in found {
        bytes[at] ^= 1;
    }
    std::fs::write(&path, &bytes).unwrap();
    let text = fails(&data, &["check"]);
    says(
        &text,
        &["is damaged", "messages: 1 in stanzas", "of alice", "of bob"],
    );
    let file = dir.0.join("b");
    let name = file.to_str().unwrap();
    says(
        &fails(&data, &["backup", name]),
        &["all else is", "messages: 1"],
    );
    says(&ok(&data, &["check", name]), &["missing", "messages: 1"]);
    let new = dir.0.join("new");
    says(&ok(&new, &["restore", name]), &["missing", "messages: 1"]);
    says(&ok(&new, &["check"]), &["is whole"]);
    let process = Process::start(&new);
    let mut bob = Simple::log_in(&process.access, "bob", "secret", "r").unwrap();
    let seen = bob.archive().unwrap();
    assert_eq!(seen.len(), 399);
    assert!(!seen.iter().any(|body| body.starts_with("message 123 ")));
}

/// Zeros over any page: a check tells of it, or nothing that is stored was there; it never fails otherwise.
#[test]
fn a_check_gets_by_any_page_that_is_zero() {
    const PAGE: usize = 4096;
    let dir = TestDir::new("zeros");
    let data = dir.0.join("data");
    with_messages(&data, 100).stop();
    let path = data.join("stonechat.redb");
    let whole = std::fs::read(&path).unwrap();
    let pages: Vec<usize> = (1..whole.len() / PAGE)
        .filter(|page| whole[page * PAGE..][..PAGE].iter().any(|byte| *byte != 0))
        .collect();
    let mut damaged = 0;
    // All of them would take long.
    for page in pages.iter().step_by(pages.len().div_ceil(24)) {
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let at = (page * PAGE) as u64;
        file.write_all_at(&[0; PAGE], at).unwrap();
        let (code, text) = operate(&data, &["check"], "");
        assert!(
            matches!(code, 0 | 1) && !text.contains("panicked"),
            "{page}: {text}"
        );
        damaged += code;
        let backup = dir.0.join("b");
        let name = backup.to_str().unwrap();
        let (_, text) = operate(&data, &["backup", name], "");
        if backup.exists() {
            ok(&data, &["check", name]);
            std::fs::remove_file(&backup).unwrap();
        } else {
            says(&text, &["stonechat.redb"]);
        }
        file.write_all_at(&whole[page * PAGE..][..PAGE], at)
            .unwrap();
    }
    assert!(damaged > 0, "none of it was noticed");
    ok(&data, &["check"]);
}

/// Somebody who takes a backup no further.
struct Taker {
    taker: std::process::Child,
    #[expect(dead_code, reason = "as long as it is open, nobody takes the rest")]
    out: std::process::ChildStdout,
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.taker.kill().unwrap();
        self.taker.wait().unwrap();
    }
}

/// Whoever takes a backup slowly, or not at all, keeps nothing in the database: it grows as without him, and others write on.
#[test]
fn a_slow_taker_of_a_backup_holds_nothing_up() {
    const MESSAGES: usize = 1500;
    let dir = TestDir::new("backup-slow");
    let data = dir.0.join("data");
    let process = with_messages(&data, MESSAGES);
    let path = data.join("stonechat.redb");
    let mut alice = Simple::log_in(&process.access, "alice", "secret", "s").unwrap();
    let mut write = |count: usize| {
        let before = std::fs::metadata(&path).unwrap().len();
        for number in 0..count {
            let body = "y".repeat(200);
            alice
                .send(&format!(
                    "<message to='bob@localhost' type='chat'><body>{number} {body}</body></message>\
                     <iq type='get' id='n{number}'><ping xmlns='urn:xmpp:ping'/></iq>"
                ))
                .unwrap();
            alice.until_answer(&format!("n{number}")).unwrap();
        }
        std::fs::metadata(&path).unwrap().len() - before
    };
    // Each takes one byte, so that it is under way.
    let take = || {
        let mut taker = Command::new(env!("CARGO_BIN_EXE_stonechat"))
            .args(["backup", "-", "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = taker.stdout.take().unwrap();
        std::io::Read::read_exact(&mut out, &mut [0]).unwrap();
        Taker { taker, out }
    };
    let slow = take();
    let grown = write(MESSAGES);
    assert!(grown <= 4 << 20, "{grown} bytes");
    let second = dir.0.join("second");
    let second = second.to_str().unwrap();
    // Nor another backup.
    ok(&data, &["backup", second]);
    ok(&data, &["check", second]);
    // There is an end to it.
    let more: Vec<_> = (0..3).map(|_| take()).collect();
    says(&fails(&data, &["backup", second]), &["4 backups"]);
    drop(more);
    drop(slow);
    // The places are free when the server has noticed.
    let freed = (0..1000).any(|_| operate(&data, &["backup", second], "").0 == 0);
    assert!(freed);
}

#[test]
fn a_backup_is_restored_from_standard_input_and_to_what_is_empty() {
    let dir = TestDir::new("restore-to");
    let data = dir.0.join("data");
    with_messages(&data, 10).stop();
    let file = dir.0.join("b");
    ok(&data, &["backup", file.to_str().unwrap()]);
    let new = dir.0.join("new");
    // A file system has that from the beginning.
    std::fs::create_dir_all(new.join("lost+found")).unwrap();
    let restored = Command::new(env!("CARGO_BIN_EXE_stonechat"))
        .args(["restore", "-", "--data"])
        .arg(&new)
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    assert!(
        restored.status.success(),
        "{}",
        String::from_utf8_lossy(&restored.stderr)
    );
    says(&ok(&new, &["check"]), &["is whole"]);
    assert_eq!(ok(&new, &["user", "list"]), ok(&data, &["user", "list"]));
    let half = dir.0.join("half");
    let mut cut = std::fs::read(&file).unwrap();
    cut.truncate(cut.len() / 2);
    std::fs::write(&half, cut).unwrap();
    let third = dir.0.join("third");
    std::fs::create_dir(&third).unwrap();
    says(
        &fails(&third, &["restore", half.to_str().unwrap()]),
        &["incomplete"],
    );
    assert_eq!(std::fs::read_dir(&third).unwrap().count(), 0);
}

/// What is mounted cannot be renamed.
#[test]
fn a_backup_is_restored_to_where_a_file_system_is_mounted() {
    let dir = TestDir::new("restore-mounted");
    let data = dir.0.join("data");
    with_messages(&data, 10).stop();
    let file = dir.0.join("b");
    ok(&data, &["backup", file.to_str().unwrap()]);
    let new = dir.0.join("new");
    std::fs::create_dir(&new).unwrap();
    let script = "mount -t tmpfs none \"$1\" || exit 77; mkdir \"$1/lost+found\"; \
        \"$0\" restore \"$2\" --data \"$1\" && \"$0\" check --data \"$1\" && ls -A \"$1\"";
    let ran = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(env!("CARGO_BIN_EXE_stonechat"))
        .args([&new, &file])
        .output();
    let Ok(ran) = ran else { return };
    let text = String::from_utf8_lossy(&ran.stdout);
    match ran.status.code() {
        Some(0) => says(
            &text,
            &["restored", "is whole", "stonechat.redb", "key.pem"],
        ),
        // Not everybody may mount.
        Some(1 | 77) if String::from_utf8_lossy(&ran.stderr).contains("mount") => {}
        _ => panic!("{text} {}", String::from_utf8_lossy(&ran.stderr)),
    }
    assert!(!text.contains(".restoring"), "{text}");
}
