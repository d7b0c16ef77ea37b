//! What can be wrong with the database, in words for the operator.
use std::fmt;
use std::io;

/// What can be wrong with the database; the log gets it in full.
#[derive(Debug)]
pub enum StoreError {
    /// No space left on the disk.
    DiskFull(String),
    /// Another process has the file open.
    InUse,
    /// The file's schema version is newer than this program's.
    Newer { found: u32, known: u32 },
    /// The file is no Stonechat database or is damaged.
    Unreadable(String),
    /// A row, or the way to it, is not what was written; the rest is.
    Damaged {
        table: &'static str,
        account: Option<u32>,
    },
    /// Anything else of the disk.
    Io(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::DiskFull(detail) => write!(
                f,
                "the disk is full ({detail}): make room on it, then start again"
            ),
            StoreError::InUse => f.write_str(
                "the database is open in another process: stop that one, or choose another data directory",
            ),
            StoreError::Newer { found, known } => write!(
                f,
                "the database was written by a newer version (its schema is {found}, this program knows up to {known}): \
                 run that version, or restore a backup made before the upgrade"
            ),
            StoreError::Unreadable(detail) => write!(
                f,
                "the database is damaged or is no Stonechat database ({detail}): restore a backup, \
                 or move the file away to begin with an empty one"
            ),
            StoreError::Damaged { table, .. } => write!(
                f,
                "a part of the database is damaged (in {table}): `stonechat check` tells what and whose, \
                 a backup brings it back"
            ),
            StoreError::Io(detail) => write!(
                f,
                "the database cannot be read or written ({detail}): check the disk and who may access the file"
            ),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> StoreError {
        use io::ErrorKind::{InvalidData, QuotaExceeded, StorageFull, UnexpectedEof, WriteZero};
        let text = error.to_string();
        match error.kind() {
            StorageFull | QuotaExceeded | WriteZero => StoreError::DiskFull(text),
            InvalidData | UnexpectedEof => StoreError::Unreadable(text),
            _ => StoreError::Io(text),
        }
    }
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> StoreError {
        use redb::Error as E;
        match error {
            E::Io(error) => error.into(),
            E::DatabaseAlreadyOpen | E::LockProtocolMismatch => StoreError::InUse,
            error @ (E::Corrupted(_)
            | E::UpgradeRequired(_)
            | E::RepairAborted
            | E::TableTypeMismatch { .. }
            | E::TableIsMultimap(_)
            | E::TableIsNotMultimap(_)
            | E::TypeDefinitionChanged { .. }
            | E::TableDoesNotExist(_)) => StoreError::Unreadable(error.to_string()),
            error => StoreError::Io(error.to_string()),
        }
    }
}

macro_rules! from_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for StoreError {
            fn from(error: redb::$error) -> StoreError {
                redb::Error::from(error).into()
            }
        }
    )*};
}
from_redb!(
    DatabaseError,
    TransactionError,
    TableError,
    StorageError,
    CommitError
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_errors() {
        let full = io::Error::from_raw_os_error(28);
        assert!(matches!(
            StoreError::from(redb::StorageError::Io(full)),
            StoreError::DiskFull(_)
        ));
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(matches!(StoreError::from(denied), StoreError::Io(_)));
        let newer = StoreError::Newer { found: 9, known: 1 }.to_string();
        assert!(newer.contains('9') && newer.contains("backup"), "{newer}");
    }
}
