//! Where a restored data directory is made, and how it gets its place when it is whole: beside it, to be renamed; or, where
//! a file system is mounted there or nothing may be made beside it, in it, and then its files go up, the database last.
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use super::super::backup::sync_folder;
use crate::net::STORE_FILE;

pub struct Place {
    /// It is made here.
    pub made: PathBuf,
    is_within: bool,
}

impl Place {
    /// Makes a directory there.
    pub fn of(data: &Path) -> io::Result<Place> {
        let id = std::process::id();
        let within = Place {
            made: data.join(format!(".restoring-{id}")),
            is_within: true,
        };
        let mut beside = data.as_os_str().to_owned();
        beside.push(format!(".restoring-{id}"));
        let beside = Place {
            made: PathBuf::from(beside),
            is_within: false,
        };
        if let Some(parent) = data.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let make = |place: Place| {
            let mut builder = DirBuilder::new();
            builder.mode(0o700).create(&place.made).map(|()| place)
        };
        let is_empty = |mut entries: std::fs::ReadDir| entries.next().is_none();
        if is_mounted(data) || !std::fs::read_dir(data).is_ok_and(is_empty) && data.exists() {
            return make(within);
        }
        match make(beside) {
            Err(error) if data.exists() && is_refused(&error) => make(within),
            made => made,
        }
    }

    /// Gives it its place, and to the owner of that place.
    pub fn settle(&self, data: &Path) -> io::Result<()> {
        let own = rustix::process::geteuid().as_raw();
        if let Ok(place) = std::fs::metadata(data)
            && place.uid() != own
            && own == 0
        {
            let owner = (Some(place.uid()), Some(place.gid()));
            for entry in std::fs::read_dir(&self.made)? {
                std::os::unix::fs::chown(entry?.path(), owner.0, owner.1)?;
            }
            std::os::unix::fs::chown(&self.made, owner.0, owner.1)?;
        }
        File::open(&self.made)?.sync_all()?;
        match self.is_within {
            false => std::fs::rename(&self.made, data)?,
            true => self.go_up(data)?,
        }
        sync_folder(data)
    }

    fn go_up(&self, data: &Path) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.made)? {
            names.push(entry?.file_name());
        }
        names.sort_by_key(|name| name == STORE_FILE);
        for name in names {
            std::fs::rename(self.made.join(&name), data.join(&name))?;
        }
        std::fs::remove_dir(&self.made)?;
        File::open(data)?.sync_all()
    }
}

fn is_refused(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

/// A file system's root cannot be renamed.
fn is_mounted(data: &Path) -> bool {
    let told = statx(CWD, data, AtFlags::empty(), StatxFlags::BASIC_STATS);
    told.is_ok_and(|told| told.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}
