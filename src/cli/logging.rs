//! The log: one line for each event, to standard error. Whoever reads it may be slow, stopped or gone, and the server waits
//! for nobody: a line that is not taken at once is left out, and how many were is told when lines are taken again.
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use log::{Level, LevelFilter, Log as _, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use simple_logger::SimpleLogger;

/// pipe(7): so much is written whole where there is room for any. Level, target and line end are in it.
const LINE_BYTES_MAX: usize = 4096;

struct Log {
    lines: SimpleLogger,
    left_out: AtomicU64,
}

pub fn start(level: LevelFilter) {
    let lines = SimpleLogger::new()
        .with_level(level)
        // It reports every refused handshake by itself; ours say it with the connection.
        .with_module_level("rustls", level.min(LevelFilter::Error))
        .with_module_level("polling", level.min(LevelFilter::Warn))
        .with_module_level("async_io", level.min(LevelFilter::Warn));
    log::set_max_level(lines.max_level());
    let left_out = AtomicU64::new(0);
    // Only a second one in one process is refused, and there is none.
    let _first = log::set_logger(Box::leak(Box::new(Log { lines, left_out })));
}

impl log::Log for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.lines.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let left_out = self.left_out.load(Ordering::Relaxed);
        let told = left_out == 0
            || self.put(
                &Record::builder()
                    .level(Level::Warn)
                    .target(module_path!())
                    .args(format_args!("log.left_out lines={left_out}"))
                    .build(),
            );
        if told {
            self.left_out.fetch_sub(left_out, Ordering::Relaxed);
        }
        if !told || !self.put(record) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

impl Log {
    /// False: it is not taken now.
    fn put(&self, record: &Record<'_>) -> bool {
        let around = "LEVEL [] \n".len() + record.target().len();
        let event = record.args().to_string();
        let event = shortened(&event, LINE_BYTES_MAX.saturating_sub(around));
        // Its reader may go before it is written, and then the writing panics.
        is_ready()
            && catch_unwind(AssertUnwindSafe(|| {
                self.lines.log(
                    &Record::builder()
                        .metadata(record.metadata().clone())
                        .args(format_args!("{event}"))
                        .build(),
                );
            }))
            .is_ok()
    }
}

fn shortened(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// There is room for a line, and somebody who may read it.
fn is_ready() -> bool {
    let stderr = std::io::stderr();
    let mut ready = [PollFd::from_borrowed_fd(stderr.as_fd(), PollFlags::OUT)];
    let polled = poll(&mut ready, Some(&Timespec::default()));
    polled.is_ok() && ready.iter().all(|fd| fd.revents() == PollFlags::OUT)
}
