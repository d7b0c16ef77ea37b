//! The real binary as an operator sees it: first start, users, signals, and what each thing that is wrong says.
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::CertificateDer;
use stonechat::config::StartError;

use crate::transcript::simple::Simple;
use crate::transcript::tls::{Process, TestDir, operate, stonechat};

const ANY_PORT: [&str; 4] = ["--c2s", "127.0.0.1:0", "--c2s-tls", "127.0.0.1:0"];

/// Starts a server that must not start; what it complains.
fn refused(command: &mut Command) -> String {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut banner = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut banner).unwrap();
    if !banner.is_empty() {
        child.kill().unwrap();
        panic!("it started: {banner}");
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    let warned = text.lines().take_while(|line| line.starts_with("WARN"));
    let text: String = text
        .lines()
        .skip(warned.count())
        .map(|line| line.to_string() + "\n")
        .collect();
    assert!(text.starts_with("stonechat: "), "{text}");
    assert!(
        text.lines().count() >= 2 || text.contains(": "),
        "no remedy: {text}"
    );
    text
}

fn ran(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// Whether the text holds all of these.
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no \"{word}\" in: {text}");
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn signal(process: u32, signal: Signal) {
    let pid = Pid::from_raw(process.try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// A started server and all of what it printed.
fn start(command: &mut Command) -> (Child, String) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut banner = String::new();
    for line in lines.by_ref() {
        let line = line.unwrap();
        banner.push_str(&line);
        banner.push('\n');
        if line.contains("add a user") {
            break;
        }
    }
    (child, banner)
}

#[test]
fn a_first_start_makes_what_it_needs_and_says_so() {
    let dir = TestDir::new("first");
    let data = dir.0.join("deep/data");
    let (mut child, banner) = start(
        stonechat(&data)
            .args(ANY_PORT)
            .arg("--domain")
            .arg("Pi.Local"),
    );
    says(
        &banner,
        &[
            "serves pi.local",
            "  c2s          127.0.0.1:",
            "  c2s-tls      127.0.0.1:",
            data.join("cert.pem").to_str().unwrap(),
            &format!("stonechat user add NAME --data {}", data.display()),
        ],
    );
    let pem = std::fs::read(data.join("cert.pem")).unwrap();
    let certificate =
        <CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(&pem).unwrap();
    let fingerprint = |algorithm| {
        let digest = ring::digest::digest(algorithm, &certificate);
        let octets = digest.as_ref().iter().map(|byte| format!("{byte:02X}"));
        octets.collect::<Vec<_>>().join(":")
    };
    let sha1 = fingerprint(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    let fingerprint = fingerprint(&ring::digest::SHA256);
    says(&banner, &[&fingerprint, &sha1]);
    assert_eq!(mode(&data), 0o700);
    for secret in [
        "key.pem",
        "control.sock",
        "stonechat.redb",
        "stonechat.redb.journal",
    ] {
        assert_eq!(mode(&data.join(secret)), 0o600, "{secret}");
    }
    signal(child.id(), Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!data.join("control.sock").exists());
    // The same certificate and domain the next time, whatever the host is called then.
    let (mut child, again) = start(stonechat(&data).args(ANY_PORT));
    says(&again, &["serves pi.local", &fingerprint]);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The same with and without a running server.
#[test]
fn users_are_added_listed_disabled_and_removed() {
    for running in [false, true] {
        let dir = TestDir::new("users");
        let data = &dir.0;
        let process = running.then(|| Process::start(data));
        let domain = match running {
            true => "localhost".to_string(),
            false => {
                std::fs::write(data.join("stonechat.toml"), "domain = 'example.org'").unwrap();
                "example.org".to_string()
            }
        };
        let ok = |words: &[&str], input: &str| {
            let (code, text) = operate(data, words, input);
            assert_eq!(code, 0, "{words:?}: {text}");
            text
        };
        let fails = |words: &[&str], input: &str| {
            let (code, text) = operate(data, words, input);
            assert_eq!(code, 1, "{words:?}: {text}");
            text
        };
        let mut add = vec!["user", "add", "alice"];
        if !running {
            // A directory that was not meant is not filled.
            says(&fails(&add, "secret\n"), &["no database", "--create"]);
            says(&fails(&["user", "list"], ""), &["no database"]);
            assert!(!data.join("stonechat.redb").exists());
            add.push("--create");
        }
        says(
            &ok(&add, "secret\nignored"),
            &[&format!("added alice@{domain}")],
        );
        says(&ok(&["user", "clients", "alice"], ""), &["no clients"]);
        says(
            &fails(&["user", "passwd", "alice"], "pass\tword\n"),
            &["character 5", "U+0009", "control"],
        );
        says(
            &fails(&["user", "add", "Alice"], "other\n"),
            &["already", "passwd"],
        );
        says(
            &fails(&["user", "add", "carol"], ""),
            &["empty", "--generate"],
        );
        says(&fails(&["user", "add", "carol"], "\n"), &["empty"]);
        says(&fails(&["user", "add", "ca rol"], "x\n"), &["ca rol"]);
        says(
            &fails(&["user", "add", "carol@elsewhere.net"], "x\n"),
            &["elsewhere.net", &domain],
        );
        let made = ok(&["user", "add", &format!("bob@{domain}"), "--generate"], "");
        let password = made
            .lines()
            .find_map(|line| line.strip_prefix("password "))
            .unwrap();
        assert!(password.len() >= 20, "{made}");
        let list = ok(&["user", "list"], "");
        says(
            &list,
            &[&format!("alice@{domain}"), &format!("bob@{domain}")],
        );
        if let Some(process) = &process {
            assert!(
                may_log_in(process, "bob", password),
                "the made password is right"
            );
            assert!(!may_log_in(process, "alice", "ignored"));
        }
        ok(&["user", "passwd", "alice"], "changed\n");
        ok(&["user", "disable", "bob"], "");
        says(&ok(&["user", "list"], ""), &["disabled"]);
        if let Some(process) = &process {
            assert!(
                may_log_in(process, "alice", "changed"),
                "the new password is right"
            );
            assert!(!may_log_in(process, "bob", password));
        }
        ok(&["user", "enable", "bob"], "");
        assert!(!ok(&["user", "list"], "").contains("disabled"));
        ok(&["user", "del", "alice"], "");
        says(
            &fails(&["user", "del", "alice"], ""),
            &["no user alice", "user list"],
        );
        assert!(!ok(&["user", "list"], "").contains("alice"));
    }
}

/// A login that fails ends the test client with a panic.
/// Bug: `stonechat channel` was taken for an option of `serve`.
#[test]
fn every_command_of_the_help_is_one() {
    let output = ran(Command::new(env!("CARGO_BIN_EXE_stonechat")).arg("--help"));
    let help = String::from_utf8(output.stdout).unwrap();
    let commands = help.split_once("Commands:").unwrap().1;
    let names: Vec<&str> = commands
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 9 && names.contains(&"channel"), "{names:?}");
    for name in names {
        let output = ran(Command::new(env!("CARGO_BIN_EXE_stonechat")).args([name, "--help"]));
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {text}");
        says(&text, &[&format!("stonechat {name}")]);
    }
}

/// The same with and without a running server.
#[test]
fn channels_are_made_listed_shown_and_destroyed() {
    for running in [false, true] {
        let dir = TestDir::new("channels");
        let data = &dir.0;
        let _process = running.then(|| Process::start(data));
        if !running {
            std::fs::write(data.join("stonechat.toml"), "domain = 'localhost'").unwrap();
        }
        let ok = |words: &[&str]| {
            let (code, text) = operate(data, words, "secret\n");
            assert_eq!(code, 0, "{words:?}: {text}");
            text
        };
        ok(&["user", "add", "alice", "--create"]);
        ok(&["user", "add", "bob"]);
        ok(&["channel", "create", "lounge", "alice"]);
        says(&ok(&["channel", "list"]), &["lounge"]);
        ok(&["channel", "ban", "lounge", "bob"]);
        let members = ok(&["channel", "members", "lounge"]);
        says(
            &members,
            &["alice@localhost\towner", "bob@localhost\toutcast"],
        );
        says(
            &ok(&["channel", "show", "lounge"]),
            &["made by alice@localhost"],
        );
        ok(&["channel", "destroy", "lounge"]);
        assert!(!ok(&["channel", "list"]).contains("lounge"));
        let (code, text) = operate(data, &["channel", "show", "lounge"], "");
        assert_eq!(code, 1, "{text}");
    }
}

fn may_log_in(process: &Process, name: &str, password: &str) -> bool {
    let login = || Simple::log_in(&process.access, name, password, "r").is_ok();
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(login)).unwrap_or(false)
}

#[test]
fn status_tells_what_the_server_does() {
    let dir = TestDir::new("status");
    let (code, text) = operate(&dir.0, &["status"], "");
    assert_eq!(code, 1);
    says(&text, &["no stonechat is running", "--data"]);
    let process = Process::start(&dir.0);
    operate(&dir.0, &["user", "add", "alice"], "secret\n");
    let _alice = Simple::log_in(&process.access, "alice", "secret", "r").unwrap();
    let (code, text) = operate(&dir.0, &["status"], "");
    assert_eq!(code, 0);
    let value = |name: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{text}"));
        line.split_whitespace().last().unwrap().to_string()
    };
    assert_eq!(value("sessions"), "1");
    assert!(value("memory bytes").parse::<u64>().unwrap() > 100_000);
    assert!(value("store bytes").parse::<u64>().unwrap() > 1_000);
    assert!(value("commits").parse::<u64>().unwrap() > 0);
    says(&text, &["queue bytes  0 in, 0 out", "uptime"]);
}

