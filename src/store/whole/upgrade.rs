//! A file of an earlier version is upgraded in one transaction, and kept beside as it was until the upgraded one was read from
//! one end to the other. Whenever the process ends meanwhile, the next start finds the old file, or the new one, as a whole.
//!
//! | there is | at the next start |
//! |---|---|
//! | half a copy, the old file | the copy is made anew |
//! | a copy, the old file | the same |
//! | a copy, the new file | it is read through; then the copy goes |
//!
//! If more of the new file is damaged than was of the old one, that one gets its place back. Where there is no room for a
//! copy, or for both, there is still the transaction: the operator is told that a backup is the only way back.
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use redb::Database;

use super::{Offline, Take, Whole};
use crate::store::{StoreError, upgrades};
use crate::xmpp::{quoted, quoted_error};

/// Of the copy, while it is read.
const CACHE_BYTES: usize = 1 << 20;

/// Brings an open database to this program's version.
pub fn run(database: &Database, path: &Path) -> Result<(), StoreError> {
    let found = upgrades::version(database)?;
    let known = upgrades::require_known(found)?;
    if found > 0 && found < known {
        keep(path)?;
    }
    upgrades::upgrade(database)?;
    let kept = kept_as(path);
    match kept.try_exists()? {
        true => verify(database, path, &kept),
        false => Ok(()),
    }
}

fn kept_as(path: &Path) -> PathBuf {
    path.with_extension("redb.before-upgrade")
}

/// There was room for the copy, but not for the upgrade beside it: without it there may be.
pub fn gives_room(path: &Path) -> bool {
    let is_gone = std::fs::remove_file(kept_as(path)).is_ok();
    if is_gone {
        tell_no_copy("there is room for one of both only");
    }
    is_gone
}

fn tell_no_copy(error: &str) {
    log::warn!(
        "store.upgrade_without_copy error={} remedy=\"if it matters, stop, restore a backup, and make room first\"",
        quoted(error)
    );
}

/// A copy that has its name is whole.
fn keep(path: &Path) -> Result<(), StoreError> {
    let kept = kept_as(path);
    let part = kept.with_extension("part");
    let copied = copy(path, &part).and_then(|()| {
        std::fs::rename(&part, &kept)?;
        sync_folder(path)
    });
    let Err(error) = copied else { return Ok(()) };
    let _half = std::fs::remove_file(&part);
    match StoreError::from(error) {
        StoreError::DiskFull(error) => {
            tell_no_copy(&error);
            Ok(())
        }
        error => Err(error),
    }
}

fn copy(path: &Path, part: &Path) -> io::Result<()> {
    // With the mode of the original, which is its owner's alone.
    std::fs::copy(path, part)?;
    File::open(part)?.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn verify(database: &Database, path: &Path, kept: &Path) -> Result<(), StoreError> {
    let damage = damaged_rows(Whole::of(database)?)?;
    if damage > 0 && damage > of_copy(kept)? {
        std::fs::rename(kept, path)?;
        sync_folder(path)?;
        return Err(StoreError::Unreadable(
            "its upgrade did not succeed, and it is again as it was before: run the version before, and tell us".into(),
        ));
    }
    log::info!(
        "store.upgraded removed={}",
        quoted(&kept.display().to_string())
    );
    if let Err(error) = std::fs::remove_file(kept) {
        log::warn!("store.copy_stays error={}", quoted_error(&error));
    }
    Ok(())
}

/// A copy that cannot be read is no better than what there is.
fn of_copy(kept: &Path) -> Result<u64, StoreError> {
    let opened = Offline::open(kept, CACHE_BYTES);
    match opened.and_then(|copy| damaged_rows(copy.whole()?)) {
        Err(StoreError::Unreadable(_) | StoreError::Damaged { .. }) => Ok(u64::MAX),
        read => read,
    }
}

fn damaged_rows(whole: Whole) -> Result<u64, StoreError> {
    let findings = whole.read(&mut Nobody)?;
    Ok(findings
        .damage
        .iter()
        .map(|damage| damage.rows.max(1))
        .sum())
}

/// Only looks whether all is there.
struct Nobody;

impl Take for Nobody {
    fn table(&mut self, _: &'static str) -> Result<(), StoreError> {
        Ok(())
    }

    fn row(&mut self, _: &[u8], _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn progress(&mut self, _: u64, _: u64) -> Result<(), StoreError> {
        Ok(())
    }
}
