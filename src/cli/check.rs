//! `stonechat check`: reads everything and says what is damaged, and whose. Nothing is changed.
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use argh::FromArgs;

use super::offline;
use super::progress::Progress;
use crate::config::{Config, StartError};
use crate::net::STORE_FILE;
use crate::net::control::Answer;
use crate::store::{BackupError, Findings, Offline, StoreError, Take, read_backup};

/// What backups begin with.
const BACKUP_BEGINNING: &[u8] = b"stonechat backup ";
/// Kinds of damage listed at most.
const LISTED_MAX: usize = 1000;

/// Read the whole database (the server must be stopped), or a backup, and say what of it is damaged, and whose. The exit
/// code is 0 if all is whole.
#[derive(FromArgs)]
#[argh(subcommand, name = "check")]
pub struct Check {
    /// a backup, or another database; default: the database in the data directory
    #[argh(positional)]
    file: Option<String>,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

impl Check {
    pub fn run(self) -> Result<Answer, StartError> {
        let config = super::load(self.data.as_deref(), &[])?;
        let Some(file) = self.file else {
            offline::require_database(&config)?;
            return database(&config, &config.data.join(STORE_FILE));
        };
        let path = PathBuf::from(file);
        let path = match path.is_dir() {
            true => path.join(STORE_FILE),
            false => path,
        };
        let mut beginning = Vec::new();
        let open = File::open(&path).and_then(|file| {
            let length = u64::try_from(BACKUP_BEGINNING.len()).unwrap_or(0);
            file.take(length).read_to_end(&mut beginning)
        });
        open.map_err(|error| StartError::File {
            what: "read",
            path: path.clone(),
            error,
        })?;
        match beginning == BACKUP_BEGINNING {
            true => backup(&path),
            false => database(&config, &path),
        }
    }
}

/// Lets all rows pass.
struct Looking(Progress);

impl Take for Looking {
    fn table(&mut self, _: &'static str) -> Result<(), StoreError> {
        Ok(())
    }

    fn row(&mut self, _: &[u8], _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn progress(&mut self, done: u64, total: u64) -> Result<(), StoreError> {
        self.0.show(done, total);
        Ok(())
    }
}

/// All of a database that nobody serves from.
pub fn look(path: &Path, cache_bytes: usize) -> Result<Findings, StoreError> {
    let offline = Offline::open(path, cache_bytes)?;
    let mut looking = Looking(Progress::new("checking"));
    let mut findings = offline.whole()?.read(&mut looking)?;
    drop(looking);
    findings.is_sound = Some(offline.is_sound());
    Ok(findings)
}

fn database(config: &Config, path: &Path) -> Result<Answer, StartError> {
    let findings = match look(path, config.cache_bytes) {
        Ok(findings) => findings,
        Err(StoreError::InUse) => {
            return Err(StartError::Backup {
                path: path.to_path_buf(),
                reason: "a server is running on it, and a check needs it for itself\n  \
                         stop the server first; or make a backup, which tells of damage, too: `stonechat backup FILE`"
                    .into(),
            });
        }
        Err(error) => return Err(StartError::store(&config.data, path.to_path_buf(), error)),
    };
    let (rows, shown) = (findings.rows, path.display());
    let is_sound = findings.is_sound.unwrap_or(true);
    if findings.damage.is_empty() && is_sound {
        return Ok(Answer {
            code: 0,
            text: format!("{shown} is whole: {rows} rows"),
        });
    }
    let mut text = format!("{shown} is damaged; {rows} rows are whole. Damaged are:");
    for line in listed(findings.damage.iter()) {
        text.push_str(&line);
    }
    if findings.damage.is_empty() {
        text.push_str("\n  nothing that is stored, but what the file knows of its own free room");
    }
    text.push_str(
        "\n  what is whole can be saved: `stonechat backup FILE`, then `stonechat restore FILE --data NEWDIR`;\n  \
         what is not comes back from an older backup only. See to the disk.",
    );
    Ok(Answer { code: 1, text })
}

fn backup(path: &Path) -> Result<Answer, StartError> {
    let failed = |error: BackupError| StartError::Backup {
        path: path.to_path_buf(),
        reason: error.to_string(),
    };
    let file = File::open(path).map_err(|error| failed(error.into()))?;
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let mut progress = Progress::new("checking");
    let contents = read_backup(&mut BufReader::new(file), bytes, &mut |done, total| {
        progress.show(done, total);
        true
    });
    drop(progress);
    let contents = contents.map_err(failed)?;
    let files: Vec<&str> = contents
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    let mut text = format!(
        "{} is a whole backup: {} rows and {}",
        path.display(),
        contents.rows,
        files.join(", ")
    );
    if !contents.left_out.is_empty() {
        text.push_str("\nwhat was damaged when it was made is missing:");
        for line in listed(contents.left_out.iter()) {
            text.push_str(&line);
        }
    }
    Ok(Answer { code: 0, text })
}

/// One line each, not without end.
pub fn listed(items: impl ExactSizeIterator<Item = impl ToString>) -> Vec<String> {
    let more = items.len().saturating_sub(LISTED_MAX);
    let mut lines: Vec<String> = items
        .take(LISTED_MAX)
        .map(|item| format!("\n  {}", item.to_string()))
        .collect();
    if more > 0 {
        lines.push(format!("\n  and {more} more"));
    }
    lines
}
