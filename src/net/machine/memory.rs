//! What the kernel says of this process and its disk, and what connections hold outside the core.
use std::cell::Cell;
use std::path::Path;

use crate::xmpp::quoted_error;

/// Bytes that connections hold, counted as they change.
#[derive(Default)]
pub struct HeldBytes {
    pub unsent: Counter,
    pub leftovers: Counter,
    /// How many TLS handshakes are under way, or of TLS 1.2.
    pub handshakes: Counter,
    /// How many connections do not take what is sent to them as fast as it comes.
    pub congested: Counter,
}

#[derive(Default)]
pub struct Counter(Cell<usize>);

impl Counter {
    pub fn change(&self, before: usize, after: usize) {
        self.0.set((self.0.get() + after).saturating_sub(before));
    }

    pub fn get(&self) -> usize {
        self.0.get()
    }
}

/// Proportional set size in bytes (proc(5)), resident size on kernels without it.
pub fn memory_bytes() -> Option<u64> {
    let field = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib * 1024)
    };
    field("/proc/self/smaps_rollup", "Pss:").or_else(|| field("/proc/self/status", "VmRSS:"))
}

/// The budget where none is set: a quarter of the machine's memory, within reason.
pub fn memory_budget() -> usize {
    let info = rustix::system::sysinfo();
    let total = info.totalram.saturating_mul(info.mem_unit.into());
    budget_of(usize::try_from(total).unwrap_or(usize::MAX))
}

fn budget_of(total_bytes: usize) -> usize {
    (total_bytes / 4).clamp(16 << 20, 256 << 20)
}

/// Room on a disk.
pub struct DiskBytes {
    /// For this user.
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// The disk a path is on.
pub fn disk_bytes(path: &Path) -> std::io::Result<DiskBytes> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(DiskBytes {
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
    })
}

/// Open files that are no connections: the database, sockets of the operator's commands, what is read now and then.
const OTHER_FILES: u64 = 64;

/// Lets the process have as many open files as it may: each connection is one. How many connections there may be.
pub fn raise_file_limit() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            log::debug!("limit.files error={}", quoted_error(&error));
            limit.current
        }
    };
    let connections = files.unwrap_or(u64::MAX).saturating_sub(OTHER_FILES);
    usize::try_from(connections).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_a_quarter_within_bounds() {
        for (total_mib, budget_mib) in [(32, 16), (128, 32), (512, 128), (8192, 256)] {
            assert_eq!(budget_of(total_mib << 20), budget_mib << 20);
        }
        assert!((16 << 20..=256 << 20).contains(&memory_budget()));
    }
}
