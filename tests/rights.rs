//! A right that was proved before a wait counts for nothing once it has ended: every step that a login or a wish can have
//! reached by then, with everything that can end what it stands on.
use stonechat::server::Command;
use stonechat::store::CLIENTS_MAX;

use crate::transcript::computed;
use crate::transcript::core::Core;
use crate::transcript::run::password;

const FROM: &str = "<stream:stream from='romeo@localhost' to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";
const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";
const AGENT: &str = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>";
const BIND: &str = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
    <resource>x</resource></bind></iq>";
const UPGRADE: &str = "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>";

/// What somebody waits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// SCRAM is begun, its proof is not sent.
    Challenged,
    ChallengedSasl2,
    /// A password waits to be hashed.
    Hashing,
    HashingSasl2,
    /// XEP-0480: the task is named, its salt is told.
    TaskNamed,
    TaskBegun,
    /// Logged in, no header yet, no resource yet.
    Succeeded,
    LoggedIn,
    LoggedInSasl2,
    /// The same, to go on with an earlier session.
    Resuming,
    /// By a token of XEP-0484; of one that it gave back as it came.
    Fast,
    FastGivenBack,
    /// By a token of `stonechat token add`; as a bearer.
    Token,
    Bearer,
    /// By a grant of X-OAUTH.
    Oauth,
    /// A new password waits to be hashed, of somebody logged in by a password, by those tokens.
    Change,
    ChangeByFast,
    ChangeByToken,
    ChangeByOauth,
}

const STEPS: [Step; 19] = [
    Step::Challenged,
    Step::ChallengedSasl2,
    Step::Hashing,
    Step::HashingSasl2,
    Step::TaskNamed,
    Step::TaskBegun,
    Step::Succeeded,
    Step::LoggedIn,
    Step::LoggedInSasl2,
    Step::Resuming,
    Step::Fast,
    Step::FastGivenBack,
    Step::Token,
    Step::Bearer,
    Step::Oauth,
    Step::Change,
    Step::ChangeByFast,
    Step::ChangeByToken,
    Step::ChangeByOauth,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Nothing,
    Password,
    OwnPassword,
    Disabled,
    DisabledForAWhile,
    Removed,
    /// Another has the name now, with the same password.
    Replaced,
    /// Access of the client with the name that lasts was taken away.
    Client,
    Token,
    Oauth,
}

const ENDS: [End; 10] = [
    End::Nothing,
    End::Password,
    End::OwnPassword,
    End::Disabled,
    End::DisabledForAWhile,
    End::Removed,
    End::Replaced,
    End::Client,
    End::Token,
    End::Oauth,
];

/// What ends what.
fn ends(step: Step, end: End) -> bool {
    let by_token = matches!(step, Step::Token | Step::Bearer | Step::ChangeByToken);
    let by_oauth = matches!(step, Step::Oauth | Step::ChangeByOauth);
    let is_session = matches!(
        step,
        Step::Change | Step::ChangeByFast | Step::ChangeByToken | Step::ChangeByOauth
    );
    let is_named = matches!(
        step,
        Step::LoggedInSasl2 | Step::Fast | Step::FastGivenBack | Step::ChangeByFast
    );
    match end {
        End::Nothing => false,
        End::Disabled | End::Removed | End::Replaced => true,
        // The operator ends all sessions; a token that nobody logged in by still can.
        End::Password => !by_token || is_session,
        End::OwnPassword => !by_token,
        End::DisabledForAWhile => !by_token || is_session,
        End::Client => is_named,
        End::Token => by_token,
        End::Oauth => by_oauth,
    }
}

struct World {
    core: Core,
    token: (String, String),
    client: String,
    session: String,
    challenge: String,
}

