//! Base64 (RFC 4648 §4, §5) as the specifications want it, each in its place.
use base64::alphabet::STANDARD;
use base64::engine::general_purpose as engines;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine};

/// With padding or without, and whatever stands in the bits that are left over.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    engines::STANDARD.encode(bytes.as_ref())
}

pub fn base64_unpadded(bytes: impl AsRef<[u8]>) -> String {
    engines::STANDARD_NO_PAD.encode(bytes.as_ref())
}

/// Of letters, digits, `-` and `_` only: what may stand in any name.
pub fn base64_url(bytes: impl AsRef<[u8]>) -> String {
    engines::URL_SAFE_NO_PAD.encode(bytes.as_ref())
}

/// With its padding and nothing else.
pub fn from_base64(text: impl AsRef<[u8]>) -> Result<Vec<u8>, DecodeError> {
    engines::STANDARD.decode(text.as_ref())
}

pub fn from_base64_url(text: impl AsRef<[u8]>) -> Result<Vec<u8>, DecodeError> {
    engines::URL_SAFE_NO_PAD.decode(text.as_ref())
}

/// As programs write it that were careless with its end.
pub fn from_careless_base64(bytes: impl AsRef<[u8]>) -> Result<Vec<u8>, DecodeError> {
    LENIENT.decode(bytes.as_ref())
}
