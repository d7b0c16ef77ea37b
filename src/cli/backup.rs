//! `stonechat backup FILE|-`: of the running server, or where none runs straight from the database.
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use argh::FromArgs;

use super::check::listed;
use super::offline;
use super::progress::Progress;
use crate::config::{Config, StartError, file};
use crate::net::STORE_FILE;
use crate::net::control::backup::files;
use crate::net::control::{self, Answer, Fetched};
use crate::store::{BackupError, Offline, read_backup, write_backup};

/// Where a backup goes instead of to a file; `-` is a way to write it.
pub const STDOUT: &str = "/dev/stdout";

/// Write all that the server keeps to one file, while it runs or when it is stopped: the database as it is at one moment,
/// settings, domain, certificate and keys. The file holds secrets.
#[derive(FromArgs)]
#[argh(subcommand, name = "backup")]
pub struct Backup {
    /// where to; `-` is standard output
    #[argh(positional)]
    file: String,
    /// data directory of the server
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
}

impl Backup {
    pub fn run(self) -> Result<Answer, StartError> {
        let config = super::load(self.data.as_deref(), &[])?;
        if self.file == STDOUT {
            return to_stdout(&config);
        }
        let path = PathBuf::from(&self.file);
        let part = PathBuf::from(format!("{}.{}.part", self.file, std::process::id()));
        let done = to_file(&config, &path, &part);
        if !matches!(done, Ok(Answer { code: 0, .. })) {
            // Whatever of it there is; mostly nothing.
            let _gone = std::fs::remove_file(&part);
        }
        done
    }
}

fn to_stdout(config: &Config) -> Result<Answer, StartError> {
    let stdout = io::stdout();
    let failed = |reason: String| StartError::Backup {
        path: "standard output".into(),
        reason,
    };
    if stdout.is_terminal() {
        let reason = "a backup is nothing to look at\n  name a file, or send it on with `>` or `|`";
        return Err(failed(reason.into()));
    }
    let mut out = BufWriter::new(stdout.lock());
    let left_out = write(config, &mut out, &failed)?;
    out.flush().map_err(|error| failed(error.to_string()))?;
    Ok(match left_out.is_empty() {
        true => Answer {
            code: 0,
            text: String::new(),
        },
        false => Answer {
            code: 1,
            text: told(&left_out),
        },
    })
}

fn to_file(config: &Config, path: &Path, part: &Path) -> Result<Answer, StartError> {
    let failed = |reason: String| StartError::Backup {
        path: path.to_path_buf(),
        reason,
    };
    let io_failed = |error: io::Error| StartError::File {
        what: "write the backup",
        path: path.to_path_buf(),
        error,
    };
    if path.is_dir() {
        return Err(failed("it is a directory: name a file".into()));
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    let part_file = options.mode(file::SECRET).open(part).map_err(io_failed)?;
    let mut out = BufWriter::new(&part_file);
    let left_out = write(config, &mut out, &failed)?;
    out.flush().map_err(io_failed)?;
    drop(out);
    part_file.sync_all().map_err(io_failed)?;
    // What was written is what can be read.
    let written = File::open(part).map_err(io_failed)?;
    let bytes = written.metadata().map_err(io_failed)?.len();
    let mut progress = Progress::new("verifying");
    let contents = read_backup(&mut BufReader::new(written), bytes, &mut |done, total| {
        progress.show(done, total);
        true
    });
    drop(progress);
    let contents = contents.map_err(|error| failed(error.to_string()))?;
    std::fs::rename(part, path).map_err(io_failed)?;
    sync_folder(path).map_err(io_failed)?;
    let names: Vec<&str> = contents
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    let mut text = format!(
        "wrote {} ({bytes} bytes, {} rows) and verified it\nit holds secrets, and only you may read it: the database, {}",
        path.display(),
        contents.rows,
        names.join(", ")
    );
    for outside in [&config.cert, &config.key].into_iter().flatten() {
        text.push_str(&format!("\nnot in it: {}", outside.display()));
    }
    let code = u8::from(!left_out.is_empty());
    if code != 0 {
        text = format!("{}\n{text}", told(&left_out));
    }
    Ok(Answer { code, text })
}

fn told(left_out: &[String]) -> String {
    let lines = listed(left_out.iter()).concat();
    format!("what is damaged is not in the backup; all else is:{lines}")
}

/// Writes a backup; what is missing in it.
fn write(
    config: &Config,
    out: &mut dyn Write,
    failed: &dyn Fn(String) -> StartError,
) -> Result<Vec<String>, StartError> {
    let mut progress = Progress::new("reading");
    let fetched = control::fetch_backup(&config.data, out, &mut |done, total| {
        progress.show(done, total);
    })?;
    match fetched {
        Some(Fetched {
            error: Some(error), ..
        }) => Err(failed(error)),
        Some(Fetched { left_out, .. }) => Ok(left_out),
        None => {
            offline::require_database(config)?;
            write_offline(config, out, &mut progress)
        }
    }
}

fn write_offline(
    config: &Config,
    out: &mut dyn Write,
    progress: &mut Progress,
) -> Result<Vec<String>, StartError> {
    let path = config.data.join(STORE_FILE);
    let store_failed = |error| StartError::store(&config.data, path.clone(), error);
    let offline = Offline::open(&path, config.cache_bytes).map_err(store_failed)?;
    let whole = offline.whole().map_err(store_failed)?;
    let files = files(&config.data).map_err(|error| StartError::File {
        what: "read what belongs to a backup",
        path: config.data.clone(),
        error,
    })?;
    let findings = write_backup(whole, &files, out, &mut |done, total| {
        progress.show(done, total);
        true
    });
    let findings = findings.map_err(|error| match error {
        BackupError::Store(error) => store_failed(error),
        error => StartError::Backup {
            path: path.clone(),
            reason: format!("cannot write the backup: {error}"),
        },
    })?;
    Ok(findings.damage.iter().map(ToString::to_string).collect())
}

/// A rename is there to stay.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
