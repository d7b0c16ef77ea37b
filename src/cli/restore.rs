//! `stonechat restore FILE`: makes a data directory of a backup, beside the place it is to have, and gives it that place
//! when it was found whole.
mod place;

use std::fs::{DirEntry, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use argh::FromArgs;

use super::check::{listed, look};
use super::progress::Progress;
use crate::config::{Config, StartError, data_directory, file};
use crate::net::STORE_FILE;
use crate::net::control::Answer;
use crate::net::control::backup::FILES;
use crate::store::{BackupContents, restore};
use place::Place;

pub const STDIN: &str = "/dev/stdin";

/// Make a data directory of a backup. It must not be there, or be empty; a file system may be mounted there.
#[derive(FromArgs)]
#[argh(subcommand, name = "restore")]
pub struct Restore {
    /// the backup; - for standard input
    #[argh(positional)]
    file: String,
    /// the data directory to make
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

impl Restore {
    pub fn run(self) -> Result<Answer, StartError> {
        let data = data_directory(self.data.as_deref(), super::environment)?;
        // Where a link leads to is what is to be there.
        let data = std::fs::canonicalize(&data).unwrap_or(data);
        let file = PathBuf::from(self.file);
        require_nothing(&data)?;
        let place = Place::of(&data).map_err(|error| StartError::DataDirectory {
            path: data.clone(),
            error,
        })?;
        let made = make(&file, &place.made).and_then(|contents| {
            place
                .settle(&data)
                .map_err(|error| StartError::DataDirectory {
                    path: data.clone(),
                    error,
                })?;
            Ok(contents)
        });
        let contents = made.inspect_err(|_| {
            // Whatever of it there is.
            let _gone = std::fs::remove_dir_all(&place.made);
        })?;
        let mut text = format!(
            "restored {} ({} rows) to {} and verified it",
            file.display(),
            contents.rows,
            data.display()
        );
        if !contents.left_out.is_empty() {
            text.push_str("\nwhat was damaged when the backup was made is missing:");
            text.push_str(&listed(contents.left_out.iter()).concat());
        }
        Ok(Answer { code: 0, text })
    }
}

/// What is there is never overwritten.
fn require_nothing(data: &Path) -> Result<(), StartError> {
    let failed = |error| StartError::DataDirectory {
        path: data.to_path_buf(),
        error,
    };
    match std::fs::read_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(mut entries) => match entries.find(is_something) {
            None => Ok(()),
            Some(_) => Err(StartError::Backup {
                path: data.to_path_buf(),
                reason: "there is something in it already, and it is not overwritten\n  \
                         move it away, or name another directory with --data DIR"
                    .into(),
            }),
        },
    }
}

/// A file system has it from the beginning.
fn is_something(entry: &io::Result<DirEntry>) -> bool {
    entry
        .as_ref()
        .is_ok_and(|entry| entry.file_name() != "lost+found")
}

fn make(file: &Path, beside: &Path) -> Result<BackupContents, StartError> {
    let failed = |reason: String| StartError::Backup {
        path: file.to_path_buf(),
        reason,
    };
    let io_failed = |error| StartError::DataDirectory {
        path: beside.to_path_buf(),
        error,
    };
    let (mut backup, bytes) = open(file).map_err(|error| StartError::File {
        what: "read the backup",
        path: file.to_path_buf(),
        error,
    })?;
    let store = beside.join(STORE_FILE);
    // More than a server takes: rows come in the order of their keys, and nobody else wants the memory.
    const CACHE_BYTES: usize = 16 << 20;
    let mut progress = Progress::new("restoring");
    let contents = restore(
        &mut backup,
        bytes,
        &store,
        CACHE_BYTES,
        &mut |done, total| {
            progress.show(done, total);
            true
        },
    );
    drop(progress);
    let contents = contents.map_err(|error| failed(error.to_string()))?;
    for BackupContentsFile { name, mode, bytes } in known_files(&contents) {
        file::write(&beside.join(name), mode, bytes).map_err(io_failed)?;
    }
    let cache_bytes = Config::new(beside.to_path_buf()).cache_bytes;
    let findings = look(&store, cache_bytes)
        .map_err(|error| StartError::store(beside, store.clone(), error))?;
    let is_whole = findings.damage.is_empty() && findings.is_sound != Some(false);
    match is_whole && findings.rows >= contents.rows {
        true => Ok(contents),
        false => Err(failed(
            "what was written of it is not what can be read: see to the disk".into(),
        )),
    }
}

struct BackupContentsFile<'c> {
    name: &'static str,
    mode: u32,
    bytes: &'c [u8],
}

/// Files of any other name are not made, whoever put them there.
fn known_files(contents: &BackupContents) -> impl Iterator<Item = BackupContentsFile<'_>> {
    const PUBLIC: u32 = 0o644;
    FILES.into_iter().filter_map(|(name, is_secret)| {
        let file = contents.files.iter().find(|file| file.name == name)?;
        let mode = if is_secret { file::SECRET } else { PUBLIC };
        let bytes = file.bytes.as_slice();
        Some(BackupContentsFile { name, mode, bytes })
    })
}

/// The backup, and how long it is, if that is known.
fn open(file: &Path) -> io::Result<(Box<dyn Read>, u64)> {
    if file == Path::new(STDIN) {
        return Ok((Box::new(io::stdin().lock()), 0));
    }
    let file = File::open(file)?;
    let bytes = file.metadata()?.len();
    Ok((Box::new(BufReader::new(file)), bytes))
}
