//! What is done now and then: pruning by age and size, removing what deleted accounts and nodes left, watching the disk.

pub mod expiring;
pub mod forgetting;
pub mod thrift;
mod words;

use std::collections::BTreeMap;

use crate::channel;
use crate::feature;
use crate::state::Moment;
use crate::store::{AccountId, Need, Passage, Pruned, Scrubbed, StoreError, Tx};
use crate::xmpp::quoted;

use super::timers::Timer;
use super::{Server, Step};

/// Time between looks when there is nothing to do.
const REST_MS: u64 = 60_000;
/// Time between steps while there is, and at most: a step that came late did so because others, or the disk, had much to do.
const STEP_MS: u64 = 50;
const STEP_MS_MAX: u64 = 1600;
/// A step that comes so much too late is late.
const LATE_MS: u64 = 25;
/// Rows removed in one step: small enough that nobody notices.
const STEP_ROWS_MAX: usize = 50;
/// How much of a checkpoint that was begun is gone on with in one step, while no messages come.
const STEP_CHECKPOINT: u64 = 1024;
/// Pages overwritten in one step.
const SCRUB_PAGES_MAX: u64 = 128;
/// Time after overwriting before it is done again, and for each so many bytes that it wrote: a memory card is what wears.
const SCRUB_REST_MS: u64 = 6 * 3_600_000;
const SCRUB_BYTES_PER_REST: u64 = 64 << 20;
/// Time between looks for what waited outside the archives and was given.
const PASSING_REST_MS: u64 = 3_600_000;
/// What a run took from whom is told when it is over, and not later than so long after it began.
const RUN_MS_MAX: u64 = 600_000;
/// Room inside the file that pruning makes on a full disk, at most half the file.
const REUSABLE_BYTES_WANTED: u64 = 64 << 20;

/// When it is due, and what came of it so far.
pub struct Upkeep {
    due_ms: u64,
    pause_ms: u64,
    /// When channels are looked at.
    channels_due_ms: u64,
    /// When what was taken back may be overwritten.
    scrub_due_ms: u64,
    /// When words of what was removed are looked for.
    words_due_ms: u64,
    /// When what waited outside the archives is looked for, and where on.
    passing_due_ms: u64,
    passing_from: Option<Passage>,
    run: Run,
    /// Messages removed for want of room since the start.
    pub pruned: u64,
}

/// Steps with little time between.
#[derive(Default)]
struct Run {
    begun_ms: Option<u64>,
    aged: usize,
    pruned: BTreeMap<AccountId, Pruned>,
}

impl Upkeep {
    pub fn due(at_ms: u64) -> Upkeep {
        Upkeep {
            due_ms: at_ms,
            pause_ms: STEP_MS,
            channels_due_ms: at_ms,
            scrub_due_ms: at_ms,
            words_due_ms: at_ms,
            passing_due_ms: at_ms,
            passing_from: None,
            run: Run::default(),
            pruned: 0,
        }
    }
}

impl Server {
    /// One small step; comes back soon while there is more to do.
    pub(super) fn upkeep(&mut self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let is_late = step.now.monotonic_ms >= self.upkeep.due_ms + LATE_MS;
        self.upkeep.pause_ms = match is_late {
            true => (self.upkeep.pause_ms * 2).min(STEP_MS_MAX),
            false => (self.upkeep.pause_ms / 2).max(STEP_MS),
        };
        // Whatever fails, there is a next time.
        self.set_upkeep(step.now.monotonic_ms + REST_MS);
        step.tx.note_time(step.now.sure)?;
        self.throttle.forget_old(step.now.monotonic_ms);
        self.state.rooms.forget_idle(step.now.monotonic_ms);
        self.end_expired(step)?;
        if step.now.monotonic_ms >= self.upkeep.channels_due_ms {
            self.upkeep.channels_due_ms = step.now.monotonic_ms + REST_MS;
            channel::end_lives(&mut self.cx(step))?;
        }
        let mut more = step.tx.purge_step(STEP_ROWS_MAX)?;
        if more {
            self.upkeep.words_due_ms = step.now.monotonic_ms;
        }
        more |= step.tx.remove_gone_step(STEP_ROWS_MAX)?;
        more |= self.relate(step)?;
        if step.tx.is_checkpoint_under_way()? {
            more |= step.tx.checkpoint_step(STEP_CHECKPOINT)?;
        }
        more |= self.keep_words(step)?;
        more |= self.forget_passing(step)?;
        more |= self.expire_items(step)?;
        more |= self.forget_clients(step)?;
        if let Some(days) = self.state.settings.archive_days_max {
            let aged = step
                .tx
                .prune_aged(step.now.sure.days_before(days), STEP_ROWS_MAX)?;
            self.upkeep.run.aged += aged.stanzas;
            more |= aged.more;
        }
        more |= self.scrub(step)?;
        // What goes in any case makes room first.
        more = more || self.make_room_for_messages(step.tx)?;
        more = more || self.forget_words(step)?;
        self.tell_of_run(step, more)?;
        let pause_ms = if more { self.upkeep.pause_ms } else { REST_MS };
        self.set_upkeep(step.now.monotonic_ms + pause_ms);
        Ok(())
    }

    /// What was kept before it was noted what stanzas do to each other. True: there is more to do.
    fn relate(&mut self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        let related = step.tx.relate_step(STEP_ROWS_MAX)?;
        let cx = &mut self.cx(step);
        for (archives, id, relation) in related.found {
            feature::related_late(cx, (&archives, id, relation))?;
        }
        Ok(related.more)
    }

