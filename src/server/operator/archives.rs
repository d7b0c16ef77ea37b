//! The operator's commands about what an account's archive holds, each a small step: what is asked comes in pieces, and whoever
//! asks goes on from where the last one ended.
use std::fmt::Write as _;

use crate::store::{AccountId, ArchiveId, ArchiveQuery, Place, StoreError, Stored, Tx};
use crate::xml::{Element, Escaped, parse_stored};
use crate::xmpp::relation::{Act, RETRACT, act_of};
use crate::xmpp::words::{NotWanted, Wanted};
use crate::xmpp::{Jid, ns, quoted};

use super::answer::Answer;
use super::command::{ArchiveAction, ArchiveAsk};
use crate::server::{Server, Step};

/// Messages looked at in one piece, and their bytes.
const MESSAGES_MAX: usize = 500;
const BYTES_MAX: usize = 256 << 10;
/// Messages removed in one piece.
const REMOVED_MAX: usize = 200;
/// Messages that are counted.
const COUNTED_MAX: u64 = 10_000;

impl Server {
    /// The first line of the answer is where the next piece begins, or empty.
    pub(super) fn archive_command(
        &mut self,
        step: &mut Step<'_>,
        ask: &ArchiveAsk,
    ) -> Result<Answer, StoreError> {
        let (name, account) = match self.known_user(&ask.user, step.tx)? {
            Ok(known) => known,
            Err(error) => return Ok(Err(error)),
        };
        let after = match ask.after.parse() {
            Ok(after) => Some(ArchiveId(after)),
            Err(_) => None,
        };
        match ask.action {
            ArchiveAction::Stats => Ok(Ok(format!("\n{}", self.stats(step.tx, account)?))),
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
            ArchiveAction::Show | ArchiveAction::Search | ArchiveAction::Export => {
                let jid = self.user_jid(&name);
                if ask.action == ArchiveAction::Search {
                    step.tx.prepare_to_search()?;
                }
                self.piece(step.tx, (account, jid.as_str()), (ask, after))
            }
        }
    }

    fn stats(&self, tx: &Tx, account: AccountId) -> Result<String, StoreError> {
        let all = ArchiveQuery::default();
        let place = tx.place(account, &all, None, COUNTED_MAX)?;
        let count = match place {
            Some(Place { count, .. }) => count.to_string(),
            None => format!("more than {COUNTED_MAX}"),
        };
        let mut text = format!("messages: {count}\nbytes: {}", tx.archive_bytes(account)?);
        for (name, (_, at)) in ["oldest", "newest"]
            .into_iter()
            .zip(tx.archive_ends(account)?.into_iter().flatten())
        {
            let _ = write!(text, "\n{name}: {at}");
        }
        Ok(text)
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
            match Jid::parse(&ask.about) {
                Ok(with) => query.with = Some(with),
                Err(_) => return Ok(Err(format!("{} is no address", quoted(&ask.about)))),
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
                _ => show(&mut text, stored, own),
            }
        }
        let last = page.stanzas.last().map(|stored| stored.id);
        let next = page.reached.or(last).or(after);
        let next = next.filter(|_| !page.complete);
        if next.is_some() && next == after {
            return Ok(Err("there is too much to look at".to_string()));
        }
        let next = next.map(|id| id.0.to_string());
        Ok(Ok(format!("{}\n{text}", next.unwrap_or_default())))
    }
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

/// One line: when, who to whom, what.
fn show(text: &mut String, stored: &Stored, own: &str) {
    let Ok(element) = parse_stored(&stored.xml, ns::CLIENT) else {
        return;
    };
    let root = element.root();
    let said = said(&element);
    let side = |name| {
        root.attribute(name)
            .map_or(own.to_string(), |jid| jid.into_owned())
    };
    let _ = writeln!(
        text,
        "{}\t{} -> {}\t{}",
        stored.at,
        quoted(&side("from")),
        quoted(&side("to")),
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    );
}

fn said(element: &Element) -> String {
    let root = element.root();
    let body = root
        .child("body", ns::CLIENT)
        .map(|body| body.text().into_owned());
    let body = body.unwrap_or_default();
    match act_of(root) {
        Some((Act::Corrects, id)) => format!("[corrects {}] {body}", quoted(&id)),
        Some((act, _)) if !body.is_empty() && (act == Act::Replies || act.is_mark()) => body,
        Some((act, id)) => {
            let act = format!("{act:?}").to_lowercase();
            format!("[{act} {}]", quoted(&id))
        }
        None if root.child("retracted", RETRACT).is_some() => "[retracted]".to_string(),
        None if body.is_empty() => "[no text]".to_string(),
        None => body,
    }
}
