//! Runs one transcript on a stage: the pure core, or the real server over TLS.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use stonechat::server::Command;
use stonechat::state::{Access, ComponentSettings, PresenceAccess, Privileges, Settings};

use super::client::{Client, Received};
use super::computed;
use super::core::{Core, Cutting, Disk};
use super::matcher::{Bindings, matches};
use super::script::{Expected, Line, parse};

/// What a transcript needs of a server.
pub trait Stage {
    fn connect(&mut self, name: &str, tls: bool);
    /// Where components connect; `domain`: which of them it will be.
    fn connect_component(&mut self, name: &str, domain: Option<&str>);
    /// TLS early data: only the pure core can be told so.
    fn connect_early(&mut self, name: &str) {
        panic!("{name} is for the core");
    }
    fn handshake_done(&mut self, name: &str) {
        panic!("{name} is for the core");
    }
    fn send(&mut self, name: &str, bytes: &[u8]);
    /// The client's end, after waiting for at least one more event if it has none (and one can come).
    fn receive(&mut self, name: &str) -> Option<Received>;
    /// The same where something has to come, however long it takes.
    fn receive_expected(&mut self, name: &str) -> Option<Received> {
        self.receive(name)
    }
    /// Expects a new stream header (after `<success/>`).
    fn restart_stream(&mut self, name: &str);
    /// Everything the server sent up to now has been received.
    fn settle(&mut self, name: &str);
    fn is_closed(&mut self, name: &str) -> bool;
    /// Nothing can be asked yet, so that what comes must be known.
    fn is_negotiating(&mut self, name: &str) -> bool;
    fn cut(&mut self, name: &str);
    fn restart(&mut self);
    fn stop(&mut self);
    fn wait(&mut self, ms: u64);
    /// How far the system's clock is off.
    fn clock(&mut self, off_ms: i64);
    fn disk(&mut self, low: bool);
    /// From the next restart on.
    fn set(&mut self, key: &str, value: &str);
    fn operator(&mut self, words: &[String]) -> (u8, String);
    fn clients(&self) -> Vec<String>;
    /// The name of one connection of a client.
    fn add_account(&mut self, name: &str) {
        let words = ["user", "add", name, &password(name)].map(str::to_string);
        let (code, text) = self.operator(&words);
        assert_eq!(code, 0, "{text}");
    }
}

/// Every account of a transcript has a password that is easy to guess.
pub fn password(account: &str) -> String {
    format!("password-of-{account}")
}

/// Every component has a secret of the same kind.
pub fn secret(component: &str) -> String {
    format!("secret-of-{component}")
}

impl Stage for Core {
    fn connect_early(&mut self, name: &str) {
        Core::connect_early(self, name);
    }
    fn handshake_done(&mut self, name: &str) {
        Core::handshake_done(self, name);
    }
    fn connect(&mut self, name: &str, tls: bool) {
        Core::connect(self, name, tls);
    }
    fn connect_component(&mut self, name: &str, _domain: Option<&str>) {
        Core::connect_component(self, name);
    }
    fn send(&mut self, name: &str, bytes: &[u8]) {
        Core::send(self, name, bytes);
    }
    fn receive(&mut self, name: &str) -> Option<Received> {
        while self.client(name).received.is_empty() && self.land() {}
        self.client(name).received.pop_front()
    }
    fn restart_stream(&mut self, name: &str) {
        self.client(name).restart();
    }
    fn settle(&mut self, _name: &str) {
        self.land_all();
    }
    fn is_closed(&mut self, name: &str) -> bool {
        while !self.client(name).closed && self.land() {}
        self.client(name).closed
    }
    fn is_negotiating(&mut self, _name: &str) -> bool {
        false
    }
    fn cut(&mut self, name: &str) {
        Core::cut(self, name);
    }
    fn restart(&mut self) {
        self.land_all();
        Core::restart(self);
    }
    fn stop(&mut self) {
        Core::stop(self);
    }
    fn clock(&mut self, off_ms: i64) {
        Core::clock(self, off_ms);
    }

