//! The message of PLAIN (RFC 4616 §2), which is let in over TLS only.
use crate::xmpp::SaslCondition;

use super::super::SaslFailure;

/// One message, its parts as they came.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub authzid: Option<&'a str>,
    pub username: &'a str,
    pub password: &'a str,
}

impl<'a> Message<'a> {
    pub fn parse(message: &'a [u8]) -> Result<Message<'a>, SaslFailure> {
        let malformed = SaslFailure::from(SaslCondition::MalformedRequest);
        let text = std::str::from_utf8(message).map_err(|_| malformed)?;
        let mut parts = text.split('\0');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(authzid), Some(username), Some(password), None)
                if !username.is_empty() && !password.is_empty() =>
            {
                Ok(Message {
                    authzid: Some(authzid).filter(|authzid| !authzid.is_empty()),
                    username,
                    password,
                })
            }
            _ => Err(malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts() {
        let message = Message::parse(b"\0tim\0tanstaaftanstaaf").unwrap();
        assert_eq!((message.authzid, message.username), (None, "tim"));
        assert_eq!(message.password, "tanstaaftanstaaf");
        let message = Message::parse(b"Ursel\0Kurt\0xipj3plmq").unwrap();
        assert_eq!((message.authzid, message.username), (Some("Ursel"), "Kurt"));
        for bad in [
            "",
            "\0",
            "\0\0",
            "a\0b",
            "\0a\0",
            "\0\0b",
            "\0a\0b\0",
            "\0a\0b\0c",
            "abc",
        ] {
            let failure = Message::parse(bad.as_bytes()).unwrap_err();
            assert_eq!(
                failure.condition,
                SaslCondition::MalformedRequest,
                "{bad:?}"
            );
        }
        assert!(Message::parse(b"\0a\0\xff").is_err());
    }
}
