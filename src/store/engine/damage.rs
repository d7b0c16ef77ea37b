//! Cards rot. A row that is not what was written is never served as if it were; what redb stumbles over, for it trusts its
//! pages and panics, is caught here, at the one place where it is called to read.
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::store::StoreError;

/// Behind each value: CRC-32 of its key and of it.
pub const SUM_BYTES: usize = 4;

pub fn sum(key: &[u8], value: &[u8]) -> [u8; SUM_BYTES] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize().to_le_bytes()
}

/// The value alone; `None`: this is not what was written under this key.
pub fn checked<'v>(key: &[u8], stored: &'v [u8]) -> Option<&'v [u8]> {
    let (value, stored_sum) = stored.split_last_chunk::<SUM_BYTES>()?;
    (sum(key, value) == *stored_sum).then_some(value)
}

/// For the log and whoever asked. Keys of an account's rows begin with its number.
pub fn report(table: &'static str, key: &[u8]) -> StoreError {
    let account = key.first_chunk().copied().map(u32::from_be_bytes);
    let error = StoreError::Damaged { table, account };
    match account {
        Some(account) => log::error!(
            "store.damaged table={table} owner={account} remedy=\"`stonechat check` tells what else is, and whose\""
        ),
        None => log::error!(
            "store.damaged table={table} remedy=\"`stonechat check` tells what else is, and whose\""
        ),
    }
    error
}

thread_local! {
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread now is one that `caught` takes care of.
pub fn is_caught() -> bool {
    CAUGHT.get()
}

/// Lets redb do something; `None`: it panicked. It leaves nothing behind that could be half done: what it reads from is a
/// snapshot or, in a batch, pages that reading does not change.
pub fn unwound<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(before);
    result.ok()
}

/// Lets redb read.
pub fn caught<T, E: Into<StoreError>>(
    table: &'static str,
    key: &[u8],
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, StoreError> {
    match unwound(read).map(|result| result.map_err(Into::into)) {
        Some(Err(StoreError::Unreadable(_))) | None => Err(report(table, key)),
        Some(result) => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_is_noticed() {
        let (key, value) = (b"\0\0\0\x07key", b"value of some length");
        let stored = [&value[..], &sum(key, value)].concat();
        assert_eq!(checked(key, &stored), Some(&value[..]));
        for bit in 0..stored.len() * 8 {
            let mut damaged = stored.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(checked(key, &damaged), None, "{bit}");
        }
        assert_eq!(checked(b"other", &stored), None);
        for length in 0..stored.len() {
            assert_eq!(checked(key, &stored[..length]), None);
            assert_eq!(checked(key, &vec![0; length]), None);
        }
    }

    #[test]
    fn a_panic_while_reading_is_an_error() {
        let key = 7u32.to_be_bytes();
        let failed: Result<(), _> = caught("roster", &key, || -> Result<(), StoreError> {
            assert!(is_caught());
            std::panic::resume_unwind(Box::new("damage"))
        });
        let error = failed.unwrap_err();
        let expected = matches!(
            error,
            StoreError::Damaged {
                table: "roster",
                account: Some(7)
            }
        );
        assert!(expected && !is_caught(), "{error}");
        let full: Result<(), _> = caught("roster", &key, || Err(StoreError::DiskFull("x".into())));
        assert!(matches!(full, Err(StoreError::DiskFull(_))));
    }
}
