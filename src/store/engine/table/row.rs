//! Keys and values as bytes: keys sort as their bytes do.
/// A key or a value. What is decoded was encoded, for tables hold checked pages; of anything else the result is anything.
pub trait Row {
    type View<'a>;
    /// As a key it ends with a number: what lies behind a damaged page can be found by counting on.
    const IS_COUNTED: bool = false;
    /// How long it is, if all are alike.
    const OCTETS: Option<usize> = None;
    /// Hands the encoded row to `then`.
    fn encode<T>(row: &Self::View<'_>, then: impl FnOnce(&[u8]) -> T) -> T;
    fn decode(bytes: &[u8]) -> Self::View<'_>;
}

impl Row for &str {
    type View<'a> = &'a str;
    fn encode<T>(row: &&str, then: impl FnOnce(&[u8]) -> T) -> T {
        then(row.as_bytes())
    }
    fn decode(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl Row for &[u8] {
    type View<'a> = &'a [u8];
    fn encode<T>(row: &&[u8], then: impl FnOnce(&[u8]) -> T) -> T {
        then(row)
    }
    fn decode(bytes: &[u8]) -> &[u8] {
        bytes
    }
}

impl<const N: usize> Row for [u8; N] {
    type View<'a> = [u8; N];
    const OCTETS: Option<usize> = Some(N);
    fn encode<T>(row: &[u8; N], then: impl FnOnce(&[u8]) -> T) -> T {
        then(row)
    }
    fn decode(bytes: &[u8]) -> [u8; N] {
        bytes.first_chunk().copied().unwrap_or([0; N])
    }
}

impl Row for () {
    type View<'a> = ();
    const OCTETS: Option<usize> = Some(0);
    fn encode<T>((): &(), then: impl FnOnce(&[u8]) -> T) -> T {
        then(&[])
    }
    fn decode(_: &[u8]) {}
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Row for $type {
            type View<'a> = $type;
            const IS_COUNTED: bool = size_of::<$type>() == size_of::<u64>();
            const OCTETS: Option<usize> = Some(size_of::<$type>());
            fn encode<T>(row: &$type, then: impl FnOnce(&[u8]) -> T) -> T {
                then(&row.to_be_bytes())
            }
            fn decode(bytes: &[u8]) -> $type {
                <$type>::from_be_bytes(bytes.first_chunk().copied().unwrap_or_default())
            }
        }
    )*};
}
number!(u8, u32, u64);

/// The number of so many octets at the front, and what follows it.
fn split<T: Row>(bytes: &[u8], octets: usize) -> (T::View<'_>, &[u8]) {
    let (head, rest) = bytes.split_at_checked(octets).unwrap_or_default();
    (T::decode(head), rest)
}

impl Row for (u32, u64) {
    type View<'a> = (u32, u64);
    const IS_COUNTED: bool = true;
    fn encode<T>((a, b): &(u32, u64), then: impl FnOnce(&[u8]) -> T) -> T {
        let [a, b] = [u128::from(*a), u128::from(*b)];
        let [_, _, _, _, key @ ..] = (a << 64 | b).to_be_bytes();
        then(&key)
    }
    fn decode(bytes: &[u8]) -> (u32, u64) {
        let (a, rest) = split::<u32>(bytes, 4);
        (a, u64::decode(rest))
    }
}

impl Row for (u32, u64, u64) {
    type View<'a> = (u32, u64, u64);
    const IS_COUNTED: bool = true;
    fn encode<T>((a, b, c): &(u32, u64, u64), then: impl FnOnce(&[u8]) -> T) -> T {
        then(&[&a.to_be_bytes()[..], &b.to_be_bytes(), &c.to_be_bytes()].concat())
    }
    fn decode(bytes: &[u8]) -> (u32, u64, u64) {
        let (a, rest) = split::<u32>(bytes, 4);
        let (b, rest) = split::<u64>(rest, 8);
        (a, b, u64::decode(rest))
    }
}

impl Row for (u32, u32, u64) {
    type View<'a> = (u32, u32, u64);
    const IS_COUNTED: bool = true;
    fn encode<T>((a, b, c): &(u32, u32, u64), then: impl FnOnce(&[u8]) -> T) -> T {
        let [a, b, c] = [u128::from(*a), u128::from(*b), u128::from(*c)];
        then(&(a << 96 | b << 64 | c).to_be_bytes())
    }
    fn decode(bytes: &[u8]) -> (u32, u32, u64) {
        let (a, rest) = split::<u32>(bytes, 4);
        let (b, rest) = split::<u32>(rest, 4);
        (a, b, u64::decode(rest))
    }
}

impl Row for (u32, u64, &str) {
    type View<'a> = (u32, u64, &'a str);
    fn encode<T>((a, b, c): &(u32, u64, &str), then: impl FnOnce(&[u8]) -> T) -> T {
        then(&[&a.to_be_bytes()[..], &b.to_be_bytes(), c.as_bytes()].concat())
    }
    fn decode(bytes: &[u8]) -> (u32, u64, &str) {
        let (a, rest) = split::<u32>(bytes, 4);
        let (b, rest) = split::<u64>(rest, 8);
        (a, b, <&str>::decode(rest))
    }
}