    fn wait(&mut self, ms: u64) {
        Core::wait(self, ms);
    }
    fn disk(&mut self, low: bool) {
        Core::disk(self, low);
    }
    fn set(&mut self, key: &str, value: &str) {
        apply(&mut self.settings, key, value);
    }
    fn operator(&mut self, words: &[String]) -> (u8, String) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let both;
        // As the command line takes them, and as they are sent.
        let sent: Vec<&str> = match words.as_slice() {
            ["user", "clients", user, rest @ ..] => {
                vec!["user clients", user, rest.get(1).unwrap_or(&"")]
            }
            ["user", "move", user, "here"] => vec!["user move", user, ""],
            ["token", "add", user, "--name", name, rest @ ..] => {
                let has = |flag| rest.contains(&flag);
                let seconds = if has("--expires") { "3600" } else { "" };
                let kind = if has("--restricted") {
                    "restricted"
                } else {
                    "full"
                };
                vec!["token add", user, name, seconds, kind]
            }
            ["drain", "off"] => vec!["drain", ""],
            ["status" | "drain", ..] => words.clone(),
            [first, second, rest @ ..] => {
                both = format!("{first} {second}");
                std::iter::once(both.as_str())
                    .chain(rest.iter().copied())
                    .collect()
            }
            other => panic!("no such command: {other:?}"),
        };
        let command = Command::from_words(&sent);
        let command = command.unwrap_or_else(|| panic!("no such command: {words:?}"));
        self.command(command)
    }
    fn clients(&self) -> Vec<String> {
        self.clients.keys().cloned().collect()
    }
}

impl Core {
    fn client(&mut self, name: &str) -> &mut Client {
        &mut self
            .clients
            .get_mut(name)
            .unwrap_or_else(|| panic!("no client {name}"))
            .1
    }
}

/// Settings of a transcript: the defaults with what its `set` lines say, and cheap passwords.
pub fn settings(text: &str) -> Settings {
    let mut settings = Settings::new("localhost");
    settings.scram_iterations = 1;
    for (_, line) in parse(text) {
        match line {
            Line::Set(key, value) => apply(&mut settings, &key, &value),
            _ => break,
        }
    }
    settings
}

fn apply(settings: &mut Settings, key: &str, value: &str) {
    let is_on = match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    };
    if let Some(is_on) = is_on {
        match key {
            "x_oauth" => settings.x_oauth = is_on,
            "archive_search" => settings.archive_search = is_on,
            "client_state" => settings.client_state = is_on,
            "client_names" => settings.client_names = is_on,
            "pubsub" => settings.pubsub = is_on,
            "channels" => settings.channels = is_on,
            "channels_open" => settings.channels_open = is_on,
            "channels_create" => settings.channels_create = is_on,
            _ => panic!("no switch {key}"),
        }
        return;
    }
    if let ("component", Some((name, secret))) = (key, value.split_once(' ')) {
        settings.components.push(ComponentSettings {
            name: name.into(),
            secret: secret.into(),
        });
        return;
    }
    if let ("component_privileges", Some((name, words))) = (key, value.split_once(' ')) {
        let mut granted = Privileges::default();
        for word in words.split(' ') {
            match word.split_once('=') {
                Some(("roster", _)) => granted.roster = Access::BOTH,
                Some(("message", _)) => granted.messages = true,
                Some(("presence", "roster")) => granted.presence = PresenceAccess::Roster,
                Some(("presence", _)) => granted.presence = PresenceAccess::ManagedEntity,
                Some(("iq", namespace)) => granted.iq.push((namespace.into(), Access::BOTH)),
                _ => panic!("no privilege {word}"),
            }
        }
        settings.component_privileges.push((name.into(), granted));
        return;
    }
    if key == "pubsub_create" {
        settings.pubsub_create = value == "users";
        return;
    }
    let number = value
        .parse::<usize>()
        .expect("settings of transcripts are numbers or switches");
    match key {
        "stanza_bytes_max" => settings.limits.bytes = number,
        "idle_seconds_max" => settings.idle_seconds_max = number as u32,
        "sessions_per_account_max" => settings.sessions_per_account_max = number,
        "roster_contacts_max" => settings.roster_contacts_max = number,
        "roster_groups_max" => settings.roster_groups_max = number,
        "channel_members_max" => settings.channel_members_max = number,
        "blocked_jids_max" => settings.blocked_jids_max = number,
        "private_items_max" => settings.private_items_max = number,
        "private_bytes_max" => settings.private_bytes_max = number,
        "archive_page_max" => settings.archive_page_max = number,
        "archive_days_max" => settings.archive_days_max = Some(number as u32),
        "archive_bytes_max" => settings.archive_bytes_max = Some(number as u64),
        "pubsub_nodes_max" => settings.pubsub_nodes_max = number,
        "pubsub_items_max" => settings.pubsub_items_max = number,
        "pubsub_item_bytes_max" => settings.pubsub_item_bytes_max = number,
        "pubsub_bytes_max" => settings.pubsub_bytes_max = number,
        "scram_iterations" => settings.scram_iterations = number as u32,
        "clients_days_max" => settings.clients_days_max = Some(number as u32),
        "fast_days_max" => settings.fast_days_max = number as u32,
        _ => panic!("no setting {key}"),
    }
}

