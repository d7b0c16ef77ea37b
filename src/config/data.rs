//! The data directory and the domain its accounts belong to.
//!
//! The domain is remembered in the file `domain` there when a server first starts, so that a renamed host does not
//! orphan its accounts. A domain given explicitly that differs is refused while there are accounts.
use std::io;
use std::path::{Path, PathBuf};

use super::{StartError, file};
use crate::store::Domain;
use crate::xmpp::domainpart;

/// The file that remembers the domain.
pub const FILE: &str = "domain";

/// `--data`, else `$STATE_DIRECTORY`, else `$XDG_DATA_HOME/stonechat`, else `$HOME/.local/share/stonechat`.
/// `environment` looks a variable up. The path is absolute, so that it can be printed for use elsewhere.
pub fn data_directory(
    given: Option<&str>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<PathBuf, StartError> {
    let path = find(given, environment)?;
    Ok(std::path::absolute(&path).unwrap_or(path))
}

fn find(
    given: Option<&str>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<PathBuf, StartError> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    if let Some(given) = given {
        return Ok(PathBuf::from(given));
    }
    // systemd.exec(5): several directories are separated by colons; ours is the first.
    if let Some(state) = set("STATE_DIRECTORY") {
        return Ok(PathBuf::from(state.split(':').next().unwrap_or(&state)));
    }
    if let Some(home) = set("XDG_DATA_HOME") {
        return Ok(Path::new(&home).join("stonechat"));
    }
    set("HOME")
        .map(|home| Path::new(&home).join(".local/share/stonechat"))
        .ok_or(StartError::NoDataDirectory)
}

/// Makes the directory, for its owner only, if it is not there.
pub fn make_data_directory(path: &Path) -> Result<(), StartError> {
    file::make_directory(path).map_err(|error| StartError::DataDirectory {
        path: path.to_path_buf(),
        error,
    })
}

/// The domain remembered in a data directory.
pub fn remembered_domain(data: &Path) -> Result<Option<String>, StartError> {
    let path = data.join(FILE);
    match file::read_text(&path) {
        Ok(text) => match domainpart(text.trim()) {
            Ok(domain) => Ok(Some(domain.into_owned())),
            Err(_) => Err(StartError::Setting {
                place: path.display().to_string(),
                key: None,
                reason: format!("\"{}\" is no domain", text.trim()),
                remedy: "write the domain of the accounts into it".into(),
            }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StartError::File {
            what: "read the domain",
            path,
            error,
        }),
    }
}

/// Decides the domain and remembers it. `recorded`: the one the database is of, if there are accounts in it.
pub fn remember_domain(
    data: &Path,
    given: Option<&str>,
    hostname: &str,
    recorded: Option<&Domain>,
) -> Result<String, StartError> {
    let written = settled_domain(data, recorded)?;
    let domain = match (given, recorded.map(|of| &of.name).or(written.as_ref())) {
        (None, Some(known)) if written.is_some() => known.clone(),
        (given, Some(known)) if recorded.is_some() => match given == Some(known.as_str()) {
            true => known.clone(),
            false => return Err(changed(data, known, given.map(str::to_string), &written)),
        },
        (Some(given), _) => given.to_string(),
        (None, Some(known)) => known.clone(),
        (None, None) => default_domain(hostname),
    };
    if written.as_ref() != Some(&domain) {
        write_domain(data, &domain)?;
    }
    Ok(domain)
}

/// The domain as the file has it. One that a rename has left behind is brought up to date; any other than the database is
/// of is refused.
pub fn settled_domain(
    data: &Path,
    recorded: Option<&Domain>,
) -> Result<Option<String>, StartError> {
    let written = remembered_domain(data)?;
    let (Some(name), Some(of)) = (&written, recorded) else {
        return Ok(written);
    };
    if *name == of.name {
        return Ok(written);
    }
    if of.before.as_ref() == Some(name) {
        write_domain(data, &of.name)?;
        return Ok(Some(of.name.clone()));
    }
    Err(changed(data, &of.name, None, &written))
}

fn changed(
    data: &Path,
    remembered: &str,
    given: Option<String>,
    written: &Option<String>,
) -> StartError {
    StartError::DomainChanged {
        remembered: remembered.to_string(),
        given,
        written: written.clone(),
        file: data.join(FILE),
    }
}

pub fn write_domain(data: &Path, domain: &str) -> Result<(), StartError> {
    let path = data.join(FILE);
    file::write(&path, file::SECRET, format!("{domain}\n").as_bytes()).map_err(|error| {
        StartError::File {
            what: "remember the domain",
            path,
            error,
        }
    })
}

/// `<hostname>.local` (RFC 6762 §3), `localhost` where the host has no usable name.
pub fn default_domain(hostname: &str) -> String {
    let first = hostname.split('.').next().unwrap_or(hostname);
    match first {
        "" | "localhost" | "(none)" => "localhost".to_string(),
        name => domainpart(&format!("{name}.local"))
            .map_or_else(|_| "localhost".to_string(), |domain| domain.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_is_looked_for_in_order() {
        let directory = |given: Option<&str>, set: &[(&str, &str)]| {
            data_directory(given, |name| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| value.to_string())
            })
            .map(|path| path.display().to_string())
        };
        let all = [
            ("STATE_DIRECTORY", "/s:/t"),
            ("XDG_DATA_HOME", "/x"),
            ("HOME", "/h"),
        ];
        assert_eq!(directory(Some("/d"), &all).unwrap(), "/d");
        assert_eq!(directory(None, &all).unwrap(), "/s");
        assert_eq!(directory(None, &all[1..]).unwrap(), "/x/stonechat");
        assert_eq!(
            directory(None, &all[2..]).unwrap(),
            "/h/.local/share/stonechat"
        );
        assert!(matches!(
            directory(None, &[]),
            Err(StartError::NoDataDirectory)
        ));
    }

    #[test]
    fn the_default_domain_is_of_the_local_network() {
        assert_eq!(default_domain("Pi"), "pi.local");
        assert_eq!(default_domain("pi.example.org"), "pi.local");
        assert_eq!(default_domain(""), "localhost");
    }
}
