//! Files and sockets of the operator's: nothing that lies there keeps the server waiting, and nobody else reads or writes them.
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::transcript::simple::Simple;
use crate::transcript::tls::{Process, TestDir, operate, stonechat};

const PING: &str = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";

fn pipe(path: &Path) {
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_certificate_that_is_no_file_keeps_nobody_waiting() {
    let dir = TestDir::new("pipes");
    let process = Process::start(&dir.0);
    assert_eq!(operate(&dir.0, &["user", "add", "alice"], "secret\n").0, 0);
    let mut alice = Simple::log_in(&process.access, "alice", "secret", "r").unwrap();
    type Put<'p> = &'p dyn Fn(&Path);
    let puts: [Put<'_>; 5] = [
        &pipe,
        &|path| symlink("/dev/zero", path).unwrap(),
        &|path| std::fs::create_dir(path).unwrap(),
        &|path| {
            std::fs::File::create(path)
                .unwrap()
                .set_len(1 << 40)
                .unwrap()
        },
        &|path| symlink("/dev/tty", path).unwrap(),
    ];
    for file in ["cert.pem", "key.pem"].map(|name| dir.0.join(name)) {
        let kept = std::fs::read(&file).unwrap();
        for put in puts {
            let _there = std::fs::remove_file(&file);
            put(&file);
            let pid = Pid::from_raw(process.id().try_into().unwrap()).unwrap();
            kill_process(pid, Signal::HUP).unwrap();
            for _ in 0..3 {
                alice.send(PING).unwrap();
                alice.until_answer("p").expect("alice is served");
            }
            Simple::log_in(&process.access, "alice", "secret", "s").expect("the old one is kept");
            let _not_a_directory = std::fs::remove_dir(&file);
        }
        let _there = std::fs::remove_file(&file);
        std::fs::write(&file, kept).unwrap();
    }
}

#[test]
fn settings_that_are_no_file_are_told() {
    let dir = TestDir::new("settings-pipe");
    let settings = dir.0.join("stonechat.toml");
    for target in ["/dev/zero", "pipe"] {
        let _there = std::fs::remove_file(&settings);
        match target {
            "pipe" => pipe(&settings),
            device => symlink(device, &settings).unwrap(),
        }
        let output = stonechat(&dir.0).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && text.contains("stonechat.toml"),
            "{text}"
        );
    }
}

/// An asker that sends nothing, one whose request never ends, one that does not read: others are answered at once.
#[test]
fn commands_do_not_wait_for_each_other() {
    let dir = TestDir::new("askers");
    let process = Process::start(&dir.0);
    for n in 0..50 {
        let name = format!("{}{n}", "n".repeat(1000));
        assert_eq!(operate(&dir.0, &["user", "add", &name], "secret\n").0, 0);
    }
    let connect = || UnixStream::connect(dir.0.join("control.sock")).unwrap();
    let silent: Vec<_> = (0..100).map(|_| connect()).collect();
    let mut endless = connect();
    endless.write_all(&[0, 0, 0xff, 0xff]).unwrap();
    endless.write_all(&[b'x'; 1000]).unwrap();
    let mut huge = connect();
    huge.write_all(&[0xff; 4]).unwrap();
    huge.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert_eq!(huge.read(&mut [0]).unwrap_or(0), 0, "it is closed at once");
    let deaf: Vec<_> = (0..5)
        .map(|_| {
            let mut asker = connect();
            let request = b"\0\0\0\x0d\0\0\0\x09user list";
            asker.write_all(request).unwrap();
            asker
        })
        .collect();
    let start = std::time::Instant::now();
    let (code, text) = operate(&dir.0, &["status"], "");
    assert!(
        code == 0 && start.elapsed() < Duration::from_secs(9),
        "{text}"
    );
    drop((silent, endless, deaf));
    drop(process);
}