/// Runs a transcript on the pure core.
pub fn run_core(name: &str, text: &str, disk: Disk, cutting: Cutting) {
    run(name, text, &mut Core::on(disk, settings(text), cutting));
}

pub fn run(name: &str, text: &str, stage: &mut dyn Stage) {
    let mut bindings = Bindings::new();
    let mut accounts: Vec<String> = Vec::new();
    for (number, line) in parse(text) {
        let at = format!("{name}:{number}");
        play(&at, &line, stage, &mut accounts, &mut bindings);
    }
    for client in stage.clients() {
        expect(
            &format!("{name}: end"),
            &client,
            &Expected::Nothing,
            stage,
            &mut bindings,
        );
    }
}

fn play(
    at: &str,
    line: &Line,
    stage: &mut dyn Stage,
    accounts: &mut Vec<String>,
    bindings: &mut Bindings,
) {
    match line {
        Line::Set(key, value) => stage.set(key, value),
        Line::Account(names) => names
            .iter()
            .for_each(|name| ensure_account(name, stage, accounts)),
        Line::Contacts(one, other) => {
            ensure_account(one, stage, accounts);
            ensure_account(other, stage, accounts);
            befriend(at, one, other, stage);
        }
        Line::Bound(names) => {
            for name in names {
                log_in(at, name, stage, accounts);
            }
        }
        Line::Client(names) => {
            for name in names {
                log_in(at, name, stage, accounts);
                stage.send(name, b"<presence/>");
            }
            for name in names {
                swallow(name, stage);
            }
        }
        Line::Login(name, account) => authenticate(at, name, account, stage, accounts),
        Line::Stream(name) => stage.connect(name, true),
        Line::Plain(name) => stage.connect(name, false),
        Line::Door(name) => stage.connect_component(name, None),
        Line::Component(name, domain) => log_in_component(at, name, domain, stage),
        Line::Early(name) => stage.connect_early(name),
        Line::Handshake(name) => stage.handshake_done(name),
        Line::Send(name, what) => {
            let text = bound(what, bindings);
            stage.send(name, computed::fill(&text).as_bytes());
        }
        Line::Expect(name, expected) => expect(at, name, expected, stage, bindings),
        Line::Skip(name) => swallow(name, stage),
        Line::Cut(name) => stage.cut(name),
        Line::Wait(ms) => stage.wait(*ms),
        Line::Clock(off_ms) => stage.clock(*off_ms),
        Line::Restart => stage.restart(),
        Line::Stop => stage.stop(),
        Line::Disk(low) => stage.disk(*low),
        Line::Operator(words) => {
            let words: Vec<String> = words.iter().map(|word| bound(word, bindings)).collect();
            let (code, text) = stage.operator(&words);
            assert_eq!(code, 0, "{at}: {text}");
            bindings.insert(ANSWER.into(), text);
        }
        Line::Answer(pattern) => read_answer(at, pattern, bindings),
    }
}

/// The operator's last answer, among the bindings.
const ANSWER: &str = " answer";

fn bound(text: &str, bindings: &Bindings) -> String {
    let mut text = text.to_string();
    for (key, value) in bindings.iter() {
        text = text.replace(&format!("${key}"), value);
    }
    text
}

fn read_answer(at: &str, pattern: &str, bindings: &mut Bindings) {
    let answer = bindings.get(ANSWER).cloned().unwrap_or_default();
    let mut words = answer.split_whitespace();
    for expected in pattern.split(' ') {
        if expected == "…" {
            return;
        }
        let word = words
            .next()
            .unwrap_or_else(|| panic!("{at}: no {expected} in {answer}"));
        match expected.strip_prefix('$') {
            Some(name) if !bindings.contains_key(name) => {
                bindings.insert(name.into(), word.into());
            }
            _ => assert_eq!(bound(expected, bindings), word, "{at}: {answer}"),
        }
    }
    assert_eq!(words.next(), None, "{at}: {answer}");
}

fn ensure_account(name: &str, stage: &mut dyn Stage, accounts: &mut Vec<String>) {
    if !accounts.iter().any(|known| known == name) {
        stage.add_account(name);
        accounts.push(name.to_string());
    }
}

fn swallow(name: &str, stage: &mut dyn Stage) {
    if stage.is_negotiating(name) {
        // What comes before binding ends with features.
        while let Some(Received::Element(element)) = stage.receive(name) {
            if element.root().name() == "features" {
                break;
            }
        }
        return;
    }
    stage.settle(name);
    while stage.receive(name).is_some() {}
}

/// Header, PLAIN, header, bind; `name` is `account/resource`.
fn log_in(at: &str, name: &str, stage: &mut dyn Stage, accounts: &mut Vec<String>) {
    let (account, resource) = name
        .split_once('/')
        .unwrap_or_else(|| panic!("{at}: account/resource"));
    authenticate(at, name, account, stage, accounts);
    let bind = format!(
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource>\
         </bind></iq>"
    );
    stage.send(name, bind.as_bytes());
    take(at, name, "iq", stage);
}