#[test]
fn what_was_proved_is_looked_at_again_when_it_is_used() {
    let mut wrong = Vec::new();
    for step in STEPS {
        for end in ENDS {
            let mut world = World::new();
            world.reach(step);
            world.end(end);
            let went_on = world.go_on(step);
            if went_on == ends(step, end) {
                wrong.push(format!("{step:?} after {end:?}: went on {went_on}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn authenticate(mechanism: &str, message: &str, more: &str) -> String {
    let message = computed::fill(message);
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'>\
         <initial-response>{message}</initial-response>{more}</authenticate>"
    )
}

fn auth(mechanism: &str, message: &str) -> String {
    let message = computed::fill(message);
    format!(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{message}</auth>"
    )
}

fn change(password: &str) -> String {
    format!(
        "<iq type='set' id='p'><query xmlns='jabber:iq:register'><password>{password}</password></query></iq>"
    )
}

impl World {
    fn new() -> World {
        let mut core = Core::with_settings(&["romeo"], |settings| settings.x_oauth = true);
        // Older than what is wanted now.
        core.settings.scram_iterations = 2;
        core.restart();
        let add = Command::TokenAdd {
            user: "romeo".into(),
            name: "bell".into(),
            seconds: None,
            restricted: false,
        };
        let (_, told) = core.command(add);
        let word = |n: usize| told.split_whitespace().nth(n).unwrap().to_string();
        World {
            token: (word(1), word(3)),
            core,
            client: String::new(),
            session: String::new(),
            challenge: String::new(),
        }
    }

    fn open(&mut self, name: &str) {
        self.core.connect(name, true);
        self.core.say(name, FROM);
        self.core.expect(name, "features");
    }

    fn command(&mut self, words: Command) {
        let (code, text) = self.core.command(words);
        assert_eq!(code, 0, "{text}");
    }

    /// A token of XEP-0484.
    fn fast_token(&mut self) -> String {
        self.open("first");
        let wants = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>";
        let login = authenticate("PLAIN", "{plain romeo}", &format!("{AGENT}{wants}"));
        self.core.say("first", &login);
        let success = self.core.expect("first", "success");
        let token = success.root().child("token", "urn:xmpp:fast:0").unwrap();
        let token = token.attribute("token").unwrap().into_owned();
        self.core.cut("first");
        self.forget_the_password();
        token
    }

    /// A session that may be resumed.
    fn earlier_session(&mut self) {
        self.core.bind("romeo/earlier");
        self.session = self.core.enable("romeo/earlier", 600);
        self.core.cut("romeo/earlier");
    }

    /// So that taking the client's access away leaves none.
    fn forget_the_password(&mut self) {
        let (_, clients) = self.core.command(Command::UserClients {
            name: "romeo".into(),
            revoke: None,
        });
        self.client = clients.split_whitespace().next().unwrap().to_string();
    }

    fn oauth_token(&mut self) -> String {
        self.core.bind("romeo/asks");
        self.core.say(
            "romeo/asks",
            "<iq type='get' id='o'><query xmlns='erlang-solutions.com:xmpp:token-auth:0'/></iq>",
        );
        let answer = self.core.expect("romeo/asks", "iq");
        let items = answer.root().children().next().unwrap();
        let token = items.children().next().unwrap().text().into_owned();
        self.core.cut("romeo/asks");
        token
    }

    fn fast(&mut self, more: &str) -> String {
        let token = self.fast_token();
        let fast = format!("<fast xmlns='urn:xmpp:fast:0' count='1'{more}/>");
        self.open("x");
        let message = format!("{{ht romeo {token}}}");
        authenticate("HT-SHA-256-NONE", &message, &format!("{AGENT}{fast}"))
    }

    /// Logs in, as far as the features behind the success.
    fn log_in(&mut self, login: &str) {
        self.core.say("x", login);
        self.core.expect("x", "success");
        if login.starts_with("<auth ") {
            self.core.clients.get_mut("x").unwrap().1.restart();
            self.core.say("x", HEADER);
        }
        self.core.expect("x", "features");
    }

    fn reach(&mut self, step: Step) {
        let plain = || auth("PLAIN", "{plain romeo}");
        match step {
            Step::Challenged | Step::ChallengedSasl2 => {
                self.open("x");
                let begin = match step {
                    Step::Challenged => auth("SCRAM-SHA-256", "{first romeo}"),
                    _ => {
                        let wants =
                            "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>";
                        authenticate("SCRAM-SHA-256", "{first romeo}", &format!("{AGENT}{wants}"))
                    }
                };
                self.core.say("x", &begin);
                let challenge = self.core.expect("x", "challenge");
                self.challenge = challenge.root().text().into_owned();
            }
            Step::Hashing | Step::HashingSasl2 => {
                self.open("x");
                self.core.holds_hashes = true;
                let begin = match step {
                    Step::Hashing => plain(),
                    _ => authenticate("PLAIN", "{plain romeo}", AGENT),
                };
                self.core.say("x", &begin);
                self.core.holds_hashes = false;
            }
            Step::TaskNamed | Step::TaskBegun => {
                self.open("x");
                let login = authenticate("PLAIN", "{plain romeo}", UPGRADE);
                self.core.say("x", &login);
                self.core.expect("x", "continue");
                if step == Step::TaskBegun {
                    self.begin_task();
                }
            }
            Step::Succeeded => {
                self.open("x");
                self.core.say("x", &plain());
                self.core.expect("x", "success");
            }
            Step::LoggedIn => {
                self.open("x");
                self.log_in(&plain());
            }
            Step::LoggedInSasl2 => {
                self.open("x");
                self.log_in(&authenticate("PLAIN", "{plain romeo}", AGENT));
                self.forget_the_password();
            }
            Step::Resuming => {
                self.earlier_session();
                self.open("x");
                self.log_in(&plain());
            }
            Step::Fast => {
                let login = self.fast("");
                self.log_in(&login);
            }
            Step::FastGivenBack => {
                let login = self.fast(" invalidate='true'");
                self.log_in(&login);
            }
            Step::Token => {
                self.open("x");
                let message = format!("{{plain romeo {}}}", self.token.0);
                self.log_in(&auth("PLAIN", &message));
            }
            Step::Bearer => {
                self.open("x");
                let message = format!("{{bearer {}}}", self.token.0);
                self.log_in(&authenticate("OAUTHBEARER", &message, AGENT));
            }
            Step::Oauth => {
                let token = self.oauth_token();
                self.open("x");
                self.log_in(&auth("X-OAUTH", &token));
            }
            Step::Change | Step::ChangeByFast | Step::ChangeByToken | Step::ChangeByOauth => {
                self.reach(match step {
                    Step::Change => Step::LoggedIn,
                    Step::ChangeByFast => Step::Fast,
                    Step::ChangeByToken => Step::Token,
                    _ => Step::Oauth,
                });
                self.core.say("x", BIND);
                self.core.expect("x", "iq");
                self.core.holds_hashes = true;
                self.core.say("x", &change("mine"));
                self.core.holds_hashes = false;
            }
        }
    }

    fn begin_task(&mut self) {
        self.core.say(
            "x",
            "<next xmlns='urn:xmpp:sasl:2' task='UPGR-SCRAM-SHA-256'/>",
        );
        let Some(task) = self.core.next("x") else {
            return;
        };
        let salt = task.root().child("salt", "urn:xmpp:scram-upgrade:0");
        let salt = salt.expect("what the task needs");
        self.challenge = salt.text().into_owned();
    }

    fn end(&mut self, end: End) {
        let name = || "romeo".to_string();
        let disable = |disabled| Command::UserDisable {
            name: name(),
            disabled,
        };
        match end {
            End::Nothing => {}
            End::Password => self.command(Command::UserPassword {
                name: name(),
                password: "other".into(),
            }),
            End::OwnPassword => {
                self.core.bind("romeo/other");
                // As if it had been hashed before all that waits.
                let held = std::mem::take(&mut self.core.held);
                self.core.say("romeo/other", &change("other"));
                self.core.expect("romeo/other", "iq");
                self.core.held = held;
            }
            End::Disabled => self.command(disable(true)),
            End::DisabledForAWhile => {
                self.command(disable(true));
                self.command(disable(false));
            }
            End::Removed => self.command(Command::UserDelete { name: name() }),
            End::Replaced => {
                self.command(Command::UserDelete { name: name() });
                self.command(Command::UserAdd {
                    name: name(),
                    password: password("romeo"),
                });
            }
            End::Client => self.revoke(self.client.clone()),
            End::Token => self.revoke(self.token.1.clone()),
            End::Oauth => self.revoke("x-oauth".into()),
        }
    }

    /// Whether it is there and whether it knows the password does not matter.
    fn revoke(&mut self, id: String) {
        self.core.command(Command::UserClients {
            name: "romeo".into(),
            revoke: Some(id),
        });
    }

    /// True: the step led to a session, or a new password.
    fn go_on(&mut self, step: Step) -> bool {
        match step {
            Step::Challenged | Step::ChallengedSasl2 => {
                let proof = format!("{{proof romeo {} {}}}", password("romeo"), self.challenge);
                let proof = computed::fill(&proof);
                let namespace = match step {
                    Step::Challenged => "urn:ietf:params:xml:ns:xmpp-sasl",
                    _ => "urn:xmpp:sasl:2",
                };
                self.core.say(
                    "x",
                    &format!("<response xmlns='{namespace}'>{proof}</response>"),
                );
                self.bind_after_success(step == Step::Challenged)
            }
            Step::Hashing | Step::HashingSasl2 => {
                self.core.hash_held();
                self.bind_after_success(step == Step::Hashing)
            }
            Step::TaskNamed | Step::TaskBegun => {
                if step == Step::TaskNamed {
                    self.begin_task();
                }
                let salted = format!("{{salted {} {} 2}}", password("romeo"), self.challenge);
                let salted = computed::fill(&salted);
                let hash = format!("<hash xmlns='urn:xmpp:scram-upgrade:0'>{salted}</hash>");
                self.core.say(
                    "x",
                    &format!("<task-data xmlns='urn:xmpp:sasl:2'>{hash}</task-data>"),
                );
                self.bind_after_success(false)
            }
            Step::Succeeded => {
                self.core.clients.get_mut("x").unwrap().1.restart();
                self.core.say("x", HEADER);
                self.binds()
            }
            Step::Resuming => {
                let resume = format!(
                    "<resume xmlns='urn:xmpp:sm:3' previd='{}' h='0'/>",
                    self.session
                );
                self.core.say("x", &resume);
                let came = self.core.all("x");
                let resumed = came.iter().any(|e| e.root().name() == "resumed");
                assert!(
                    resumed || came.iter().any(|e| e.root().name() == "error"),
                    "{came:?}"
                );
                resumed
            }
            Step::LoggedIn
            | Step::LoggedInSasl2
            | Step::Fast
            | Step::FastGivenBack
            | Step::Token
            | Step::Bearer
            | Step::Oauth => self.binds(),
            Step::Change | Step::ChangeByFast | Step::ChangeByToken | Step::ChangeByOauth => {
                self.core.hash_held();
                self.core.connect("y", true);
                self.core.say("y", HEADER);
                self.core.expect("y", "features");
                self.core.say("y", &auth("PLAIN", "{plain romeo mine}"));
                self.core.wait(20_000);
                self.core.next("y").unwrap().root().name() == "success"
            }
        }
    }

    fn bind_after_success(&mut self, restarts: bool) -> bool {
        self.core.wait(20_000);
        let came = self.core.all("x");
        let names: Vec<_> = came.iter().map(|e| e.root().name().to_string()).collect();
        if !names.iter().any(|name| name == "success") {
            assert!(names.iter().any(|name| name == "failure"), "{came:?}");
            return false;
        }
        if restarts {
            self.core.clients.get_mut("x").unwrap().1.restart();
            self.core.say("x", HEADER);
        }
        assert!(self.binds(), "a success that is none");
        true
    }

    fn binds(&mut self) -> bool {
        self.core.all("x");
        self.core.say("x", BIND);
        let answer = self.core.next("x").expect("an answer");
        let bound = answer.root().name() == "iq";
        assert!(
            bound || answer.source().contains("not-authorized"),
            "{}",
            answer.source()
        );
        bound
    }
}

/// XEP-0494: no token beside the list, and the list is bounded.
#[test]
fn tokens_of_clients_that_bind_nothing_count_among_the_clients() {
    let mut core = Core::with_accounts(&["romeo"]);
    let mut tokens = Vec::new();
    for n in 0..=CLIENTS_MAX {
        let name = format!("c{n}");
        core.connect(&name, true);
        core.say(&name, FROM);
        core.expect(&name, "features");
        let wants = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>";
        let login = authenticate("PLAIN", "{plain romeo}", &format!("{}{wants}", agent(n)));
        core.say(&name, &login);
        let success = core.expect(&name, "success");
        let token = success.root().child("token", "urn:xmpp:fast:0").unwrap();
        tokens.push(token.attribute("token").unwrap().into_owned());
        core.cut(&name);
        core.wait(1000);
    }
    let (_, listed) = core.command(Command::UserClients {
        name: "romeo".into(),
        revoke: None,
    });
    assert_eq!(listed.lines().count(), CLIENTS_MAX);
    for (n, condition) in [
        (0, "credentials-expired"),
        (1, "success"),
        (CLIENTS_MAX, "success"),
    ] {
        let name = format!("again{n}");
        core.connect(&name, true);
        core.say(&name, FROM);
        core.expect(&name, "features");
        let message = format!("{{ht romeo {}}}", tokens[n]);
        let fast = format!("{}<fast xmlns='urn:xmpp:fast:0' count='1'/>", agent(n));
        core.say(&name, &authenticate("HT-SHA-256-NONE", &message, &fast));
        core.wait(10_000);
        let answer = core.next(&name).unwrap();
        assert!(answer.source().contains(condition), "{}", answer.source());
    }
}

fn agent(n: usize) -> String {
    format!("<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf8{n:04}'/>")
}
