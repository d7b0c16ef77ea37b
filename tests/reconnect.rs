//! Coming back in one round trip (XEP-0388, XEP-0484, XEP-0198 over TLS 1.3 early data) against the real process, and what
//! somebody can do who caught that flight.
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::transcript::phone::Phone;
use crate::transcript::simple::Simple;
use crate::transcript::tls::{Process, TestDir, operate};

struct House {
    dir: TestDir,
    process: Process,
    phone: Phone,
}

impl House {
    fn new(name: &str) -> House {
        let dir = TestDir::new(name);
        let process = Process::start(&dir.0);
        for account in ["romeo", "juliet"] {
            let (code, text) = operate(&dir.0, &["user", "add", account], "secret\n");
            assert_eq!(code, 0, "{text}");
        }
        let config = process.access.client_config();
        let phone = Phone::new(config, ("localhost", "romeo"));
        House {
            dir,
            process,
            phone,
        }
    }

    fn tell(&self, body: &str) {
        let mut juliet =
            Simple::log_in(&self.process.access, "juliet", "secret", "x").expect("log in");
        juliet
            .send(&format!(
                "<message to='romeo@localhost' type='chat'><body>{body}</body></message>\
                 <iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"
            ))
            .expect("send");
        juliet.until_answer("1").expect("an answer");
    }
}

#[test]
fn one_round_trip_brings_everything_back() {
    let mut house = House::new("one-round-trip");
    let address = house.process.access.c2s_tls;
    let mut call = house.phone.sign_in(address, "secret").expect("sign in");
    call.say("<presence/>").expect("send");
    call.until("<presence").expect("own presence");
    house.phone.session.as_mut().expect("a session").h = 1;
    for round in 0..3 {
        call.cut();
        house.tell(&format!("while away {round}"));
        call = house.phone.come_back(address).expect("come back");
        assert!(call.received.contains("<resumed "), "{}", call.received);
        assert_eq!(call.flights.round_trips, 1, "{round} {:?}", call.flights);
        assert!(call.tls.is_early_data_accepted());
        let missed = format!("while away {round}");
        call.until(&missed).expect("what was missed");
        assert_eq!(call.flights.round_trips, 1, "it came with the answer");
        house.phone.session.as_mut().expect("a session").h += 1;
        // The handshake ends, and other tickets come.
        call.say("<r xmlns='urn:xmpp:sm:3'/>").expect("send");
        call.until("<a ").expect("an answer");
    }
    // The session is the same one, and works.
    call.say("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        .expect("send");
    call.until("id='p'").expect("an answer");
}

#[test]
fn without_a_ticket_or_a_session_it_is_little_more() {
    let mut house = House::new("little-more");
    let address = house.process.access.c2s_tls;
    house
        .phone
        .sign_in(address, "secret")
        .expect("sign in")
        .cut();
    house.phone.early = false;
    let call = house.phone.come_back(address).expect("come back");
    assert_eq!(call.flights.round_trips, 2);
    call.cut();
    // A restart forgets tickets, never tokens.
    house.phone.early = true;
    house.process.kill();
    house.process = Process::start(&house.dir.0);
    let address = house.process.access.c2s_tls;
    let call = house.phone.come_back(address).expect("come back");
    assert!(call.received.contains("<failed ") && call.received.contains("<bound "));
    assert!(!call.tls.is_early_data_accepted());
    assert_eq!(call.flights.round_trips, 2);
}

#[test]
fn a_caught_first_flight_does_nothing_when_sent_again() {
    let mut house = House::new("caught-flight");
    let address = house.process.access.c2s_tls;
    house
        .phone
        .sign_in(address, "secret")
        .expect("sign in")
        .cut();
    let mut call = house.phone.come_back(address).expect("come back");
    assert!(call.tls.is_early_data_accepted());
    let caught = call.sent.clone();
    replay(&house.process, &caught);
    // The session was not taken away.
    call.say("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        .expect("send");
    call.until("id='p'").expect("an answer");
    call.cut();
    house.process.kill();
    house.process = Process::start(&house.dir.0);
    replay(&house.process, &caught);
    let (_, status) = operate(&house.dir.0, &["status"], "");
    assert!(status.contains("sessions     0"), "{status}");
    let address = house.process.access.c2s_tls;
    house
        .phone
        .come_back(address)
        .expect("the next count is good");
}

/// Sends bytes as they were and reads what comes until the server gives up or has nothing more to say.
fn replay(process: &Process, bytes: &[u8]) {
    let mut tcp = TcpStream::connect(process.access.c2s_tls).expect("connect");
    tcp.set_read_timeout(Some(Duration::from_secs(20)))
        .expect("set a timeout");
    tcp.write_all(bytes).expect("send");
    tcp.shutdown(Shutdown::Write).expect("no more");
    let mut answer = Vec::new();
    let _reset = tcp.read_to_end(&mut answer);
    // A handshake that only the holder of the keys can complete.
    assert!(!answer.is_empty());
}