/// The text ends with a zero octet, which text from XML cannot hold.
impl Row for (u32, &str, u64) {
    type View<'a> = (u32, &'a str, u64);
    const IS_COUNTED: bool = true;
    fn encode<T>((a, b, c): &(u32, &str, u64), then: impl FnOnce(&[u8]) -> T) -> T {
        debug_assert!(!b.contains('\0'));
        then(&[&a.to_be_bytes()[..], b.as_bytes(), &[0], &c.to_be_bytes()].concat())
    }
    fn decode(bytes: &[u8]) -> (u32, &str, u64) {
        let (a, rest) = split::<u32>(bytes, 4);
        let (text, number) = rest
            .split_at_checked(rest.len().saturating_sub(9))
            .unwrap_or_default();
        let number = number.get(1..).unwrap_or_default();
        (a, <&str>::decode(text), u64::decode(number))
    }
}

impl Row for (u32, &str) {
    type View<'a> = (u32, &'a str);
    fn encode<T>((a, b): &(u32, &str), then: impl FnOnce(&[u8]) -> T) -> T {
        then(&[&a.to_be_bytes()[..], b.as_bytes()].concat())
    }
    fn decode(bytes: &[u8]) -> (u32, &str) {
        let (a, rest) = split::<u32>(bytes, 4);
        (a, <&str>::decode(rest))
    }
}

/// The first text ends with a zero octet, which text from XML cannot hold.
impl Row for (u32, &str, &str) {
    type View<'a> = (u32, &'a str, &'a str);
    fn encode<T>((a, b, c): &(u32, &str, &str), then: impl FnOnce(&[u8]) -> T) -> T {
        debug_assert!(!b.contains('\0'));
        then(&[&a.to_be_bytes()[..], b.as_bytes(), &[0], c.as_bytes()].concat())
    }
    fn decode(bytes: &[u8]) -> (u32, &str, &str) {
        let (a, rest) = split::<u32>(bytes, 4);
        let (b, c) = <&str>::decode(rest).split_once('\0').unwrap_or_default();
        (a, b, c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys in their order: the bytes have the same, and give them back.
    fn check<K: Row>(keys: &[K::View<'static>])
    where
        for<'a> K::View<'a>: std::fmt::Debug,
    {
        let mut last: Option<Vec<u8>> = None;
        for key in keys {
            let encoded = K::encode(key, <[u8]>::to_vec);
            let decoded = format!("{:?}", K::decode(&encoded));
            assert_eq!(decoded, format!("{key:?}"));
            assert!(last.is_none_or(|last| last < encoded), "{encoded:?}");
            last = Some(encoded);
        }
    }

    #[test]
    fn bytes_sort_as_keys_do() {
        check::<u64>(&[0, 1, 255, 256, u64::MAX]);
        check::<(u32, u64)>(&[(0, u64::MAX), (1, 0), (1, 256), (256, 2)]);
        check::<(u32, u64, u64)>(&[(1, 2, 3), (1, 2, 256), (1, 3, 0), (2, 0, 0)]);
        check::<(u32, u32, u64)>(&[(1, 2, 3), (1, 2, 256), (1, 256, 0), (2, 0, u64::MAX)]);
        check::<(u32, u64, &str)>(&[(1, 2, ""), (1, 2, "b"), (1, 256, "a"), (2, 0, "")]);
        check::<(u32, &str, u64)>(&[(1, "", 9), (1, "a", 0), (1, "a", 256), (1, "ab", 2)]);
        check::<(u32, &str)>(&[(1, ""), (1, "a"), (1, "ab"), (1, "b"), (2, ""), (2, "ä")]);
        check::<(u32, &str, &str)>(&[
            (1, "", ""),
            (1, "a", ""),
            (1, "a", "z"),
            (1, "ab", "a"),
            (2, "", "x"),
        ]);
    }

    #[test]
    fn damaged_bytes_are_no_panic() {
        for bytes in [&b""[..], b"x", b"\xff\xff\xff\xff\xff\xff", &[0xfe; 30]] {
            u32::decode(bytes);
            <(u32, u64, u64)>::decode(bytes);
            <(u32, &str, &str)>::decode(bytes);
            <(u32, u64, &str)>::decode(bytes);
            <(u32, &str, u64)>::decode(bytes);
            <[u8; 32]>::decode(bytes);
        }
    }
}
