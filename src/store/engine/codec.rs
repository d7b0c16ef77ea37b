//! How values lie in the tables: numbers as varints (LEB128), texts and bytes with their length before them, times as
//! eight bytes. Whatever does not decode is `StoreError::Unreadable`, never a panic.
use crate::xmpp::Timestamp;

use crate::store::StoreError;

#[derive(Default)]
pub(in crate::store) struct Encoder(Vec<u8>);

impl Encoder {
    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub fn flag(self, flag: bool) -> Self {
        self.byte(u8::from(flag))
    }

    pub fn number(mut self, number: u64) -> Self {
        put_number(&mut self.0, number);
        self
    }

    pub fn time(self, time: Timestamp) -> Self {
        self.raw(&time.0.to_le_bytes())
    }

    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.length(bytes.len()).raw(bytes)
    }

    /// Count of a list whose items follow, or length of what follows.
    pub fn length(self, length: usize) -> Self {
        self.number(u64::try_from(length).unwrap_or(u64::MAX))
    }

    pub fn texts(self, texts: &[String]) -> Self {
        texts
            .iter()
            .fold(self.length(texts.len()), |out, text| out.text(text))
    }

    /// Bytes whose length the reader knows.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// As `Encoder::number`, behind what is there.
pub(in crate::store) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

/// Reads what `Encoder` wrote, in the same order.
pub(in crate::store) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Decoder(bytes)
    }

    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], StoreError> {
        let (head, rest) = self.0.split_at_checked(length).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(head)
    }

    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        self.raw(N)?.try_into().map_err(|_| damaged())
    }

    pub fn byte(&mut self) -> Result<u8, StoreError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub fn flag(&mut self) -> Result<bool, StoreError> {
        Ok(self.byte()? != 0)
    }

    pub fn number(&mut self) -> Result<u64, StoreError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(damaged())
    }

    pub fn number_u32(&mut self) -> Result<u32, StoreError> {
        u32::try_from(self.number()?).map_err(|_| damaged())
    }

    pub fn length(&mut self) -> Result<usize, StoreError> {
        usize::try_from(self.number()?).map_err(|_| damaged())
    }

    pub fn time(&mut self) -> Result<Timestamp, StoreError> {
        Ok(Timestamp(i64::from_le_bytes(self.array()?)))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], StoreError> {
        let length = self.length()?;
        self.raw(length)
    }

    pub fn text(&mut self) -> Result<&'a str, StoreError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| damaged())
    }

    pub fn texts(&mut self) -> Result<Vec<String>, StoreError> {
        let count = self.length()?;
        (0..count).map(|_| Ok(self.text()?.to_string())).collect()
    }

    /// All that is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// All that is left, as text.
    pub fn rest_text(self) -> Result<&'a str, StoreError> {
        std::str::from_utf8(self.0).map_err(|_| damaged())
    }
}

pub(in crate::store) fn damaged() -> StoreError {
    StoreError::Damaged {
        table: "a row that was damaged before it had a sum",
        account: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for number in [0, 1, 127, 128, 300, 1 << 32, u64::MAX] {
            let bytes = Encoder::default().number(number).text("é").done();
            let mut decoder = Decoder::new(&bytes);
            assert_eq!(decoder.number().unwrap(), number);
            assert_eq!(decoder.text().unwrap(), "é");
        }
    }

    #[test]
    fn damage_is_an_error() {
        assert!(Decoder::new(&[0xff; 10]).number().is_err());
        assert!(Decoder::new(&[0x80]).number().is_err());
        assert!(Decoder::new(&[2, 0xff, 0xff]).text().is_err());
        assert!(Decoder::new(&[5, b'a']).text().is_err());
        assert!(Decoder::new(&[0xff, 0xff, 0xff, 0x7f]).texts().is_err());
        assert!(Decoder::new(&[1]).time().is_err());
    }
}
