//! Archive ids as the outside sees them (XEP-0313 §3: unpredictable): the place in arrival order under a secret
//! permutation, so that nobody learns how much others write.

use crate::store::ArchiveId;
use crate::xmpp::hashing::hmac;

/// Rounds of the Feistel network; four make it a strong permutation.
const ROUNDS: u8 = 4;

/// The permutation of one server.
pub struct ArchiveIds(hmac::Key);

impl ArchiveIds {
    pub fn new(secret: &[u8; 32]) -> ArchiveIds {
        ArchiveIds(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// 16 lower-case hexadecimal digits.
    pub fn text(&self, id: ArchiveId) -> String {
        let (mut left, mut right) = halves(id.0);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.mix(round, right));
        }
        format!("{left:08x}{right:08x}")
    }

    /// The id of such a text; `None` for any other text, which no archive can hold.
    pub fn parse(&self, text: &str) -> Option<ArchiveId> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 16 || !text.bytes().all(is_digit) {
            return None;
        }
        let (mut left, mut right) = halves(u64::from_str_radix(text, 16).ok()?);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.mix(round, left), left);
        }
        Some(ArchiveId(u64::from(left) << 32 | u64::from(right)))
    }

    fn mix(&self, round: u8, half: u32) -> u32 {
        let [a, b, c, d] = half.to_be_bytes();
        let tag = hmac::sign(&self.0, &[round, a, b, c, d]);
        tag.as_ref()
            .iter()
            .take(4)
            .fold(0, |word, byte| word << 8 | u32::from(*byte))
    }
}

fn halves(word: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = word.to_be_bytes();
    (
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_there_and_back_and_look_unrelated() {
        let ids = ArchiveIds::new(&[7; 32]);
        let mut seen = std::collections::HashSet::new();
        for n in (0..1000).chain([u64::MAX, u64::MAX / 2]) {
            let text = ids.text(ArchiveId(n));
            assert_eq!(ids.parse(&text), Some(ArchiveId(n)));
            assert!(seen.insert(text));
        }
        for text in [
            "",
            "beef",
            "000000000000BEEF",
            "+00000000000beef",
            "no-such-id",
        ] {
            assert_eq!(ids.parse(text), None, "{text}");
        }
    }
}
