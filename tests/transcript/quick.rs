//! Tests that talk to the pure core themselves, without a transcript.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stonechat::server::Command;
use stonechat::state::Settings;
use stonechat::xml::Element;

use super::client::Received;
use super::core::{Core, Cutting};
use super::run::password;

const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

impl Core {
    /// With these accounts, whose passwords are cheap.
    pub fn with_accounts(accounts: &[&str]) -> Core {
        Core::with_settings(accounts, |_| {})
    }

    /// The same, with settings changed.
    pub fn with_settings(accounts: &[&str], change: impl FnOnce(&mut Settings)) -> Core {
        let mut settings = Settings::new("localhost");
        settings.scram_iterations = 1;
        change(&mut settings);
        let mut core = Core::new(settings, Cutting::Whole);
        for name in accounts {
            let (code, text) = core.command(Command::UserAdd {
                name: (*name).to_string(),
                password: password(name),
            });
            assert_eq!(code, 0, "{text}");
        }
        core
    }

    /// A new connection, logged in, nothing bound.
    pub fn log_in(&mut self, connection: &str, account: &str) {
        self.connect(connection, true);
        let plain = STANDARD.encode(format!("\0{account}\0{}", password(account)));
        self.send(connection, HEADER.as_bytes());
        let auth = format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"
        );
        self.send(connection, auth.as_bytes());
        self.expect(connection, "success");
        self.clients.get_mut(connection).expect("it").1.restart();
        self.send(connection, HEADER.as_bytes());
        self.expect(connection, "features");
    }

    /// A new connection of the same name as its account and resource, bound.
    pub fn bind(&mut self, name: &str) {
        let (account, resource) = name.split_once('/').expect("account/resource");
        self.log_in(name, account);
        let bind = format!(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
        );
        self.send(name, bind.as_bytes());
        self.expect(name, "iq");
    }

    /// Turns stream management on. Returns the name of the session.
    pub fn enable(&mut self, connection: &str, max: u32) -> String {
        let enable = format!("<enable xmlns='urn:xmpp:sm:3' resume='true' max='{max}'/>");
        self.send(connection, enable.as_bytes());
        let enabled = self.expect(connection, "enabled");
        enabled.root().attribute("id").expect("an id").into_owned()
    }

    pub fn say(&mut self, connection: &str, text: &str) {
        self.send(connection, text.as_bytes());
    }

    /// The next element that came.
    pub fn next(&mut self, connection: &str) -> Option<Element> {
        let client = &mut self.clients.get_mut(connection)?.1;
        match client.received.pop_front()? {
            Received::Element(element) => Some(element),
            Received::EndOfStream => None,
        }
    }

    /// All that came.
    pub fn all(&mut self, connection: &str) -> Vec<Element> {
        std::iter::from_fn(|| self.next(connection)).collect()
    }

    /// The next element of this name (empty: the next of any), passing over others.
    pub fn expect(&mut self, connection: &str, name: &str) -> Element {
        loop {
            let element = self
                .next(connection)
                .unwrap_or_else(|| panic!("{connection}: no {name} came"));
            if name.is_empty() || element.root().name() == name {
                return element;
            }
        }
    }
}