#[test]
fn a_second_start_on_the_same_data_is_refused() {
    let dir = TestDir::new("second");
    let _process = Process::start(&dir.0);
    let text = refused(stonechat(&dir.0).args(ANY_PORT));
    says(
        &text,
        &["another stonechat", dir.0.to_str().unwrap(), "--data"],
    );
}

#[test]
fn a_taken_port_is_named() {
    let [one, other] = [TestDir::new("port"), TestDir::new("port")];
    let process = Process::start(&one.0);
    let taken = process.access.c2s_tls.to_string();
    let text = refused(stonechat(&other.0).args(["--c2s", "none", "--c2s-tls", &taken]));
    says(
        &text,
        &[&taken, "another program uses this port", "--c2s-tls"],
    );
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let dir = TestDir::new("settings");
    let file = dir.0.join("stonechat.toml");
    std::fs::write(&file, "log = 'info'\nlogg = 'info'\n").unwrap();
    let text = refused(stonechat(&dir.0).args(ANY_PORT));
    says(
        &text,
        &[
            file.to_str().unwrap(),
            "line 2",
            "logg",
            "no such setting",
            "known are",
        ],
    );
    std::fs::write(&file, "idle_seconds_max = 3\n").unwrap();
    says(
        &refused(stonechat(&dir.0).args(ANY_PORT)),
        &["line 1", "idle_seconds_max", "60 to"],
    );
    std::fs::remove_file(&file).unwrap();
    says(
        &refused(stonechat(&dir.0).args(["--c2s", "5222"])),
        &["--c2s", "5222", "ADDRESS:PORT"],
    );
    says(
        &refused(stonechat(&dir.0).args(["--domain", "a b"])),
        &["--domain", "a b"],
    );
    says(
        &refused(stonechat(&dir.0).args(["--set", "log"])),
        &["--set", "KEY=VALUE"],
    );
    says(
        &refused(stonechat(&dir.0).arg("--frobnicate")),
        &["--frobnicate", "--help"],
    );
}

