//! The operator's commands about what an account's archive holds, each a small step: what is asked comes in pieces, and whoever
//! asks goes on from where the last one ended.
use std::fmt::Write as _;

use crate::channel;
use crate::store::{AccountId, ArchiveId, ArchiveQuery, AtIndex, StoreError, Stored, Tx};
use crate::xml::Escaped;
use crate::xmpp::words::{NotWanted, Wanted};
use crate::xmpp::{BareJid, Jid, ns, quoted};

use super::answer::Answer;
use super::channels::address;
use super::command::{ArchiveAction, ArchiveAsk};
use super::lines;
use crate::server::{Server, Step};

/// Messages looked at in one piece, and their bytes.
const MESSAGES_MAX: usize = 500;
const BYTES_MAX: usize = 256 << 10;
/// Messages removed in one piece.
const REMOVED_MAX: usize = 50;
/// Messages counted in one piece, and steps through the index for them.
const COUNTED_MAX: u64 = 2_000;
const COUNTED_STEPS_MAX: u64 = 20_000;

impl Server {
    /// The first line of the answer is where the next piece begins, or empty; and, of messages, how many are damaged.
    pub(super) fn archive_command(
        &mut self,
        step: &mut Step<'_>,
        ask: &ArchiveAsk,
    ) -> Result<Answer, StoreError> {
        let (account, jid) = match self.archive_of(step, &ask.user)? {
            Ok(known) => known,
            Err(error) => return Ok(Err(error)),
        };
        let after = match ask.after.parse() {
            Ok(after) => Some(ArchiveId(after)),
            Err(_) => None,
        };
        match ask.action {
            ArchiveAction::Stats => stats(step.tx, account, after),
            ArchiveAction::Prune => {
                let Ok(days) = ask.about.parse::<u32>() else {
                    return Ok(Err(format!("{} is no number of days", quoted(&ask.about))));
                };
                let before = step.now.wall.days_before(days);
                let pruned = step
                    .tx
                    .prune_archive(account, before, (after, REMOVED_MAX))?;
                if pruned.next.is_none() {
                    self.forget_words_soon(step.now);
                }
                let next = pruned.next.map(|id| id.0.to_string());
                Ok(Ok(format!(
                    "{}\n{}",
                    next.unwrap_or_default(),
                    pruned.stanzas
                )))
            }
            ArchiveAction::Export if self.is_of_channels(&ask.user) => Ok(Err(
                "what is exported (XEP-0227) is of users; `show` shows what a channel holds".into(),
            )),
            ArchiveAction::Show | ArchiveAction::Search | ArchiveAction::Export => {
                if ask.action == ArchiveAction::Search {
                    step.tx.prepare_to_search(account)?;
                }
                self.piece(step.tx, (account, jid.as_str()), (ask, after))
            }
        }
    }

    fn is_of_channels(&self, name: &str) -> bool {
        let at = name.split_once('@').map(|(_, at)| at);
        at.is_some() && at == self.state.domains.channels()
    }

    /// A user's or a channel's, and the address.
    fn archive_of(
        &mut self,
        step: &mut Step<'_>,
        name: &str,
    ) -> Result<Result<(AccountId, BareJid), String>, StoreError> {
        if !self.is_of_channels(name) {
            let known = self.known_user(name, step.tx)?;
            return Ok(known.map(|(name, account)| (account, self.user_jid(&name))));
        }
        let mut cx = self.cx(step);
        let jid = match address(&cx, name) {
            Ok(jid) => jid,
            Err(error) => return Ok(Err(error)),
        };
        let channel = channel::find(&mut cx, &jid)?;
        let unknown = || {
            format!(
                "there is no channel {}; `stonechat channel list` shows all",
                quoted(name)
            )
        };
        Ok(channel
            .map(|channel| (channel.id().archive(), jid))
            .ok_or_else(unknown))
    }

