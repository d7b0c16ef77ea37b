//! Where a new password comes from: made, asked for on a terminal, or the first line of standard input.
use std::io::{self, BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::config::StartError;
use crate::net::SystemEntropy;
use crate::stream::Entropy;

/// No letter looks like another; 32 of them, so each says 5 bits.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 100 bits.
const GROUPS: usize = 4;
const GROUP_LETTERS: usize = 5;
/// A password longer than this is a mistake.
const LINE_BYTES_MAX: u64 = 4096;

/// The password, and once more if it is to be shown.
pub fn obtain(generate: bool) -> Result<(String, Option<String>), StartError> {
    if generate {
        let password = generated(&mut SystemEntropy::new());
        return Ok((password.clone(), Some(password)));
    }
    let stdin = io::stdin();
    let password = match stdin.is_terminal() {
        true => asked()?,
        false => first_line(&mut io::Read::take(stdin.lock(), LINE_BYTES_MAX))?,
    };
    match password.is_empty() {
        true => Err(StartError::Password("the password is empty")),
        false => Ok((password, None)),
    }
}

fn generated(entropy: &mut dyn Entropy) -> String {
    let groups: Vec<String> = (0..GROUPS)
        .map(|_| {
            let mut random = [0; GROUP_LETTERS];
            entropy.fill(&mut random);
            random
                .iter()
                .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
                .map(|letter| char::from(*letter))
                .collect()
        })
        .collect();
    groups.join("-")
}

fn first_line(input: &mut impl BufRead) -> Result<String, StartError> {
    let mut line = String::new();
    input
        .read_line(&mut line)
        .map_err(|_| StartError::Password("the password on standard input is not UTF-8"))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_string())
}

/// Asks on a terminal; a script has decided already.
pub fn agreed(question: &str) -> Result<bool, StartError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(true);
    }
    let mut stderr = io::stderr();
    let _shown = stderr
        .write_all(format!("{question} [y/N] ").as_bytes())
        .and_then(|()| stderr.flush());
    let line = first_line(&mut io::Read::take(stdin.lock(), LINE_BYTES_MAX))?;
    let line = line.trim();
    Ok(line.eq_ignore_ascii_case("y") || line.eq_ignore_ascii_case("yes"))
}

fn asked() -> Result<String, StartError> {
    let password = ask("Password: ")?;
    if ask("Once more: ")? != password {
        return Err(StartError::Password("the two passwords differ"));
    }
    Ok(password)
}

fn ask(prompt: &str) -> Result<String, StartError> {
    let mut stderr = io::stderr();
    let _shown = stderr
        .write_all(prompt.as_bytes())
        .and_then(|()| stderr.flush());
    let _echo = EchoOff::begin();
    let line = first_line(&mut io::stdin().lock());
    let _shown = stderr.write_all(b"\n");
    line
}

/// Puts the terminal back as it was when dropped.
struct EchoOff(Option<Termios>);

impl EchoOff {
    fn begin() -> EchoOff {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes.remove(LocalModes::ECHO);
            let _as_is = tcsetattr(io::stdin(), OptionalActions::Flush, &quiet);
        }
        EchoOff(before)
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _as_is = tcsetattr(io::stdin(), OptionalActions::Flush, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_passwords_have_a_hundred_bits() {
        assert_eq!(
            LETTERS
                .iter()
                .collect::<std::collections::HashSet<_>>()
                .len(),
            32
        );
        let mut entropy = SystemEntropy::new();
        let [a, b] = [generated(&mut entropy), generated(&mut entropy)];
        assert_ne!(a, b);
        assert_eq!(a.chars().filter(|letter| *letter != '-').count() * 5, 100);
    }

    #[test]
    fn the_first_line_is_the_password() {
        let read = |text: &str| first_line(&mut text.as_bytes()).unwrap();
        assert_eq!(read("se cret \r\nmore"), "se cret ");
        assert_eq!(read(""), "");
        assert!(first_line(&mut &b"\xff\n"[..]).is_err());
    }
}
