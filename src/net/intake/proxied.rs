//! Connections that a proxy passes on: whoever connects from an address in `proxy_addresses` says first whose connection it is,
//! by the PROXY protocol, version 1 or 2 (haproxy.org, proxy-protocol.txt). Nobody else is believed.
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use rustix::net::RecvFlags;
use smol::future::FutureExt;

use crate::net::reactor::Source;
use crate::net::shell::Shell;
use crate::state::AddressRange;
use crate::xmpp::quoted;

/// A proxy says it with the first packet.
const HEADER_WITHIN: Duration = Duration::from_secs(5);
/// Connections of which it is not known yet whose they are.
const WAITING_MAX: usize = 256;
/// §2.1: a line, with its end.
const LINE_BYTES_MAX: usize = 107;
/// §2.2, with what a proxy adds about TLS and the like.
const BLOCK_BYTES_MAX: usize = 2048;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const PREFIX_BYTES: usize = 16;

/// Who may speak for others, and for how many it is not said yet.
#[derive(Default)]
pub struct Proxies {
    ranges: Vec<AddressRange>,
    waiting: Cell<usize>,
}

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
enum Header {
    /// It is not whole.
    Part,
    Whole {
        bytes: usize,
        /// `None`: the proxy speaks for itself, or for somebody who has no such address.
        source: Option<IpAddr>,
    },
}

impl Proxies {
    pub fn new(ranges: &[AddressRange]) -> Proxies {
        Proxies {
            ranges: ranges.to_vec(),
            waiting: Cell::default(),
        }
    }

    pub fn include(&self, peer: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(peer))
    }

    /// Whose connection it is, once that was said; `None`: it was not, and the log tells why.
    pub async fn introduced(
        self: &Rc<Proxies>,
        shell: &Shell,
        socket: TcpStream,
        proxy: IpAddr,
    ) -> Option<(TcpStream, IpAddr)> {
        let refused = |reason: &dyn std::fmt::Display| {
            log::warn!(
                "proxy.refused address={proxy} reason={}",
                quoted(&reason.to_string())
            );
        };
        if self.waiting.get() >= WAITING_MAX {
            refused(&"too many connections whose header has not come");
            return None;
        }
        self.waiting.set(self.waiting.get() + 1);
        let late = async {
            shell.reactor.sleep(HEADER_WITHIN).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        let heard = hear(shell, socket).or(late).await;
        self.waiting.set(self.waiting.get() - 1);
        match heard {
            Ok((socket, source)) => Some((socket, source.unwrap_or(proxy))),
            // It looks now and then whether anybody is here.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => {
                refused(&error);
                None
            }
        }
    }
}

/// Reads a header and not a byte more.
async fn hear(shell: &Shell, socket: TcpStream) -> io::Result<(TcpStream, Option<IpAddr>)> {
    // Another descriptor of it, which is let go of when the header has come.
    let source = Source::adopt(&shell.reactor, socket.try_clone()?)?;
    let mut header = Vec::new();
    loop {
        source.readable().await;
        let mut buffer = [0; BLOCK_BYTES_MAX];
        let peek = |socket: &TcpStream| {
            let flags = RecvFlags::PEEK;
            Ok(rustix::net::recv(socket, &mut buffer[..], flags)?.1)
        };
        let seen = match source.reading(peek) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(seen) => seen,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        let before = header.len();
        header.extend_from_slice(buffer.get(..seen).unwrap_or_default());
        let parsed = parse(&header).map_err(io::Error::other)?;
        let taken = match parsed {
            Header::Part => seen,
            Header::Whole { bytes, .. } => bytes.saturating_sub(before),
        };
        source
            .read_exact(buffer.get_mut(..taken).unwrap_or_default())
            .await?;
        if let Header::Whole { source: whose, .. } = parsed {
            return Ok((socket, whose));
        }
    }
}

fn parse(header: &[u8]) -> Result<Header, &'static str> {
    let begins = |with: &[u8]| header.iter().zip(with).all(|(is, wanted)| is == wanted);
    if begins(SIGNATURE) {
        return parse_block(header);
    }
    if begins(b"PROXY ") {
        return parse_line(header);
    }
    Err("it does not begin with a PROXY header")
}

/// §2.1: `PROXY TCP4 source destination port port`, as text.
fn parse_line(header: &[u8]) -> Result<Header, &'static str> {
    let Some(end) = header.windows(2).position(|two| two == b"\r\n") else {
        return match header.len() < LINE_BYTES_MAX {
            true => Ok(Header::Part),
            false => Err("its line has no end"),
        };
    };
    let bytes = end + 2;
    if bytes > LINE_BYTES_MAX {
        return Err("its line is too long");
    }
    let line = header.get(..end).unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| "its line is no text")?;
    let words: Vec<&str> = line.split(' ').collect();
    let source = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", "TCP4", source, to, ports @ ..] if is_port_pair(ports) => {
            let [source, _] = [source, to].map(|address| address.parse::<Ipv4Addr>());
            Some(source.map_err(|_| "its address is none")?.into())
        }
        ["PROXY", "TCP6", source, to, ports @ ..] if is_port_pair(ports) => {
            let [source, _] = [source, to].map(|address| address.parse::<Ipv6Addr>());
            Some(source.map_err(|_| "its address is none")?.to_canonical())
        }
        _ => return Err("its line is none of the protocol"),
    };
    Ok(Header::Whole { bytes, source })
}

