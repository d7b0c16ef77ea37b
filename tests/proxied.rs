//! Behind a proxy that says whose connections it passes on: the real process, real sockets.
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::transcript::tls::{Access, Process, TestDir};

const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";
const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 5222\r\n";

fn house(name: &str, settings: &str) -> (TestDir, Process) {
    let dir = TestDir::new(name);
    std::fs::write(dir.0.join("stonechat.toml"), settings).expect("write the settings");
    let process = Process::start(&dir.0);
    (dir, process)
}

/// What is answered to a stream header, until the features or the end.
fn greeted(mut stream: impl Read + Write) -> String {
    // It may have been closed already.
    let _ = stream.write_all(HEADER.as_bytes());
    let (mut heard, mut buffer) = (String::new(), [0; 4096]);
    while !heard.contains("</stream:features>") {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => heard += &String::from_utf8_lossy(&buffer[..count]),
            _ => break,
        }
    }
    heard
}

fn introduced(access: &Access, header: &[u8]) -> TcpStream {
    let mut tcp = TcpStream::connect(access.c2s_tls).expect("connect");
    for piece in header.chunks(5) {
        tcp.write_all(piece).expect("send");
    }
    tcp
}

#[test]
fn who_is_introduced_is_let_in() {
    let (_dir, process) = house("proxied", "proxy_addresses = [\"127.0.0.0/8\"]\n");
    let block = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(),
        &[192, 0, 2, 7],
        &[0; 8],
    ]
    .concat();
    for header in [LINE, b"PROXY UNKNOWN\r\n", &block] {
        let tls = process.access.wrap(introduced(&process.access, header));
        assert!(greeted(tls).contains("</stream:features>"));
    }
    let mut plain = TcpStream::connect(process.access.c2s).expect("connect");
    plain.write_all(LINE).expect("send");
    assert!(greeted(plain).contains("starttls"));
}

#[test]
fn who_is_not_introduced_is_not() {
    let (_dir, process) = house("not-introduced", "proxy_addresses = [\"127.0.0.1\"]\n");
    let plain = TcpStream::connect(process.access.c2s).expect("connect");
    assert_eq!(greeted(plain), "");
    let mut wrong = TcpStream::connect(process.access.c2s).expect("connect");
    wrong
        .write_all(b"PROXY TCP4 nobody nowhere 1 2\r\n")
        .expect("send");
    assert_eq!(greeted(wrong), "");
}

#[test]
fn nobody_else_is_believed() {
    let (_dir, process) = house("not-listed", "proxy_addresses = [\"192.0.2.1\"]\n");
    let mut plain = TcpStream::connect(process.access.c2s).expect("connect");
    plain.write_all(LINE).expect("send");
    let heard = greeted(plain);
    assert!(!heard.contains("</stream:features>"), "{heard}");
}

/// The limit of one address is that of whom the connection is.
#[test]
fn who_is_behind_a_proxy_has_his_own_share() {
    let settings = "proxy_addresses = [\"127.0.0.1\"]\nconnections_per_address_max = 2\n";
    let (_dir, process) = house("own-share", settings);
    let come = |source: &str| {
        let line = format!("PROXY TCP4 {source} 198.51.100.1 1 2\r\n");
        let mut plain = TcpStream::connect(process.access.c2s).expect("connect");
        plain.write_all((line + HEADER).as_bytes()).expect("send");
        plain
    };
    let there: Vec<TcpStream> = (1..=6).map(|n| come(&format!("192.0.2.{n}"))).collect();
    for mut stream in there {
        let mut first = [0];
        assert_eq!(stream.read(&mut first).expect("an answer"), 1);
    }
}

/// A proxy that says nothing takes no more places than these, and gives them back.
#[test]
fn those_who_are_not_introduced_yet_are_so_many() {
    const WAITING_MAX: usize = 256;
    let (_dir, process) = house("waiting", "proxy_addresses = [\"127.0.0.1\"]\n");
    let connect = || TcpStream::connect(process.access.c2s).expect("connect");
    let silent: Vec<TcpStream> = (0..WAITING_MAX).map(|_| connect()).collect();
    let come = || {
        let mut plain = connect();
        let _ = plain.write_all(LINE);
        greeted(plain)
    };
    assert_eq!(come(), "");
    drop(silent);
    while !come().contains("</stream:features>") {}
}
