//! The key that tokens of XEP-0484 are derived with. It lies beside the store, not in it: whoever gets hold of one of
//! the two cannot make a token.
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::entropy::SystemEntropy;
use crate::config::StartError;
use crate::stream::Entropy;

/// In the data directory. Removing it ends all tokens.
pub const FILE: &str = "token.key";

/// Reads the key, or makes it at the first start.
pub fn load(data: &Path) -> Result<[u8; 32], StartError> {
    let path = data.join(FILE);
    let read = match std::fs::read(&path) {
        Ok(bytes) => <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| {
            io::Error::other("it does not hold 32 bytes; remove it, and all tokens end")
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(&path),
        Err(error) => Err(error),
    };
    read.map_err(|error| StartError::File {
        what: "read the key of the tokens",
        path,
        error,
    })
}

/// Whole or not at all, also when the power fails; readable by this user only.
fn make(path: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    SystemEntropy::new().fill(&mut key);
    let new = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&new)?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_stays_and_is_its_owners_alone() {
        let data = std::env::temp_dir().join(format!("stonechat-key-{}", std::process::id()));
        std::fs::create_dir_all(&data).unwrap();
        let key = load(&data).unwrap();
        assert_eq!(load(&data).unwrap(), key);
        let mode = std::fs::metadata(data.join(FILE)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        std::fs::write(data.join(FILE), "short").unwrap();
        assert!(matches!(load(&data), Err(StartError::File { .. })));
        std::fs::remove_dir_all(&data).unwrap();
    }
}
