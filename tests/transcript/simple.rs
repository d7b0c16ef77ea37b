//! A small blocking client for tests of the real process.
use std::io::{self, Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::{ClientConnection, StreamOwned};
use stonechat::xml::Element;

use super::client::{Client, Received};
use super::tls::Access;

const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

pub struct Simple {
    tls: StreamOwned<ClientConnection, TcpStream>,
    client: Client,
}

impl Simple {
    /// Logged in with PLAIN and bound.
    pub fn log_in(
        access: &Access,
        account: &str,
        password: &str,
        resource: &str,
    ) -> io::Result<Simple> {
        let mut simple = Simple::authenticate(access, account, password)?;
        simple.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource>\
             </bind></iq>"
        ))?;
        simple.expect("iq")?;
        Ok(simple)
    }

    /// Logged in with PLAIN, nothing bound.
    pub fn authenticate(access: &Access, account: &str, password: &str) -> io::Result<Simple> {
        let mut simple = Simple {
            tls: access.connect(),
            client: Client::new(),
        };
        simple.send(HEADER)?;
        simple.expect("features")?;
        let plain = STANDARD.encode(format!("\0{account}\0{password}"));
        simple.send(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"
        ))?;
        simple.expect("success")?;
        simple.client.restart();
        simple.send(HEADER)?;
        simple.expect("features")?;
        Ok(simple)
    }

    /// The connection breaks without a word.
    pub fn cut(self) {
        let _ = self.tls.sock.shutdown(std::net::Shutdown::Both);
    }

    /// Says all there is to say, as TLS and TCP have it, and hears the server out.
    pub fn hang_up(mut self) -> io::Result<()> {
        self.tls.conn.send_close_notify();
        self.tls.flush()?;
        self.tls.sock.shutdown(std::net::Shutdown::Write)?;
        let mut buffer = [0; 16 << 10];
        while self.tls.read(&mut buffer)? > 0 {}
        Ok(())
    }

    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.tls.write_all(text.as_bytes())?;
        self.tls.flush()
    }

    /// The next element; an error when the connection ends.
    pub fn next(&mut self) -> io::Result<Element> {
        loop {
            match self.client.received.pop_front() {
                Some(Received::Element(element)) => return Ok(element),
                Some(Received::EndOfStream) => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => {}
            }
            let mut buffer = [0; 16 << 10];
            match self.tls.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => self.client.take(&buffer[..length]),
            }
        }
    }

    /// The next element of this name, passing over others.
    pub fn expect(&mut self, name: &str) -> io::Result<Element> {
        loop {
            let element = self.next()?;
            if element.root().name() == name {
                return Ok(element);
            }
            assert_ne!(element.root().name(), "failure", "{}", element.source());
        }
    }

    /// Elements up to the answer with this id, that one last.
    pub fn until_answer(&mut self, id: &str) -> io::Result<Vec<Element>> {
        let mut seen = Vec::new();
        loop {
            let element = self.next()?;
            let root = element.root();
            let done = root.name() == "iq" && root.attribute("id").as_deref() == Some(id);
            seen.push(element);
            if done {
                return Ok(seen);
            }
        }
    }

    /// Bodies in the account's archive, oldest first, page by page.
    pub fn archive(&mut self) -> io::Result<Vec<String>> {
        let mut bodies = Vec::new();
        let mut after = String::new();
        for page in 0.. {
            let id = format!("page-{page}");
            self.send(&format!(
                "<iq type='set' id='{id}'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>\
                 <max>200</max>{after}</set></query></iq>"
            ))?;
            let mut answers = self.until_answer(&id)?;
            let fin = answers.pop().expect("the answer");
            for element in &answers {
                let Some(result) = element.root().child("result", "urn:xmpp:mam:2") else {
                    continue;
                };
                let forwarded = result.children().next().expect("forwarded");
                let message = forwarded
                    .child("message", "jabber:client")
                    .expect("a message");
                bodies.push(
                    message
                        .child("body", "jabber:client")
                        .expect("a body")
                        .text()
                        .into_owned(),
                );
            }
            let fin = fin.root().child("fin", "urn:xmpp:mam:2").expect("fin");
            if fin.attribute("complete").as_deref() == Some("true") {
                break;
            }
            let set = fin
                .child("set", "http://jabber.org/protocol/rsm")
                .expect("a set");
            let last = set
                .child("last", "http://jabber.org/protocol/rsm")
                .expect("a last id");
            after = format!("<after>{}</after>", last.text());
        }
        Ok(bodies)
    }
}