#[test]
fn secrets_are_ones_own_whatever_the_umask() {
    for umask in ["000", "022", "777"] {
        let dir = TestDir::new("umask");
        let data = dir.0.join("data");
        let script = format!(
            "umask {umask}; exec {} serve --data {} --domain localhost --c2s 127.0.0.1:0 --c2s-tls none",
            env!("CARGO_BIN_EXE_stonechat"),
            data.display()
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).stdin(Stdio::null());
        let mut child = shell
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut banner = child.stdout.take().unwrap();
        // The last line of the banner comes when all files are there.
        let mut seen = String::new();
        while !seen.contains("add a user") {
            let mut buffer = [0; 1024];
            let count = banner.read(&mut buffer).unwrap();
            assert!(count > 0, "{seen}");
            seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        assert_eq!(mode(&data), 0o700, "{umask}");
        for secret in [
            "stonechat.redb",
            "key.pem",
            "token.key",
            "control.sock",
            "domain",
        ] {
            assert_eq!(mode(&data.join(secret)), 0o600, "{umask}: {secret}");
        }
        assert_eq!(mode(&data.join("cert.pem")), 0o644, "{umask}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Whoever may write to the directory puts links there under the names that files have while they are made.
#[test]
fn links_that_lie_in_wait_are_not_followed() {
    let dir = TestDir::new("links");
    let victim = dir.0.join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let data = dir.0.join("data");
    std::fs::create_dir(&data).unwrap();
    for name in [
        "cert.new",
        "key.new",
        "token.new",
        "domain.new",
        "stonechat.redb.new",
    ] {
        symlink(&victim, data.join(name)).unwrap();
    }
    drop(Process::start(&data));
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(mode(&data.join("token.key")), 0o600);
}

#[test]
fn a_directory_that_others_may_write_to_is_told() {
    for (mode, expected) in [(0o700, false), (0o770, true), (0o707, true), (0o755, false)] {
        let dir = TestDir::new("open");
        std::fs::set_permissions(&dir.0, Permissions::from_mode(mode)).unwrap();
        // It is told before the server finds out that it cannot listen there.
        let serve = [
            "--domain",
            "localhost",
            "--c2s",
            "192.0.2.1:1",
            "--c2s-tls",
            "none",
        ];
        let output = stonechat(&dir.0)
            .args(serve)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            text.contains("data.open") && text.contains("chmod go-w"),
            expected,
            "{mode:o} {text}"
        );
    }
}

/// A log that nobody reads, and one whose reader is gone, are no reason to stop.
#[test]
fn the_log_waits_for_nobody() {
    let dir = TestDir::new("log");
    let mut serve = stonechat(&dir.0);
    serve.args([
        "--domain",
        "localhost",
        "--c2s",
        "127.0.0.1:0",
        "--c2s-tls",
        "none",
    ]);
    serve
        .args(["--log", "trace"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = serve.stderr(Stdio::piped()).spawn().unwrap();
    let mut banner = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let address = loop {
        banner.clear();
        assert!(stdout.read_line(&mut banner).unwrap() > 0);
        if let Some(address) = banner.trim().strip_prefix("c2s ") {
            break address.trim().to_string();
        }
    };
    let stderr = child.stderr.take().unwrap();
    let crowd = || {
        for _ in 0..1000 {
            drop(TcpStream::connect(&address).unwrap());
        }
        let (code, text) = operate(&dir.0, &["status"], "");
        assert_eq!(code, 0, "{text}");
    };
    crowd();
    // What it took is whole lines; then nobody listens any more.
    let mut taken = BufReader::new(stderr);
    for _ in 0..100 {
        let mut line = String::new();
        taken.read_line(&mut line).unwrap();
        assert!(
            line.contains("connection.") && line.ends_with('\n'),
            "{line}"
        );
    }
    drop(taken);
    crowd();
    assert!(child.try_wait().unwrap().is_none(), "it serves on");
    child.kill().unwrap();
    child.wait().unwrap();
}
