//! Reads a transcript file.

/// One line of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// `account nurse`: exists, not logged in.
    Account(Vec<String>),
    /// `contacts romeo juliet`: both subscribed to each other.
    Contacts(String, String),
    /// `client romeo/orchard, …`: logged in, bound, initial presence sent; what came so far is swallowed.
    Client(Vec<String>),
    /// `bound romeo/orchard, …`: logged in and bound, no presence.
    Bound(Vec<String>),
    /// `stream a`: a fresh connection with TLS, nothing sent yet.
    Stream(String),
    /// `early a`: the same, and what follows comes as TLS early data until `handshake a`.
    Early(String),
    Handshake(String),
    /// `login a romeo`: a fresh connection, logged in, nothing bound yet.
    Login(String, String),
    /// `door a`: a fresh connection where components connect, nothing sent yet.
    Door(String),
    /// `component a bridge.localhost`: the same, its secret proved; what came so far stays.
    Component(String, String),
    /// `plain a`: a fresh connection without TLS.
    Plain(String),
    /// `C who: …`
    Send(String, String),
    /// `S who: …`
    Expect(String, Expected),
    /// `skip who`: swallow what came.
    Skip(String),
    /// `cut who`: the connection breaks.
    Cut(String),
    /// `wait 5m`, in milliseconds.
    Wait(u64),
    /// `clock +70000d`, `clock right`: from now on the system's clock is off by so much.
    Clock(i64),
    /// `restart`: the process is killed and starts again on the same store.
    Restart,
    /// `stop`: the process stops in order and starts again on the same store.
    Stop,
    /// `set key value`: before any client.
    Set(String, String),
    /// `disk low` / `disk ok`
    Disk(bool),
    /// `operator user del romeo`
    Operator(Vec<String>),
    /// `answer token $token …`: what the operator read, word by word.
    Answer(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Xml(String),
    Nothing,
    Closed,
    EndOfStream,
}

/// The lines with their numbers. Comments begin with `#`; a line that begins with white space continues the one before.
pub fn parse(text: &str) -> Vec<(usize, Line)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match joined.last_mut() {
            Some((_, last)) if line.starts_with(' ') => last.push_str(line.trim_start()),
            _ => joined.push((index + 1, line.trim_end().to_string())),
        }
    }
    joined
        .into_iter()
        .map(|(number, line)| (number, parse_line(number, &line)))
        .collect()
}

fn parse_line(number: usize, line: &str) -> Line {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let names = || {
        rest.split(',')
            .map(|name| name.trim().to_string())
            .collect::<Vec<_>>()
    };
    match word {
        "account" => Line::Account(names()),
        "contacts" => {
            let (one, other) = rest
                .split_once(' ')
                .unwrap_or_else(|| panic!("line {number}: two accounts"));
            Line::Contacts(one.into(), other.into())
        }
        "client" => Line::Client(names()),
        "bound" => Line::Bound(names()),
        "stream" => Line::Stream(rest.into()),
        "early" => Line::Early(rest.into()),
        "handshake" => Line::Handshake(rest.into()),
        "plain" => Line::Plain(rest.into()),
        "door" => Line::Door(rest.into()),
        "component" => {
            let (who, domain) = rest
                .split_once(' ')
                .unwrap_or_else(|| panic!("line {number}: component WHO DOMAIN"));
            Line::Component(who.into(), domain.into())
        }
        "login" => {
            let (who, account) = rest
                .split_once(' ')
                .unwrap_or_else(|| panic!("line {number}: login WHO ACCOUNT"));
            Line::Login(who.into(), account.into())
        }
        "skip" => Line::Skip(rest.into()),
        "cut" => Line::Cut(rest.into()),
        "restart" => Line::Restart,
        "stop" => Line::Stop,
        "wait" => Line::Wait(duration_ms(rest)),
        "clock" => Line::Clock(match rest {
            "right" => 0,
            _ => {
                let (sign, off) = rest.split_at(1);
                let off = i64::try_from(duration_ms(off)).expect("not so far");
                if sign == "-" { -off } else { off }
            }
        }),
        "disk" => Line::Disk(rest == "low"),
        "answer" => Line::Answer(rest.into()),
        "operator" => Line::Operator(rest.split(' ').map(str::to_string).collect()),
        "set" => {
            let (key, value) = rest
                .split_once(' ')
                .unwrap_or_else(|| panic!("line {number}: set KEY VALUE"));
            Line::Set(key.into(), value.into())
        }
        "C" | "S" => {
            let (who, what) = rest
                .split_once(": ")
                .unwrap_or_else(|| panic!("line {number}: who: what"));
            match (word, what) {
                ("C", _) => Line::Send(who.into(), what.into()),
                (_, "nothing") => Line::Expect(who.into(), Expected::Nothing),
                (_, "closed") => Line::Expect(who.into(), Expected::Closed),
                (_, "</stream:stream>") => Line::Expect(who.into(), Expected::EndOfStream),
                _ => Line::Expect(who.into(), Expected::Xml(what.into())),
            }
        }
        _ => panic!("line {number}: unknown: {line}"),
    }
}

fn duration_ms(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).expect("a unit"));
    let unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => panic!("unit of {text}"),
    };
    number.parse::<u64>().expect("a number") * unit
}