    /// Somebody here by their name alone, or anybody by their address.
    fn other_side(&self, tx: &Tx, text: &str) -> Result<Result<Jid, String>, StoreError> {
        let known = match text.contains('@') {
            true => None,
            false => Some(self.known_user(text, tx)?),
        };
        if let Some(Ok((name, _))) = known {
            return Ok(Ok(self.user_jid(&name).into()));
        }
        let Ok(jid) = Jid::parse(text) else {
            return Ok(Err(format!("{} is no address", quoted(text))));
        };
        // A domain says something now and then; one word is a user whom there is not.
        let is_domain = text.contains('.') || self.state.domains.is_served(&jid);
        Ok(match known {
            Some(Err(unknown)) if !is_domain => Err(unknown),
            _ => Ok(jid),
        })
    }

    fn piece(
        &self,
        tx: &Tx,
        (account, own): (AccountId, &str),
        (ask, after): (&ArchiveAsk, Option<ArchiveId>),
    ) -> Result<Answer, StoreError> {
        let mut query = ArchiveQuery {
            page_after: after,
            max: MESSAGES_MAX,
            bytes_max: Some(BYTES_MAX),
            ..ArchiveQuery::default()
        };
        if ask.action == ArchiveAction::Show && !ask.about.is_empty() {
            match self.other_side(tx, &ask.about)? {
                Ok(with) => query.with = Some(with),
                Err(error) => return Ok(Err(error)),
            }
        }
        if ask.action == ArchiveAction::Search {
            query.words = match Wanted::parse(&ask.about) {
                Ok(wanted) => Some(wanted),
                Err(NotWanted::NoWord) => {
                    return Ok(Err(format!("there is no word in {}", quoted(&ask.about))));
                }
                Err(NotWanted::TooMany) => return Ok(Err("these are too many words".to_string())),
            };
        }
        let mut text = String::new();
        if ask.action == ArchiveAction::Export && after.is_none() {
            begin_export(&mut text, own);
        }
        let page = tx.page(account, &query)?;
        for stored in &page.stanzas {
            match ask.action {
                ArchiveAction::Export => {
                    export(&mut text, stored, &self.state.archive_ids.text(stored.id));
                }
                _ => lines::show(tx, &mut text, stored, (account, own))?,
            }
        }
        let last = page.stanzas.last().map(|stored| stored.id);
        let next = page.reached.or(last).or(after);
        let next = next.filter(|_| !page.complete);
        if next.is_some() && next == after {
            return Ok(Err("there is too much to look at".to_string()));
        }
        let next = next.map(|id| id.0.to_string());
        let damaged = page.damaged;
        Ok(Ok(format!(
            "{} {damaged}\n{text}",
            next.unwrap_or_default()
        )))
    }
}

/// How many there are, and behind the last piece the rest.
fn stats(tx: &Tx, account: AccountId, after: Option<ArchiveId>) -> Result<Answer, StoreError> {
    let left = ArchiveQuery {
        after_id: after,
        ..ArchiveQuery::default()
    };
    let (max, steps_max) = (COUNTED_MAX, COUNTED_STEPS_MAX);
    let found = tx.at_index(account, &left, max - 1, steps_max)?;
    if let AtIndex::Stanza(id) = found {
        return Ok(Ok(format!("{}\n{max}", id.0)));
    }
    let place = tx.place(account, &left, None, steps_max)?;
    let count = place.map_or(0, |place| place.count);
    let mut text = format!("\n{count}\nbytes: {}\n", tx.archive_bytes(account)?);
    for (name, (_, at)) in ["oldest", "newest"]
        .into_iter()
        .zip(tx.archive_ends(account)?.into_iter().flatten())
    {
        let _ = writeln!(text, "{name}: {at}");
    }
    Ok(Ok(text))
}

/// XEP-0227: what stands before the results.
fn begin_export(text: &mut String, own: &str) {
    let (name, domain) = own.split_once('@').unwrap_or(("", own));
    let _ = writeln!(
        text,
        "<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='urn:xmpp:pie:0'><host jid='{}'><user name='{}'>\
         <archive xmlns='urn:xmpp:pie:0#mam'>",
        Escaped(domain),
        Escaped(name)
    );
}

fn export(text: &mut String, stored: &Stored, id: &str) {
    let _ = writeln!(
        text,
        "<result xmlns='{}' id='{id}'><forwarded xmlns='{}'><delay xmlns='{}' stamp='{}'/>{}</forwarded></result>",
        ns::MAM,
        ns::FORWARD,
        ns::DELAY,
        stored.at,
        stored.xml
    );
}
