//! One client's end of a stream: bytes received become events.
use std::collections::VecDeque;

use stonechat::xml::{Context, Element, Frame, Framer, Limits, parse, parse_header};

#[derive(Clone, Debug)]
pub enum Received {
    Element(Element),
    EndOfStream,
}

pub struct Client {
    framer: Framer,
    context: Context,
    pub received: VecDeque<Received>,
    pub closed: bool,
}

impl Client {
    pub fn new() -> Client {
        let limits = Limits {
            bytes: 64 << 20,
            depth: 200,
            attributes: 200,
            elements: 1 << 20,
        };
        Client {
            framer: Framer::new(limits),
            context: Context::default(),
            received: VecDeque::new(),
            closed: false,
        }
    }

    /// Expects a stream header again.
    pub fn restart(&mut self) {
        self.framer.restart();
    }

    pub fn take(&mut self, mut bytes: &[u8]) {
        loop {
            let text = String::from_utf8_lossy(bytes).into_owned();
            match self
                .framer
                .next(&mut bytes)
                .unwrap_or_else(|e| panic!("server sent bad XML: {e:?} near {text}"))
            {
                Some(Frame::Header(header)) => {
                    let (element, mut context) = parse_header(header).expect("server's header");
                    // Transcripts write what components get as clients would.
                    if &*context.default_namespace == "jabber:component:accept" {
                        context.default_namespace = "jabber:client".into();
                    }
                    self.context = context;
                    self.received.push_back(Received::Element(element));
                }
                Some(Frame::Element(frame)) => {
                    let element = parse(frame, &self.context).unwrap_or_else(|e| {
                        panic!(
                            "server sent a bad element: {e:?}: {}",
                            String::from_utf8_lossy(frame)
                        )
                    });
                    self.received.push_back(Received::Element(element));
                }
                Some(Frame::End) => self.received.push_back(Received::EndOfStream),
                Some(Frame::Whitespace) => {}
                None => break,
            }
        }
    }
}