#[test]
fn without_a_place_for_the_data_the_remedy_is_told() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stonechat"));
    says(
        &refused(command.env_clear()),
        &["STATE_DIRECTORY", "--data DIR"],
    );
    let dir = TestDir::new("file");
    let file = dir.0.join("file");
    std::fs::write(&file, "").unwrap();
    says(
        &refused(&mut stonechat(&file.join("below"))),
        &["data directory", "--data DIR"],
    );
}

#[test]
fn certificate_and_key_belong_together() {
    let dir = TestDir::new("certificate");
    let [a, b] = [dir.0.join("a.pem"), dir.0.join("b.pem")];
    let (pem, key) = pair("a");
    std::fs::write(&a, &pem).unwrap();
    std::fs::write(&b, &key).unwrap();
    let [a, b] = [a.to_str().unwrap(), b.to_str().unwrap()];
    let start = |arguments: &[&str]| refused(stonechat(&dir.0).args(ANY_PORT).args(arguments));
    says(&start(&["--cert", a]), &[a, "no key", "--key FILE"]);
    says(&start(&["--key", b]), &[b, "no cert", "--cert FILE"]);
    says(
        &start(&["--cert", b, "--key", b]),
        &[b, "no certificate in it"],
    );
    says(
        &start(&["--cert", a, "--key", a]),
        &[a, "no private key in it"],
    );
    let gone = dir.0.join("gone.pem");
    says(
        &start(&["--cert", a, "--key", gone.to_str().unwrap()]),
        &["gone.pem", "--key FILE"],
    );
    std::fs::write(b, pair("b").1).unwrap();
    says(
        &start(&["--cert", a, "--key", b]),
        &["does not belong", a, b],
    );
    // In the data directory, where a certificate would be made if there were none.
    std::fs::write(dir.0.join("cert.pem"), &pem).unwrap();
    says(&start(&[]), &["cert.pem", "no key", "--key FILE"]);
}

