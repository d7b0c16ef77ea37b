//! What is wrong with a PEM file (RFC 7468), by line, and what was expected there: for the operator whom the parser told
//! only that it cannot be read.

/// `wanted`: what kind of section is looked for, as in `CERTIFICATE`. `None`: every line is as it should be.
pub fn fault(pem: &[u8], wanted: &str) -> Option<String> {
    let Ok(text) = std::str::from_utf8(pem) else {
        return Some(format!(
            "line 1: this is no text, where `-----BEGIN {wanted}-----` is expected; if it is DER, `openssl` makes PEM of it"
        ));
    };
    let mut open: Option<(&str, usize)> = None;
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        let marked = |word: &str| {
            line.strip_prefix(word)
                .and_then(|rest| rest.strip_suffix("-----"))
        };
        let (begun, ended) = (marked("-----BEGIN "), marked("-----END "));
        let shown: String = line.chars().take(40).collect();
        match (begun, ended, open) {
            (Some(kind), _, None) if kind.contains("ENCRYPTED") => return Some(encrypted(number)),
            (Some(kind), _, None) => open = Some((kind, number)),
            (_, Some(kind), Some((of, _))) if kind == of => open = None,
            (None, Some(kind), None) => {
                return Some(format!(
                    "line {number}: `-----END {kind}-----` ends nothing; `-----BEGIN {kind}-----` is expected before it"
                ));
            }
            (Some(_), _, Some((of, since))) | (_, Some(_), Some((of, since))) => {
                return Some(format!(
                    "line {number}: `{shown}`, where `-----END {of}-----` is expected for what begins in line {since}"
                ));
            }
            (None, None, Some(_)) if line.starts_with("Proc-Type:") => {
                return Some(encrypted(number));
            }
            (None, None, Some((of, _))) if !is_base64(line) => {
                return Some(format!(
                    "line {number}: `{shown}` is no base64, which is expected in a {of}"
                ));
            }
            (None, None, _) => {
                if line.starts_with("-----") {
                    return Some(format!(
                        "line {number}: `{shown}`, where `-----BEGIN {wanted}-----` is expected, with five dashes at each end"
                    ));
                }
            }
        }
    }
    open.map(|(of, since)| {
        let last = text.lines().count();
        format!("line {last}: the file ends, where `-----END {of}-----` is expected for what begins in line {since}")
    })
}

/// The line in which the first section of this kind begins.
pub fn first_line(pem: &[u8], wanted: &str) -> Option<usize> {
    let text = std::str::from_utf8(pem).ok()?;
    let is_begin = |line: &str| line.starts_with("-----BEGIN ") && line.contains(wanted);
    text.lines().position(is_begin).map(|before| before + 1)
}

fn encrypted(line: usize) -> String {
    format!(
        "line {line}: the key is encrypted, where one without a passphrase is expected (`openssl pkey -in FILE -out key.pem` makes one)"
    )
}

fn is_base64(line: &str) -> bool {
    let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    line.bytes().all(is_of_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_and_what_was_expected_are_told() {
        let whole = "some words\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(fault(whole.as_bytes(), "CERTIFICATE"), None);
        assert_eq!(first_line(whole.as_bytes(), "CERTIFICATE"), Some(2));
        for (pem, words) in [
            (
                "-----BEGIN CERTIFICATE-----\nAA A\n-----END CERTIFICATE-----\n",
                ["line 2", "base64"],
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n",
                ["line 2", "-----END CERTIFICATE-----"],
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----BEGIN X-----\n",
                ["line 3", "-----END CERTIFICATE-----"],
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END X-----\n",
                ["line 3", "begins in line 1"],
            ),
            (
                "AAAA\n-----END CERTIFICATE-----\n",
                ["line 2", "-----BEGIN CERTIFICATE-----"],
            ),
            (
                "-----BEGIN CERTIFICATE----\nAAAA\n",
                ["line 1", "five dashes"],
            ),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
                ["line 1", "passphrase"],
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
                ["line 2", "passphrase"],
            ),
        ] {
            let told = fault(pem.as_bytes(), "CERTIFICATE").unwrap();
            assert!(
                words.iter().all(|word| told.contains(word)),
                "{pem}: {told}"
            );
        }
        assert!(
            fault(b"\x30\x82\xff", "CERTIFICATE")
                .unwrap()
                .contains("no text")
        );
    }
}
