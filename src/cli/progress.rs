//! How far something is, on a terminal.
use std::io::{self, IsTerminal, Write};

pub struct Progress {
    what: &'static str,
    is_shown: bool,
    percent: Option<u64>,
}

impl Progress {
    pub fn new(what: &'static str) -> Progress {
        Progress {
            what,
            is_shown: io::stderr().is_terminal(),
            percent: None,
        }
    }

    pub fn show(&mut self, done: u64, total: u64) {
        let percent = (done.min(total) * 100).checked_div(total);
        if self.is_shown && percent != self.percent {
            self.percent = percent;
            let _gone = write!(
                io::stderr(),
                "\r{} … {} %",
                self.what,
                percent.unwrap_or(100)
            );
        }
    }
}

impl Drop for Progress {
    /// The line is free for what comes of it.
    fn drop(&mut self) {
        if self.percent.is_some() {
            let blank = self.what.len() + 10;
            let _gone = write!(io::stderr(), "\r{:blank$}\r", "");
        }
    }
}
