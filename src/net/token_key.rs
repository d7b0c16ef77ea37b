//! The key that tokens of XEP-0484 are derived with. It lies beside the store, not in it: whoever gets hold of one of
//! the two cannot make a token.
use std::io;
use std::path::Path;

use super::machine::entropy::SystemEntropy;
use crate::config::{StartError, file};
use crate::stream::Entropy;

/// In the data directory. Removing it ends all tokens.
pub const FILE: &str = "token.key";

/// Reads the key, or makes it at the first start.
pub fn load(data: &Path) -> Result<[u8; 32], StartError> {
    let path = data.join(FILE);
    let read = match file::read(&path) {
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

fn make(path: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    SystemEntropy::new().fill(&mut key);
    file::write(path, file::SECRET, &key)?;
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
