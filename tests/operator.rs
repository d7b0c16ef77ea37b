//! The operator is not left hanging: who does not answer, what is gone, whose something is, and which line is wrong.
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::transcript::tls::{Process, TestDir, operate, stonechat};

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no \"{word}\" in: {text}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    let dir = TestDir::new("stopped");
    let process = Process::start(&dir.0);
    let pid = Pid::from_raw(process.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let (code, text) = operate(&dir.0, &["status"], "");
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(code, 1);
    let named = format!("process {}", process.id());
    says(
        &text,
        &[
            &named,
            "does not answer",
            "control.sock",
            "10 seconds",
            "kill -CONT",
        ],
    );
    assert_eq!(operate(&dir.0, &["status"], "").0, 0);
}

#[test]
fn a_removed_control_socket_is_told() {
    let dir = TestDir::new("socket");
    let _process = Process::start(&dir.0);
    std::fs::remove_file(dir.0.join("control.sock")).unwrap();
    let backup = dir.0.join("b");
    for words in [
        &["status"][..],
        &["user", "list"],
        &["user", "add", "alice"],
        &["backup", backup.to_str().unwrap()],
    ] {
        let (code, text) = operate(&dir.0, words, "secret\n");
        assert_eq!(code, 1, "{text}");
        says(
            &text,
            &["nobody listens", "control.sock", "start the server anew"],
        );
    }
    assert!(!backup.exists());
}

#[test]
fn the_broken_line_of_a_pem_file_is_told() {
    let dir = TestDir::new("pem");
    Process::start(&dir.0).stop();
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| dir.0.join(name));
    let refused = |words: &[&str]| {
        let mut child = stonechat(&dir.0)
            .args(["--c2s", "127.0.0.1:0", "--c2s-tls", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut banner = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut banner)
            .unwrap();
        if !banner.is_empty() {
            child.kill().unwrap();
            panic!("it started: {banner}");
        }
        let output = child.wait_with_output().unwrap();
        says(&String::from_utf8_lossy(&output.stderr), words);
    };
    let lines = |path: &Path| -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(str::to_string).collect()
    };
    let (of_cert, of_key) = (lines(&cert), lines(&key));
    let change = |path: &Path, of: &[String], line: usize, to: &str| {
        let mut changed = of.to_vec();
        changed[line] = to.to_string();
        std::fs::write(path, changed.join("\n")).unwrap();
    };
    change(&cert, &of_cert, 2, "not base64!");
    refused(&["cert.pem", "line 3", "base64"]);
    std::fs::write(&cert, of_cert[..of_cert.len() - 1].join("\n")).unwrap();
    refused(&[
        "cert.pem",
        "the file ends",
        "-----END CERTIFICATE-----",
        "line 1",
    ]);
    change(&cert, &of_cert, 1, "AAAA");
    refused(&["cert.pem", "no certificate that can be used"]);
    std::fs::write(&cert, of_cert.join("\n")).unwrap();
    change(&key, &of_key, of_key.len() - 1, "-----END CERTIFICATE-----");
    refused(&["key.pem", "-----END PRIVATE KEY-----"]);
    std::fs::write(&key, of_cert.join("\n")).unwrap();
    refused(&[
        "key.pem",
        "no private key in it",
        "-----BEGIN PRIVATE KEY-----",
    ]);
    change(&key, &of_key, 1, "AAAA");
    refused(&["key.pem", "no key that can be used"]);
}

/// Needs to be root to be somebody else.
#[test]
fn a_data_directory_of_another_user_is_told() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    const NOBODY: u32 = 65534;
    let dir = TestDir::new("foreign");
    let data = dir.0.join("data");
    Process::start(&data).stop();
    std::fs::set_permissions(&dir.0, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Where it is built, others may not go.
    let program = dir.0.join("stonechat");
    std::fs::copy(env!("CARGO_BIN_EXE_stonechat"), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = |words: &[&str]| {
        let output = Command::new(&program)
            .args(words)
            .arg("--data")
            .arg(&data)
            .current_dir("/")
            .uid(NOBODY)
            .gid(NOBODY)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    for words in [
        &["serve"][..],
        &["status"],
        &["user", "list"],
        &["check"],
        &["backup", "-"],
    ] {
        says(
            &run(words),
            &[data.to_str().unwrap(), "belongs to root", "sudo -u root"],
        );
    }
    // The directory is his, the database is not.
    std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
    let path = data.join("stonechat.redb");
    for words in [&["check"][..], &["backup", "-"]] {
        says(&run(words), &[path.to_str().unwrap(), "belongs to root"]);
    }
}
