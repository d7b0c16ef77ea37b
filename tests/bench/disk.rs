//! What the disk itself takes to make bytes durable, to hold a server's figures against.

use std::fs::{self, File};
use std::io::Write;
use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};
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

/// Counts what reaches a disk, whoever wrote it.
pub struct Meter(PathBuf);

/// Linux, Documentation/block/stat.rst: sectors written are the seventh number, of 512 bytes each.
const SECTORS_WRITTEN: usize = 6;
const SECTOR_BYTES: f64 = 512.0;

impl Meter {
    /// `None`: what lies there is on no disk of its own.
    pub fn new(dir: &Path) -> Option<Meter> {
        let device = fs::metadata(dir).ok()?.st_dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let meter = Meter(format!("/sys/dev/block/{major}:{minor}/stat").into());
        meter.written_bytes().map(|_| meter)
    }

    /// Bytes since the machine started, after all that waits was written.
    pub fn written_bytes(&self) -> Option<f64> {
        rustix::fs::sync();
        let text = fs::read_to_string(&self.0).ok()?;
        let sectors: f64 = text.split_whitespace().nth(SECTORS_WRITTEN)?.parse().ok()?;
        Some(sectors * SECTOR_BYTES)
    }
}