/// PEM of a certificate and its key.
fn pair(name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_string()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn a_database_that_cannot_be_used_is_told_apart() {
    let dir = TestDir::new("database");
    let path = dir.0.join("stonechat.redb");
    std::fs::write(&path, "not a database, but somebody's text\n".repeat(500)).unwrap();
    let text = refused(stonechat(&dir.0).args(ANY_PORT));
    says(&text, &["stonechat.redb", "damaged", "restore a backup"]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        operate(&dir.0, &["user", "add", "alice", "--create"], "secret\n").0,
        0
    );
    let database = redb::Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&[u8], &[u8]>::new("meta");
    write
        .open_table(meta)
        .unwrap()
        .insert(b"schema".as_slice(), 999u64.to_be_bytes().as_slice())
        .unwrap();
    write.commit().unwrap();
    drop(database);
    let text = refused(stonechat(&dir.0).args(ANY_PORT));
    says(&text, &["stonechat.redb", "newer", "999"]);
    let (code, text) = operate(&dir.0, &["user", "list"], "");
    assert_eq!(code, 1);
    says(&text, &["newer", "999"]);
}

/// Its last messages may be in the other of its two files.
#[test]
fn a_database_without_its_journal_is_told() {
    let dir = TestDir::new("journal");
    let log = dir.0.join("log");
    for (is_taken_away, is_told) in [(false, false), (false, false), (true, true), (false, false)] {
        if is_taken_away {
            std::fs::remove_file(dir.0.join("stonechat.redb.journal")).unwrap();
        }
        let errors = std::fs::File::create(&log).unwrap();
        let (mut child, _) = start(stonechat(&dir.0).args(ANY_PORT).stderr(errors));
        child.kill().unwrap();
        child.wait().unwrap();
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!(text.contains("store.journal_missing"), is_told, "{text}");
        if is_told {
            says(&text, &["stonechat.redb.journal", "put that file back"]);
        }
    }
}

/// /dev/full answers every write as a full disk does.
#[test]
fn a_full_disk_is_told() {
    let mut full = std::fs::File::create("/dev/full").unwrap();
    let error = StartError::File {
        what: "write the certificate",
        path: "key.pem".into(),
        error: std::io::Write::write_all(&mut full, b"x").unwrap_err(),
    };
    says(
        &error.to_string(),
        &["key.pem", "No space left", "make room"],
    );
}

#[test]
fn the_domain_stays_with_its_accounts() {
    let dir = TestDir::new("domain");
    drop(Process::start(&dir.0));
    // Without accounts nothing is orphaned.
    let (mut child, banner) = start(
        stonechat(&dir.0)
            .args(ANY_PORT)
            .args(["--domain", "b.example"]),
    );
    says(&banner, &["serves b.example"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(operate(&dir.0, &["user", "add", "alice"], "secret\n").0, 0);
    let text = refused(
        stonechat(&dir.0)
            .args(ANY_PORT)
            .args(["--domain", "c.example"]),
    );
    says(
        &text,
        &[
            "b.example",
            "c.example",
            dir.0.join("domain").to_str().unwrap(),
        ],
    );
}

#[test]
fn sigterm_closes_streams_and_ends() {
    let dir = TestDir::new("sigterm");
    let (mut child, banner) = start(
        stonechat(&dir.0)
            .args(ANY_PORT)
            .args(["--domain", "localhost"]),
    );
    let address = banner
        .lines()
        .find_map(|line| line.trim().strip_prefix("c2s "))
        .unwrap()
        .trim();
    let mut tcp = TcpStream::connect(address).unwrap();
    std::io::Write::write_all(
        &mut tcp,
        b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
    )
    .unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains("</stream:features>") {
        let count = tcp.read(&mut buffer).unwrap();
        assert!(count > 0);
        seen.extend_from_slice(&buffer[..count]);
    }
    signal(child.id(), Signal::TERM);
    tcp.read_to_end(&mut seen).unwrap();
    let seen = String::from_utf8(seen).unwrap();
    says(&seen, &["<system-shutdown "]);
    assert!(seen.ends_with("</stream:stream>"), "{seen}");
    drop(tcp);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn sighup_loads_the_certificate_again() {
    let dir = TestDir::new("sighup");
    let [cert, key] = [dir.0.join("cert.pem"), dir.0.join("key.pem")];
    let mut process = Process::start(&dir.0);
    // A pair that does not fit changes nothing.
    let (pem, key_pem) = pair("localhost");
    std::fs::write(&cert, &pem).unwrap();
    signal(process.id(), Signal::HUP);
    operate(&dir.0, &["user", "add", "alice"], "secret\n");
    Simple::log_in(&process.access, "alice", "secret", "r").expect("the old certificate is served");
    std::fs::write(&key, &key_pem).unwrap();
    signal(process.id(), Signal::HUP);
    process.access.certificate =
        <CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(pem.as_bytes())
            .unwrap();
    let served = (0..500).any(|_| Simple::log_in(&process.access, "alice", "secret", "r").is_ok());
    assert!(served, "the new certificate is served");
}

/// Whoever does not read is given up when the queue is full; nobody else notices.
#[test]
fn a_client_that_does_not_read_is_disconnected() {
    const MESSAGES: usize = 2_000;
    let dir = TestDir::new("overflow");
    std::fs::write(
        dir.0.join("stonechat.toml"),
        "send_queue_bytes_max = 65536\n",
    )
    .unwrap();
    let process = Process::start(&dir.0);
    for name in ["alice", "bob"] {
        operate(&dir.0, &["user", "add", name], "secret\n");
    }
    let mut alice = Simple::log_in(&process.access, "alice", "secret", "r").unwrap();
    let mut bob = Simple::log_in(&process.access, "bob", "secret", "r").unwrap();
    // Far more than the kernel's buffers of one connection hold.
    let body = "x".repeat(8_000);
    for _ in 0..MESSAGES {
        alice
            .send(&format!(
                "<message to='bob@localhost/r' type='headline'><body>{body}</body></message>"
            ))
            .unwrap();
    }
    alice
        .send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        .unwrap();
    alice.until_answer("p").expect("alice is served on");
    let got = std::iter::from_fn(|| bob.next().ok()).count();
    assert!(got < MESSAGES, "bob got all {got}");
}

/// What a socket does not take is sent when it does, again and again, in order.
#[test]
fn a_client_that_reads_late_misses_nothing() {
    const ROUNDS: usize = 2;
    const MESSAGES: usize = 1_000;
    let dir = TestDir::new("late");
    let limit = "send_queue_bytes_max = 33554432\nmemory_bytes_max = 104857600\n";
    std::fs::write(dir.0.join("stonechat.toml"), limit).unwrap();
    let process = Process::start(&dir.0);
    for name in ["alice", "bob"] {
        operate(&dir.0, &["user", "add", name], "secret\n");
    }
    let mut alice = Simple::log_in(&process.access, "alice", "secret", "r").unwrap();
    let mut bob = Simple::log_in(&process.access, "bob", "secret", "r").unwrap();
    let padding = "x".repeat(8_000);
    for round in 0..ROUNDS {
        for number in 0..MESSAGES {
            alice
                .send(&format!(
                    "<message to='bob@localhost/r' type='headline' id='{round}-{number}'><body>{padding}</body></message>"
                ))
                .unwrap();
        }
        alice
            .send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
            .unwrap();
        alice.until_answer("p").expect("alice is served on");
        for number in 0..MESSAGES {
            let message = bob.expect("message").unwrap();
            let id = message
                .root()
                .attribute("id")
                .unwrap_or_default()
                .into_owned();
            assert_eq!(id, format!("{round}-{number}"));
        }
    }
}

/// A server that lets two connections in.
fn house_for_two(limit: &str) -> (TestDir, Process) {
    let dir = TestDir::new("limit");
    std::fs::write(dir.0.join("stonechat.toml"), format!("{limit} = 2\n")).unwrap();
    let process = Process::start(&dir.0);
    let (code, text) = operate(&dir.0, &["user", "add", "alice"], "secret\n");
    assert_eq!(code, 0, "{text}");
    (dir, process)
}

#[test]
fn connections_over_the_limit_are_closed_but_no_member_is() {
    for limit in ["connections_max", "connections_per_address_max"] {
        let (_dir, process) = house_for_two(limit);
        let log_in = |resource| Simple::log_in(&process.access, "alice", "secret", resource);
        let mut members = [log_in("a").unwrap(), log_in("b").unwrap()];
        let mut third = TcpStream::connect(process.access.c2s).unwrap();
        assert_eq!(third.read(&mut [0]).unwrap_or(0), 0, "{limit}");
        for member in &mut members {
            let ping = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";
            member.send(ping).unwrap();
            member.until_answer("p").expect("served on");
        }
    }
}

/// Nobody is locked out by connections that say nothing: the oldest of them makes room.
#[test]
fn the_oldest_stranger_makes_room() {
    for limit in ["connections_max", "connections_per_address_max"] {
        let (_dir, process) = house_for_two(limit);
        let connect = || TcpStream::connect(process.access.c2s).unwrap();
        let mut strangers = [connect(), connect()];
        let mut member = Simple::log_in(&process.access, "alice", "secret", "r").unwrap();
        let mut last_words = String::new();
        strangers[0].read_to_string(&mut last_words).unwrap();
        says(&last_words, &["resource-constraint"]);
        // However many come, who is logged in stays.
        let more: Vec<_> = (0..50).map(|_| connect()).collect();
        let ping = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";
        member.send(ping).unwrap();
        member.until_answer("p").expect("served on");
        drop(more);
    }
}

/// unix(7): a socket's path has at most 107 bytes, a data directory's may have more.
#[test]
fn a_deep_data_directory_has_a_control_socket_too() {
    let dir = TestDir::new("deep");
    let data = dir.0.join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&data).unwrap();
    let _process = Process::start(&data);
    let (code, text) = operate(&data, &["status"], "");
    assert_eq!(code, 0, "{text}");
    says(&text, &["uptime"]);
}

#[test]
fn help_and_version_are_there() {
    let run = |arguments: &[&str]| {
        let output = ran(Command::new(env!("CARGO_BIN_EXE_stonechat")).args(arguments));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        run(&["--version"]),
        format!("stonechat {}\n", env!("CARGO_PKG_VERSION"))
    );
    says(&run(&["--help"]), &["serve", "user", "status"]);
    says(
        &run(&["serve", "--help"]),
        &["--domain", "--c2s-tls", "--cert", "--log"],
    );
    says(
        &run(&["user", "--help"]),
        &["add", "passwd", "del", "list", "disable"],
    );
}
