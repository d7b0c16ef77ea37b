//! What the kernel says of this process and its disk, and what connections hold outside the core.
use std::cell::Cell;
use std::path::Path;

/// Bytes that connections hold, counted as they change.
#[derive(Default)]
pub struct HeldBytes {
    pub unsent: Counter,
    pub leftovers: Counter,
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

/// Lets the process have as many open files as it may: each connection is one.
pub fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        log::debug!("limit.files error=\"{error}\"");
    }
}
