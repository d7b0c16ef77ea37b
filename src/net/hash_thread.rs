//! PBKDF2 off the reactor thread: one worker, first come first served. Jobs are bounded by the connections and commands
//! that wait for them.
use std::io;
use std::sync::mpsc;

use crate::state::{HashJob, Hashed, JobId};
use crate::stream::sasl;

pub struct HashThread {
    jobs: mpsc::Sender<(JobId, HashJob)>,
}

impl HashThread {
    /// Results go to `results`, where the reactor thread waits for them.
    pub fn start(results: smol::channel::Sender<(JobId, Hashed)>) -> io::Result<HashThread> {
        let (jobs, queue) = mpsc::channel::<(JobId, HashJob)>();
        std::thread::Builder::new()
            .name("hash".into())
            .spawn(move || {
                for (job, work) in queue {
                    // A full or closed channel is impossible or the end of the process.
                    if results.send_blocking((job, hash(work))).is_err() {
                        return;
                    }
                }
            })?;
        Ok(HashThread { jobs })
    }

    pub fn run(&self, job: JobId, work: HashJob) {
        self.jobs
            .send((job, work))
            .expect("the hash thread lives as long as its queue");
    }
}

/// Does one job (RFC 5802 §3).
pub fn hash(work: HashJob) -> Hashed {
    match work {
        HashJob::Compare {
            password,
            hash,
            salt,
            iterations,
        } => Hashed::Compare(sasl::derive(&password, &salt, iterations, hash)),
        HashJob::New {
            password,
            salt,
            iterations,
        } => Hashed::New(sasl::new_credentials(&password, salt, iterations)),
    }
}