/// Header, PLAIN, header.
fn authenticate(
    at: &str,
    name: &str,
    account: &str,
    stage: &mut dyn Stage,
    accounts: &mut Vec<String>,
) {
    ensure_account(account, stage, accounts);
    stage.connect(name, true);
    let header = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                  xmlns:stream='http://etherx.jabber.org/streams'>";
    stage.send(name, header.as_bytes());
    take(at, name, "stream", stage);
    take(at, name, "features", stage);
    let plain = STANDARD.encode(format!("\0{account}\0{}", password(account)));
    let auth =
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>");
    stage.send(name, auth.as_bytes());
    take(at, name, "success", stage);
    stage.restart_stream(name);
    stage.send(name, header.as_bytes());
    take(at, name, "stream", stage);
    take(at, name, "features", stage);
}

/// XEP-0114 §3. In transcripts secrets are as easy to guess as passwords.
fn log_in_component(at: &str, name: &str, domain: &str, stage: &mut dyn Stage) {
    stage.connect_component(name, Some(domain));
    let header = format!(
        "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{domain}'>"
    );
    stage.send(name, header.as_bytes());
    let Some(Received::Element(header)) = stage.receive(name) else {
        panic!("{at}: {name} got no header");
    };
    let id = header.root().attribute("id").unwrap_or_default();
    let handshake = computed::fill(&format!(
        "<handshake>{{handshake {id} {}}}</handshake>",
        secret(domain)
    ));
    stage.send(name, handshake.as_bytes());
    take(at, name, "handshake", stage);
}

fn take(at: &str, name: &str, element: &str, stage: &mut dyn Stage) {
    match stage.receive(name) {
        Some(Received::Element(got)) if got.root().name() == element => {}
        other => panic!("{at}: {name} expected <{element}> but got {other:?}"),
    }
}

/// Both ask, both approve, both leave.
fn befriend(at: &str, one: &str, other: &str, stage: &mut dyn Stage) {
    let (a, b) = (format!("{one}/befriend"), format!("{other}/befriend"));
    let mut none = vec![one.to_string(), other.to_string()];
    log_in(at, &a, stage, &mut none);
    log_in(at, &b, stage, &mut none);
    for (from, to) in [(&a, other), (&b, one)] {
        stage.send(
            from,
            format!("<presence type='subscribe' to='{to}@localhost'/>").as_bytes(),
        );
        stage.settle(from);
    }
    for (from, to) in [(&a, other), (&b, one)] {
        stage.send(
            from,
            format!("<presence type='subscribed' to='{to}@localhost'/>").as_bytes(),
        );
        stage.settle(from);
    }
    for name in [&a, &b] {
        stage.send(name, b"</stream:stream>");
        swallow_to_end(name, stage);
    }
}

fn swallow_to_end(name: &str, stage: &mut dyn Stage) {
    while let Some(received) = stage.receive(name) {
        if matches!(received, Received::EndOfStream) {
            break;
        }
    }
}

fn expect(
    at: &str,
    name: &str,
    expected: &Expected,
    stage: &mut dyn Stage,
    bindings: &mut Bindings,
) {
    match expected {
        Expected::Xml(pattern) => match stage.receive_expected(name) {
            Some(Received::Element(got)) => {
                if let Err(difference) = matches(pattern, got.root(), bindings) {
                    panic!(
                        "{at}: {name}: {difference}\n  expected {pattern}\n  received {}",
                        got.source()
                    );
                }
                if got.root().is("success", "urn:ietf:params:xml:ns:xmpp-sasl") {
                    stage.restart_stream(name);
                }
            }
            other => panic!("{at}: {name} expected {pattern}\n  but got {other:?}"),
        },
        Expected::EndOfStream => match stage.receive(name) {
            Some(Received::EndOfStream) => {}
            other => panic!("{at}: {name} expected the end of the stream but got {other:?}"),
        },
        Expected::Closed => assert!(stage.is_closed(name), "{at}: {name} is not closed"),
        // Nothing tells when everything has come; the pure core knows.
        Expected::Nothing if stage.is_negotiating(name) => {}
        Expected::Nothing => {
            stage.settle(name);
            if let Some(got) = stage.receive(name) {
                panic!("{at}: {name} expected nothing but got {got:?}");
            }
        }
    }
}

/// Logs in on the pure core without a transcript (fuzzing).
pub fn log_in_quietly(core: &mut Core, name: &str) {
    log_in("fuzz", name, core, &mut Vec::new());
}
