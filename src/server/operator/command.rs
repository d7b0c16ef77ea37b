//! Operator's commands, and how they are spelled on their way to the server that runs.

/// An operator's command, from the control socket or, when no server runs, from the command line itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    UserAdd {
        name: String,
        password: String,
    },
    UserPassword {
        name: String,
        password: String,
    },
    UserDelete {
        name: String,
    },
    UserDisable {
        name: String,
        disabled: bool,
    },
    UserList,
    /// Whoever logs in to it is sent there (RFC 6120 §4.9.3.19); `None`: the account is here again.
    UserMove {
        name: String,
        host: Option<String>,
    },
    /// All sessions are sent there, and whoever comes; `None`: they may stay again.
    Drain {
        host: Option<String>,
    },
    /// What has access to an account; `revoke`: take that away from one of them.
    UserClients {
        name: String,
        revoke: Option<String>,
    },
    TokenAdd {
        user: String,
        /// What its owner calls it.
        name: String,
        /// How long it is good; `None`: for ever.
        seconds: Option<u64>,
        restricted: bool,
    },
    TokenList {
        user: String,
    },
    TokenRevoke {
        user: String,
        id: String,
    },
    /// About channels; what is not needed is empty.
    Channel {
        action: ChannelAction,
        name: String,
        user: String,
    },
    /// About what somebody's archive holds.
    Archive(ArchiveAsk),
    Status,
}

/// What is asked of an archive, a piece at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveAsk {
    pub action: ArchiveAction,
    pub user: String,
    /// With whom, a text, or how many days; empty where nothing is needed.
    pub about: String,
    /// Where the piece before ended; empty: this is the first one.
    pub after: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveAction {
    Stats,
    Show,
    Search,
    Export,
    Prune,
}

impl ArchiveAction {
    const ALL: [(ArchiveAction, &str); 5] = [
        (ArchiveAction::Stats, "stats"),
        (ArchiveAction::Show, "show"),
        (ArchiveAction::Search, "search"),
        (ArchiveAction::Export, "export"),
        (ArchiveAction::Prune, "prune"),
    ];

    pub fn parse(text: &str) -> Option<ArchiveAction> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(action, _)| *action)
    }

    fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(action, _)| *action == self);
        found.map_or(NONE, |(_, name)| name)
    }
}

/// What is done with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelAction {
    List,
    Show,
    Members,
    Create,
    Destroy,
    Owner,
    Ban,
}

impl ChannelAction {
    const ALL: [(ChannelAction, &str); 7] = [
        (ChannelAction::List, "list"),
        (ChannelAction::Show, "show"),
        (ChannelAction::Members, "members"),
        (ChannelAction::Create, "create"),
        (ChannelAction::Destroy, "destroy"),
        (ChannelAction::Owner, "owner"),
        (ChannelAction::Ban, "ban"),
    ];

    pub fn parse(text: &str) -> Option<ChannelAction> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(action, _)| *action)
    }

    fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(action, _)| *action == self);
        found.map_or(NONE, |(_, name)| name)
    }

    pub fn needs_user(self) -> bool {
        matches!(
            self,
            ChannelAction::Create | ChannelAction::Owner | ChannelAction::Ban
        )
    }
}

/// What stands for nothing.
const NONE: &str = "";

impl Command {
    /// As it is sent to the server that runs.
    pub fn to_words(&self) -> Vec<String> {
        let seconds_text;
        let texts: &[&str] = match self {
            Command::UserClients { name, revoke } => {
                &["user clients", name, revoke.as_deref().unwrap_or(NONE)]
            }
            Command::TokenAdd {
                user,
                name,
                seconds,
                restricted,
            } => {
                seconds_text = seconds.map_or(NONE.to_string(), |seconds| seconds.to_string());
                let kind = if *restricted { "restricted" } else { "full" };
                &["token add", user, name, &seconds_text, kind]
            }
            Command::TokenList { user } => &["token list", user],
            Command::TokenRevoke { user, id } => &["token revoke", user, id],
            Command::UserAdd { name, password } => &["user add", name, password],
            Command::UserPassword { name, password } => &["user passwd", name, password],
            Command::UserDelete { name } => &["user del", name],
            Command::UserDisable {
                name,
                disabled: true,
            } => &["user disable", name],
            Command::UserDisable {
                name,
                disabled: false,
            } => &["user enable", name],
            Command::UserMove { name, host } => {
                &["user move", name, host.as_deref().unwrap_or(NONE)]
            }
            Command::Drain { host } => &["drain", host.as_deref().unwrap_or(NONE)],
            Command::Channel { action, name, user } => &["channel", action.as_str(), name, user],
            Command::Archive(ask) => &[
                "archive",
                ask.action.as_str(),
                &ask.user,
                &ask.about,
                &ask.after,
            ],
            Command::UserList => &["user list"],
            Command::Status => &["status"],
        };
        texts.iter().map(|text| (*text).to_string()).collect()
    }

    /// What `to_words` gave.
    pub fn from_words(words: &[&str]) -> Option<Command> {
        let owned = |text: &str| text.to_string();
        Some(match words {
            ["user add", name, password] => Command::UserAdd {
                name: owned(name),
                password: owned(password),
            },
            ["user passwd", name, password] => Command::UserPassword {
                name: owned(name),
                password: owned(password),
            },
            ["user del", name] => Command::UserDelete { name: owned(name) },
            ["user disable", name] => Command::UserDisable {
                name: owned(name),
                disabled: true,
            },
            ["user enable", name] => Command::UserDisable {
                name: owned(name),
                disabled: false,
            },
            ["user move", name, host] => Command::UserMove {
                name: owned(name),
                host: Some(*host).filter(|host| *host != NONE).map(owned),
            },
            ["drain", host] => Command::Drain {
                host: Some(*host).filter(|host| *host != NONE).map(owned),
            },
            ["channel", action, name, user] => Command::Channel {
                action: ChannelAction::parse(action)?,
                name: owned(name),
                user: owned(user),
            },
            ["archive", action, user, about, after] => Command::Archive(ArchiveAsk {
                action: ArchiveAction::parse(action)?,
                user: owned(user),
                about: owned(about),
                after: owned(after),
            }),
            ["user list"] => Command::UserList,
            ["user clients", name, revoke] => Command::UserClients {
                name: owned(name),
                revoke: Some(*revoke).filter(|id| *id != NONE).map(owned),
            },
            ["token add", user, name, seconds, kind] => Command::TokenAdd {
                user: owned(user),
                name: owned(name),
                seconds: match *seconds {
                    NONE => None,
                    seconds => Some(seconds.parse().ok()?),
                },
                restricted: *kind == "restricted",
            },
            ["token list", user] => Command::TokenList { user: owned(user) },
            ["token revoke", user, id] => Command::TokenRevoke {
                user: owned(user),
                id: owned(id),
            },
            ["status"] => Command::Status,
            _ => return None,
        })
    }
}
