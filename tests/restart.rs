//! The real process is stopped, or killed, and started again: sessions go on with their old names and miss nothing, or
//! what they missed comes from the archive (XEP-0198, XEP-0160).
use stonechat::xml::Element;

use crate::transcript::simple::Simple;
use crate::transcript::tls::{Process, TestDir, operate};

const BIND: &str = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
    <resource>r</resource></bind></iq>";

struct House {
    dir: TestDir,
    process: Process,
}

impl House {
    fn new(name: &str) -> House {
        let dir = TestDir::new(name);
        let process = Process::start(&dir.0);
        for account in ["romeo", "juliet"] {
            let (code, text) = operate(&dir.0, &["user", "add", account], "secret\n");
            assert_eq!(code, 0, "{text}");
        }
        House { dir, process }
    }

    fn log_in(&self, account: &str) -> Simple {
        Simple::log_in(&self.process.access, account, "secret", "r").expect("log in")
    }

    /// Asks for a session, and returns the answer with the connection.
    fn resume(&self, account: &str, previous: &str, h: u32) -> (Simple, Element) {
        let mut client =
            Simple::authenticate(&self.process.access, account, "secret").expect("log in");
        client
            .send(&format!(
                "<resume xmlns='urn:xmpp:sm:3' previd='{previous}' h='{h}'/>"
            ))
            .expect("send");
        let answer = client.next().expect("an answer");
        (client, answer)
    }

    fn start(&mut self) {
        self.process = Process::start(&self.dir.0);
    }
}

fn enable(client: &mut Simple) -> String {
    client
        .send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        .expect("send");
    let enabled = client.expect("enabled").expect("it is on");
    attribute(&enabled, "id").expect("an id")
}

fn attribute(element: &Element, name: &str) -> Option<String> {
    element
        .root()
        .attribute(name)
        .map(|value| value.into_owned())
}

/// Says it and waits until the server has handled it.
fn tell(client: &mut Simple, body: &str) {
    let stanzas = format!(
        "<message to='romeo@localhost' type='chat' id='{body}'><body>{body}</body></message>\
         <iq type='get' id='after-{body}'><ping xmlns='urn:xmpp:ping'/></iq>"
    );
    client.send(&stanzas).expect("send");
    let id = format!("after-{body}");
    client.until_answer(&id).expect("an answer");
}

/// The bodies of the messages that come before a stanza of another kind is answered.
fn bodies(client: &mut Simple) -> Vec<String> {
    client
        .send("<iq type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>")
        .expect("send");
    let came = client.until_answer("end").expect("an answer");
    let messages = came.iter().filter(|e| e.root().name() == "message");
    messages
        .map(|e| attribute(e, "id").expect("an id"))
        .collect()
}

#[test]
fn a_stop_takes_nothing_from_anybody() {
    let mut house = House::new("stop");
    let mut romeo = house.log_in("romeo");
    let name = enable(&mut romeo);
    romeo.send("<presence/>").expect("send");
    romeo.expect("presence").expect("own presence");
    let mut juliet = house.log_in("juliet");
    let juliets = enable(&mut juliet);
    tell(&mut juliet, "1");
    romeo.expect("message").expect("the first");
    romeo
        .send("<a xmlns='urn:xmpp:sm:3' h='2'/><iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        .expect("send");
    romeo.until_answer("p").expect("an answer");
    romeo.cut();
    tell(&mut juliet, "2");
    tell(&mut juliet, "3");

    house.process.stop();
    let handled = juliet.expect("a").expect("the last words");
    assert_eq!(attribute(&handled, "h").as_deref(), Some("6"));
    let error = juliet.expect("error").expect("why");
    assert!(
        error.source().contains("system-shutdown"),
        "{}",
        error.source()
    );
    house.start();

    let (mut romeo, answer) = house.resume("romeo", &name, 3);
    assert_eq!(answer.root().name(), "resumed", "{}", answer.source());
    assert_eq!(attribute(&answer, "h").as_deref(), Some("2"));
    assert_eq!(bodies(&mut romeo), ["2", "3"]);
    let (mut juliet, answer) = house.resume("juliet", &juliets, 3);
    assert_eq!(attribute(&answer, "h").as_deref(), Some("6"));
    tell(&mut juliet, "4");
    assert_eq!(bodies(&mut romeo), ["4"]);

    // And once more, with both of them there.
    house.process.stop();
    house.start();
    let (mut romeo, answer) = house.resume("romeo", &name, 8);
    assert_eq!(answer.root().name(), "resumed", "{}", answer.source());
    assert_eq!(bodies(&mut romeo), Vec::<String>::new());
}

#[test]
fn after_a_kill_the_archive_has_what_was_acknowledged() {
    let mut house = House::new("kill");
    let mut romeo = house.log_in("romeo");
    let name = enable(&mut romeo);
    romeo.send("<presence/>").expect("send");
    romeo.expect("presence").expect("own presence");
    let mut juliet = house.log_in("juliet");
    tell(&mut juliet, "1");
    romeo.expect("message").expect("the first");
    romeo
        .send("<a xmlns='urn:xmpp:sm:3' h='2'/><iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        .expect("send");
    romeo.until_answer("p").expect("an answer");
    tell(&mut juliet, "2");
    romeo.expect("message").expect("the second");
    romeo.cut();
    tell(&mut juliet, "3");

    house.process.kill();
    house.start();

    let (mut romeo, answer) = house.resume("romeo", &name, 4);
    assert_eq!(answer.root().name(), "failed");
    assert!(
        answer.source().contains("item-not-found"),
        "{}",
        answer.source()
    );
    // It was connected when it was last heard of: how much was handled since nobody knows.
    assert_eq!(attribute(&answer, "h"), None);
    romeo.send(BIND).expect("send");
    romeo.expect("iq").expect("bound");
    romeo.send("<presence/>").expect("send");
    assert_eq!(
        bodies(&mut romeo),
        ["2", "3"],
        "what was not acknowledged, once, in order"
    );
    drop(romeo);
    let mut romeo = house.log_in("romeo");
    romeo.send("<presence/>").expect("send");
    assert_eq!(bodies(&mut romeo), Vec::<String>::new());
    assert_eq!(romeo.archive().expect("the archive"), ["1", "2", "3"]);
}

/// What an operator does while no server runs takes sessions from nobody but those concerned.
#[test]
fn commands_between_stop_and_start_end_the_sessions_they_concern() {
    let mut house = House::new("offline");
    let mut romeo = house.log_in("romeo");
    let romeos = enable(&mut romeo);
    let mut juliet = house.log_in("juliet");
    let juliets = enable(&mut juliet);
    juliet.send("<presence/>").expect("send");
    juliet.expect("presence").expect("own presence");
    romeo.cut();
    juliet.cut();
    house.process.stop();
    let operate = |words: &[&str], input| {
        let (code, text) = operate(&house.dir.0, words, input);
        assert_eq!(code, 0, "{text}");
    };
    operate(&["user", "add", "nurse"], "secret\n");
    operate(&["user", "passwd", "romeo"], "secret\n");
    operate(&["user", "list"], "");
    house.start();
    let (_, answer) = house.resume("romeo", &romeos, 0);
    assert_eq!(answer.root().name(), "failed", "{}", answer.source());
    let (_, answer) = house.resume("juliet", &juliets, 1);
    assert_eq!(answer.root().name(), "resumed", "{}", answer.source());
}
