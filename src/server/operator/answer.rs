//! What commands are answered.
use crate::state::{JobId, Outbox, Output};

/// Exit codes of commands.
const OK: u8 = 0;
const FAILED: u8 = 1;

/// What a command answers.
pub type Answer = Result<String, String>;

pub fn done(out: &mut Outbox, job: JobId, answer: Answer) {
    let (code, text) = match answer {
        Ok(text) => (OK, text),
        Err(text) => (FAILED, text),
    };
    out.push(Output::CommandDone { job, code, text });
}