fn is_port_pair(words: &[&str]) -> bool {
    words.len() == 2 && words.iter().all(|word| word.parse::<u16>().is_ok())
}

/// §2.2: binary.
fn parse_block(header: &[u8]) -> Result<Header, &'static str> {
    let Some(prefix) = header.first_chunk::<PREFIX_BYTES>() else {
        return Ok(Header::Part);
    };
    let [.., version_command, family, high, low] = *prefix;
    let bytes = PREFIX_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if bytes > BLOCK_BYTES_MAX {
        return Err("its header is too long");
    }
    let is_local = match version_command {
        0x20 => true,
        0x21 => false,
        _ => return Err("its version or command is unknown"),
    };
    let Some(addresses) = header.get(PREFIX_BYTES..bytes) else {
        return Ok(Header::Part);
    };
    let source = match family >> 4 {
        _ if is_local => None,
        1 => {
            let source: Option<&[u8; 4]> = addresses.get(..12).and_then(<[u8]>::first_chunk);
            Some(source.map(|source| Ipv4Addr::from(*source).into()))
        }
        2 => {
            let source: Option<&[u8; 16]> = addresses.get(..36).and_then(<[u8]>::first_chunk);
            Some(source.map(|source| Ipv6Addr::from(*source).to_canonical()))
        }
        // AF_UNSPEC, AF_UNIX: nobody with an address of ours.
        _ => None,
    };
    let source = source
        .map(|source| source.ok_or("its addresses are too short"))
        .transpose()?;
    Ok(Header::Whole { bytes, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(header: &[u8]) -> Option<(usize, Option<IpAddr>)> {
        match parse(header) {
            Ok(Header::Whole { bytes, source }) => Some((bytes, source)),
            _ => None,
        }
    }

    fn block(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, addresses].concat()
    }

    #[test]
    fn a_line_names_the_source() {
        let source = Some("192.0.2.7".parse().unwrap());
        let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 5222\r\n";
        assert_eq!(whole(line), Some((line.len(), source)));
        assert_eq!(
            whole(&[&line[..], b"<stream"].concat()),
            Some((line.len(), source))
        );
        let line = b"PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n";
        let source = Some("2001:db8::7".parse().unwrap());
        assert_eq!(whole(line), Some((line.len(), source)));
        let line = b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n";
        assert_eq!(whole(line).unwrap().1, Some("192.0.2.7".parse().unwrap()));
        for unknown in [&b"PROXY UNKNOWN\r\n"[..], b"PROXY UNKNOWN ffff 1 2\r\n"] {
            assert_eq!(whole(unknown), Some((unknown.len(), None)));
        }
    }

    #[test]
    fn a_block_names_the_source() {
        let addresses = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 4, 0x14, 0x66];
        let header = block(0x21, 0x11, &addresses);
        let source = Some("192.0.2.7".parse().unwrap());
        assert_eq!(whole(&header), Some((28, source)));
        let with_more = block(
            0x21,
            0x11,
            &[&addresses[..], &[3, 0, 4, 1, 2, 3, 4]].concat(),
        );
        assert_eq!(whole(&with_more), Some((35, source)));
        let header = block(0x21, 0x21, &[0x20; 36]);
        let source = Some(Ipv6Addr::from([0x20; 16]).into());
        assert_eq!(whole(&header), Some((52, source)));
        assert_eq!(whole(&block(0x20, 0, &[])), Some((16, None)));
        assert_eq!(whole(&block(0x21, 0x31, &[0; 216])), Some((232, None)));
    }

    #[test]
    fn a_header_comes_in_pieces() {
        let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 5222\r\n".to_vec();
        for header in [line, block(0x21, 0x21, &[0x20; 36])] {
            for end in 1..header.len() {
                assert_eq!(parse(&header[..end]), Ok(Header::Part), "{end}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let endless = [&b"PROXY TCP4 "[..], &[b'1'; 120]].concat();
        for wrong in [
            &b"<?xml version='1.0'?>"[..],
            b"\x16\x03\x01\x02\x00\x01",
            b"PROXX",
            b"PROXY TCP4 192.0.2.7\r\n",
            b"PROXY TCP4 192.0.2.700 198.51.100.1 1 2\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 1 70000\r\n",
            b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
            &endless,
            &block(0x31, 0x11, &[0; 12]),
            &block(0x22, 0x11, &[0; 12]),
            &block(0x21, 0x11, &[0; 11]),
            &block(0x21, 0x11, &[0; 4096])[..16],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
