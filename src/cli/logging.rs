//! The log: one line for each event, to standard error. Whoever reads it may be slow, stopped or gone, and the server waits
//! for nobody: a line that is not taken at once is left out, and how many were is told when lines are taken again.
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use log::{LevelFilter, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// pipe(7): so much is written whole where there is room for any.
const LINE_BYTES_MAX: usize = 4096;

struct Log {
    level: LevelFilter,
    left_out: AtomicU64,
}

pub fn start(level: LevelFilter) {
    let log = Log {
        level,
        left_out: AtomicU64::new(0),
    };
    log::set_max_level(level);
    // Only a second one in one process is refused, and there is none.
    let _first = log::set_logger(Box::leak(Box::new(log)));
}

impl log::Log for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // rustls reports every refused handshake by itself; ours say it with the connection.
        let own = match metadata.target().split("::").next() {
            Some("rustls") => LevelFilter::Error,
            Some("polling" | "async_io") => LevelFilter::Warn,
            _ => LevelFilter::Trace,
        };
        metadata.level() <= self.level.min(own)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = String::with_capacity(128);
        let left_out = self.left_out.load(Ordering::Relaxed);
        if left_out > 0 {
            put(
                &mut line,
                "WARN",
                module_path!(),
                format_args!("log.left_out lines={left_out}"),
            );
        }
        put(
            &mut line,
            record.level().as_str(),
            record.target(),
            *record.args(),
        );
        match write(&line) {
            true => self.left_out.fetch_sub(left_out, Ordering::Relaxed),
            false => self.left_out.fetch_add(1, Ordering::Relaxed),
        };
    }

    fn flush(&self) {}
}

fn put(line: &mut String, level: &str, target: &str, event: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = write!(line, "{level:<5} [{target}] {event}");
    if line.len() >= LINE_BYTES_MAX {
        let cut = |at: &usize| line.is_char_boundary(*at);
        let end = (0..LINE_BYTES_MAX).rev().find(cut);
        line.truncate(end.unwrap_or(0));
    }
    line.push('\n');
}

/// False: it is not taken now.
fn write(line: &str) -> bool {
    let mut stderr = std::io::stderr().lock();
    let is_ready = {
        let mut ready = [PollFd::from_borrowed_fd(stderr.as_fd(), PollFlags::OUT)];
        poll(&mut ready, Some(&Timespec::default())).is_ok_and(|count| count > 0)
    };
    is_ready && stderr.write_all(line.as_bytes()).is_ok()
}
