//! The server that is attacked: a process of its own with a directory of its own, and how it is.
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;

pub struct Ground {
    child: Child,
    binary: PathBuf,
    dir: PathBuf,
    /// STARTTLS, and TLS from the first byte.
    pub plain: SocketAddr,
    pub door: SocketAddr,
}

impl Ground {
    /// `settings`: lines of `stonechat.toml`.
    pub fn new(binary: &Path, name: &str, settings: &str, accounts: &[&str]) -> Outcome<Ground> {
        let dir = std::env::temp_dir().join(format!("stonechat-{name}-{}", std::process::id()));
        let _old = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("stonechat.toml"), settings)?;
        let mut child = Command::new(binary)
            .args(["--data".as_ref(), dir.as_os_str()])
            .args(["--domain", "localhost", "--log", "error"])
            .args(["--c2s", "127.0.0.1:0", "--c2s-tls", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut doors: Vec<SocketAddr> = Vec::new();
        for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
            let line = line?;
            doors.extend(
                line.split_whitespace()
                    .filter_map(|word| word.parse::<SocketAddr>().ok()),
            );
            if doors.len() == 2 {
                break;
            }
        }
        let [plain, door] = doors[..] else {
            return Err("the server told no addresses".into());
        };
        let ground = Ground {
            child,
            binary: binary.to_path_buf(),
            dir,
            plain,
            door,
        };
        for account in accounts {
            ground.operate(&["user", "add", account], account)?;
        }
        Ok(ground)
    }

    /// An operator's command. How long it took.
    pub fn operate(&self, words: &[&str], input: &str) -> Outcome<Duration> {
        let start = Instant::now();
        let mut child = Command::new(&self.binary)
            .args(words)
            .args(["--data".as_ref(), self.dir.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            writeln!(stdin, "{input}")?;
        }
        match child.wait()?.success() {
            true => Ok(start.elapsed()),
            false => Err(format!("{words:?} failed").into()),
        }
    }

    pub fn is_alive(&mut self) -> Outcome<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("the server ended: {status}").into()),
        }
    }

    /// proc(5): resident memory, and the most since `forget_peak`.
    pub fn resident_bytes(&self) -> Outcome<[usize; 2]> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> Outcome<usize> {
            let line = text.lines().find(|line| line.starts_with(name));
            let kib = line.and_then(|line| line.split_whitespace().nth(1));
            Ok(kib.ok_or("no such field")?.parse::<usize>()? * 1024)
        };
        Ok([field("VmRSS:")?, field("VmHWM:")?])
    }

    pub fn forget_peak(&self) -> io::Result<()> {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        let _gone = std::fs::remove_dir_all(&self.dir);
    }
}