    /// A session may have been given it and come back, so it stays for a day. True: there is more to do.
    fn forget_passing(&mut self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        if step.now.monotonic_ms < self.upkeep.passing_due_ms {
            return Ok(false);
        }
        let before = step.now.sure.days_before(1);
        let from = self.upkeep.passing_from;
        let next = step.tx.forget_passing(before, (from, STEP_ROWS_MAX))?;
        if next.is_none() {
            self.upkeep.passing_due_ms = step.now.monotonic_ms + PASSING_REST_MS;
        }
        self.upkeep.passing_from = next;
        Ok(next.is_some())
    }

    /// True: there is more to do.
    fn make_room_for_messages(&mut self, tx: &mut Tx) -> Result<bool, StoreError> {
        let need = self.pressure(tx)?.need;
        let pruned = match need {
            Some(need) => tx.prune_greediest(need, STEP_ROWS_MAX)?,
            None => None,
        };
        let Some(pruned) = pruned else {
            tx.forget_search()?;
            return Ok(false);
        };
        self.upkeep.pruned += pruned.stanzas;
        let of_run = self.upkeep.run.pruned.entry(pruned.account);
        let all = of_run.or_insert(Pruned {
            stanzas: 0,
            bytes: 0,
            unseen: 0,
            ..pruned
        });
        all.stanzas += pruned.stanzas;
        all.bytes += pruned.bytes;
        all.unseen += pruned.unseen;
        Ok(true)
    }

    /// What was taken back is overwritten where it lay. True: there is more to do.
    fn scrub(&mut self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        let now_ms = step.now.monotonic_ms;
        let may_begin = !self.disk_full && now_ms >= self.upkeep.scrub_due_ms;
        Ok(match step.tx.scrub_step(SCRUB_PAGES_MAX, may_begin)? {
            Scrubbed::Nothing => false,
            Scrubbed::Partly => true,
            Scrubbed::Whole { bytes } => {
                log::debug!("store.scrubbed bytes={bytes}");
                let rests = 1 + bytes / SCRUB_BYTES_PER_REST;
                self.upkeep.scrub_due_ms = now_ms + SCRUB_REST_MS * rests;
                false
            }
        })
    }

    /// One line for each account that something was taken from.
    fn tell_of_run(&mut self, step: &Step<'_>, more: bool) -> Result<(), StoreError> {
        let run = &mut self.upkeep.run;
        let begun_ms = *run.begun_ms.get_or_insert(step.now.monotonic_ms);
        if more && step.now.monotonic_ms < begun_ms + RUN_MS_MAX {
            return Ok(());
        }
        let run = std::mem::take(run);
        if run.aged > 0 {
            log::info!("archive.aged messages={}", run.aged);
        }
        if run.pruned.is_empty() {
            return Ok(());
        }
        let names = step.tx.accounts()?;
        for (id, pruned) in run.pruned.iter().filter(|(_, pruned)| pruned.stanzas > 0) {
            let name = names.iter().find(|(_, account)| account.id == *id);
            let jid = name.map_or_else(
                || format!("{} that is deleted", id.0),
                |(name, _)| self.user_jid(name).to_string(),
            );
            log::warn!(
                "archive.no_room jid={} messages={} bytes={} unreceived={} remedy=\"raise archive_bytes_max or make room on the disk\"",
                quoted(&jid),
                pruned.stanzas,
                pruned.bytes,
                pruned.unseen
            );
        }
        Ok(())
    }

    /// There is something to do: look at once.
    pub(super) fn wake_upkeep(&mut self, now: Moment) {
        self.set_upkeep(now.monotonic_ms);
    }

    fn set_upkeep(&mut self, at_ms: u64) {
        self.timers.cancel(self.upkeep.due_ms, Timer::Upkeep);
        self.upkeep.due_ms = at_ms;
        self.timers.set(at_ms, Timer::Upkeep);
    }

    /// A sample of the disk's free space.
    pub(super) fn disk(
        &mut self,
        free_bytes: u64,
        total_bytes: u64,
        tx: &Tx,
    ) -> Result<(), StoreError> {
        let free_min = total_bytes / 100 * u64::from(self.state.settings.disk_free_percent_min);
        self.disk_full = free_bytes < free_min || tx.is_starved();
        let low = self.pressure(tx)?.refuse;
        if low && !self.state.disk_low {
            log::warn!(
                "disk.low free_bytes={free_bytes} remedy=\"make room; messages for absent users are refused meanwhile\""
            );
        } else if !low && self.state.disk_low {
            log::info!("disk.ok free_bytes={free_bytes}");
        }
        self.state.disk_low = low;
        Ok(())
    }

    /// On a full disk the archive stops growing: old messages make room inside the file, and while there is too little of
    /// it, nothing more is stored, so that what nobody has received yet can stay. What else fills the disk does not empty the
    /// archive.
    fn pressure(&self, tx: &Tx) -> Result<Pressure, StoreError> {
        let (stored, file) = (tx.stored_bytes()?, tx.file_bytes());
        let (reusable, wanted) = (
            file.saturating_sub(stored),
            (file / 2).min(REUSABLE_BYTES_WANTED),
        );
        let bytes_max = self.state.settings.archive_bytes_max.unwrap_or(u64::MAX);
        let need = |bytes, spares_unseen| Need {
            bytes,
            spares_unseen,
        };
        let is_short = self.disk_full && reusable < wanted;
        let need = match stored.saturating_sub(bytes_max) {
            0 => is_short.then(|| need(wanted - reusable, true)),
            over => Some(need(over, false)),
        };
        Ok(Pressure {
            refuse: tx.is_starved() || self.disk_full && reusable <= wanted / 2,
            need,
        })
    }
}

/// What the room that is left asks for.
struct Pressure {
    refuse: bool,
    need: Option<Need>,
}
