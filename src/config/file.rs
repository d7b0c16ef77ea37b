//! Files of the operator's: read without waiting for anybody, made so that nobody else comes in between.
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Access, Mode, OFlags};

use super::StartError;

/// More is no settings, no certificate and no key.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// For this user only.
pub const SECRET: u32 = 0o600;

/// All of a regular file. Nothing else is read: a pipe keeps its reader waiting, a device may never end.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|count| count > FILE_BYTES_MAX) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// Makes a file, whole or not at all, also when the power fails; with this mode, whatever the umask.
pub fn write(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = match make(&new) {
        // Left by a start that was cut short, or put there by somebody: nothing of it is used.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(&new)?;
            make(&new)?
        }
        file => file?,
    };
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// open(2): what is there already, be it a link, is neither followed nor opened.
fn make(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(SECRET).open(path)
}

/// Makes a directory for its owner only, if it is not there.
pub fn make_directory(path: &Path) -> io::Result<()> {
    let is_new = !path.try_exists()?;
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path)?;
    match is_new {
        true => std::fs::set_permissions(path, Permissions::from_mode(0o700)),
        false => Ok(()),
    }
}

/// What others may do with a directory or a file that they should not, and what to do about it.
pub fn openness(path: &Path, is_secret: bool) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    let (mode, owner) = (metadata.mode() & 0o777, metadata.uid());
    let (own, shown) = (rustix::process::geteuid().as_raw(), path.display());
    if mode & 0o022 != 0 {
        return Some(format!(
            "others may write to {shown} (mode {mode:o}): chmod go-w {shown}"
        ));
    }
    if is_secret && mode & 0o044 != 0 {
        return Some(format!(
            "others may read {shown} (mode {mode:o}): chmod go-rwx {shown}"
        ));
    }
    let is_foreign = owner != own && owner != 0;
    is_foreign.then(|| format!("{shown} belongs to another user ({owner}): chown it"))
}

/// What to say of a directory or file that belongs to somebody else and may not be used by this user.
pub fn foreign(path: &Path) -> Option<StartError> {
    let metadata = std::fs::metadata(path).ok()?;
    let own = rustix::process::geteuid().as_raw();
    let wanted = match metadata.is_dir() {
        true => Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
        false => Access::READ_OK | Access::WRITE_OK,
    };
    if metadata.uid() == own || rustix::fs::access(path, wanted).is_ok() {
        return None;
    }
    Some(StartError::Foreign {
        path: path.to_path_buf(),
        owner: user_name(metadata.uid()),
        own: user_name(own),
    })
}

/// passwd(5); the number where there is no name.
fn user_name(id: u32) -> String {
    let users = read_text(Path::new("/etc/passwd")).unwrap_or_default();
    let mut rows = users.lines().map(|line| line.split(':'));
    let name = rows.find_map(|mut row| {
        let name = row.next()?;
        (row.nth(1)?.parse() == Ok(id)).then(|| name.to_string())
    });
    name.unwrap_or_else(|| format!("#{id}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let path =
            std::env::temp_dir().join(format!("stonechat-file-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn only_regular_files_of_some_size_are_read() {
        let dir = folder("read");
        let file = dir.join("file");
        std::fs::write(&file, "text").unwrap();
        let link = dir.join("link");
        symlink(&file, &link).unwrap();
        assert_eq!(read_text(&link).unwrap(), "text");
        let fifo = dir.join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        for other in [
            fifo,
            dir.clone(),
            "/dev/zero".into(),
            "/dev/null".into(),
            dir.join("none"),
        ] {
            assert!(read(&other).is_err(), "{}", other.display());
        }
        File::create(&file).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&file).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_is_made_is_ones_own() {
        let dir = folder("write");
        let (file, other) = (dir.join("a.pem"), dir.join("other"));
        std::fs::write(&other, "precious").unwrap();
        // Whoever may write to the directory may put this there.
        symlink(&other, dir.join("a.new")).unwrap();
        write(&file, SECRET, b"key").unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "precious");
        assert_eq!(read(&file).unwrap(), b"key");
        assert_eq!(openness(&file, true), None);
        write(&file, 0o644, b"other").unwrap();
        assert_eq!(openness(&file, false), None);
        assert!(openness(&file, true).unwrap().contains("may read"));
        std::fs::set_permissions(&dir, Permissions::from_mode(0o770)).unwrap();
        assert!(openness(&dir, false).unwrap().contains("chmod go-w"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
