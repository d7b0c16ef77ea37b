//! What the disk itself takes to make bytes durable, to hold a server's figures against.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::Outcome;

/// The disk's own speed: append 4 KiB, wait until they are durable.
pub fn fdatasync_times(dir: &Path, rounds: usize) -> Outcome<Vec<f64>> {
    let path = dir.join("fdatasync");
    let mut file = File::create(&path)?;
    let block = [7; 4096];
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        file.write_all(&block)?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64());
    }
    fs::remove_file(path)?;
    Ok(times)
}
