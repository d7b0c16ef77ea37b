//! What the operator says of external components (XEP-0114, XEP-0356), as it is written in settings.
use crate::state::{Access, ComponentSettings, PresenceAccess, Privileges};
use crate::xmpp::domainpart;

/// Secrets shorter than this can be guessed.
const SECRET_BYTES_MIN: usize = 8;

/// `NAME SECRET` each.
pub fn components(texts: &[String]) -> Result<Vec<ComponentSettings>, String> {
    let mut components: Vec<ComponentSettings> = Vec::new();
    for text in texts {
        let (name, secret) = text
            .trim()
            .split_once(char::is_whitespace)
            .ok_or("there is no secret behind a name")?;
        let (name, secret) = (domainpart(name), secret.trim());
        let name = name.map_err(|_| "what stands before a secret is no domain".to_string())?;
        if secret.len() < SECRET_BYTES_MIN || secret.contains(char::is_whitespace) {
            return Err(format!(
                "the secret of {name} has white space in it or fewer than {SECRET_BYTES_MIN} characters"
            ));
        }
        if components.iter().any(|known| *known.name == *name) {
            return Err(format!("{name} is there twice"));
        }
        components.push(ComponentSettings {
            name: name.into_owned(),
            secret: secret.into(),
        });
    }
    Ok(components)
}

/// `NAME PRIVILEGE...` each.
pub fn privileges(texts: &[String]) -> Result<Vec<(String, Privileges)>, String> {
    let mut all: Vec<(String, Privileges)> = Vec::new();
    for text in texts {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default();
        let name = domainpart(name).map_err(|_| format!("\"{name}\" is no domain"))?;
        let mut granted = Privileges::default();
        for word in words {
            let get = Access {
                get: true,
                set: false,
            };
            let set = Access {
                get: false,
                set: true,
            };
            match word.split_once('=') {
                Some(("roster", "get")) => granted.roster = get,
                Some(("roster", "set")) => granted.roster = set,
                Some(("roster", "both")) => granted.roster = Access::BOTH,
                Some(("presence", "managed_entity")) => {
                    granted.presence = PresenceAccess::ManagedEntity;
                }
                Some(("presence", "roster")) => granted.presence = PresenceAccess::Roster,
                Some(("message", "outgoing")) => granted.messages = true,
                Some(("iq", namespace)) if !namespace.is_empty() => {
                    granted.iq.push((namespace.into(), Access::BOTH));
                }
                _ => return Err(format!("\"{word}\" is no privilege")),
            }
        }
        // XEP-0356 §7.4
        if granted.presence == PresenceAccess::Roster && !granted.roster.get {
            return Err("presence=roster needs roster=get or roster=both".into());
        }
        if all.iter().any(|(known, _)| **known == *name) {
            return Err(format!("{name} is there twice"));
        }
        all.push((name.into_owned(), granted));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_are_words_behind_a_name() {
        let parse = |text: &str| privileges(&[text.to_string()]).map(|mut all| all.remove(0).1);
        let all = parse("a.b roster=both message=outgoing presence=roster iq=urn:x iq=urn:y");
        let granted = all.unwrap();
        assert_eq!(granted.roster, Access::BOTH);
        assert_eq!(granted.presence, PresenceAccess::Roster);
        assert!(granted.messages && granted.iq.len() == 2);
        assert_eq!(parse("a.b"), Ok(Privileges::default()));
        let managed = parse("a.b presence=managed_entity").unwrap();
        assert_eq!(managed.presence, PresenceAccess::ManagedEntity);
        for bad in [
            "a.b presence=roster",
            "a.b presence=roster roster=set",
            "a.b presence=all",
            "a.b roster",
            "a.b iq=",
            "@ roster=get",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let twice = ["a.b roster=get", "a.b"].map(String::from);
        assert!(privileges(&twice).is_err());
    }
}
