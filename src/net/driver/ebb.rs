//! When most of a crowd has left, the memory it took goes back to the system: buffers, the database's cache, TLS sessions
//! that nobody is left for. What a running server needs comes again by itself.
use super::Driver;
use crate::net::machine::system;
use crate::net::shell::Shell;
use crate::store::StoreError;
use crate::xmpp::quoted_error;

/// So few are no crowd.
const CROWD: usize = 64;
/// Nor are so few that fell asleep: a handful of phones does that all day, and giving back stops the server for a moment.
const SLEEPERS: usize = 512;
/// The rest of a crowd may still be leaving.
const WAIT_MS: u64 = 1_000;
/// So long nothing was done: the program's own pages need not stay mapped.
const QUIET_MS: u64 = 2_000;
/// TLS sessions kept even if nobody is there, and for each session of the server: two tickets each.
const TLS_BYTES_MIN: usize = 64 << 10;
pub const TLS_BYTES_EACH: usize = 640;

/// Who takes memory, or did.
#[derive(Clone, Copy, Debug, Default)]
struct Crowd {
    connections: usize,
    /// They outlive their connections (XEP-0198).
    sessions: usize,
    /// How often a session fell asleep.
    slept: u64,
}

/// Watches how many there are.
#[derive(Default)]
pub struct Ebb {
    /// The most since memory was last given back; of those that slept, what there was then.
    most: Crowd,
    /// When it is to be given back.
    due_ms: Option<u64>,
    /// For so many sessions TLS sessions are kept.
    told: usize,
    /// When the program's code is let go of, if nothing is done until then.
    quiet_ms: Option<u64>,
}

impl Ebb {
    /// When the driver is to look after it.
    pub fn wake_ms(&self) -> Option<u64> {
        self.due_ms.into_iter().chain(self.quiet_ms).min()
    }

    /// True if nothing was done for long. Looked at between two batches.
    fn is_quiet(&mut self, has_worked: bool, now_ms: u64) -> bool {
        let is_quiet = !has_worked && self.quiet_ms.is_some_and(|quiet_ms| quiet_ms <= now_ms);
        if has_worked || is_quiet {
            self.quiet_ms = has_worked.then_some(now_ms + QUIET_MS);
        }
        is_quiet
    }

    /// There may be a few TLS sessions; how many more is found anew.
    pub fn forget_told(&mut self, shell: &Shell) {
        self.told = 0;
        shell.identities.limit_sessions(TLS_BYTES_MIN);
    }

    fn note(&mut self, crowd: Crowd, now_ms: u64) {
        self.most.connections = self.most.connections.max(crowd.connections);
        self.most.sessions = self.most.sessions.max(crowd.sessions);
        let has_left = |most: usize, now: usize| most >= CROWD && now <= most / 2;
        let slept = usize::try_from(crowd.slept - self.most.slept).unwrap_or(usize::MAX);
        let is_over = has_left(self.most.connections, crowd.connections)
            || has_left(self.most.sessions, crowd.sessions)
            || slept >= crowd.sessions.max(SLEEPERS);
        if is_over && self.due_ms.is_none() {
            self.due_ms = Some(now_ms + WAIT_MS);
        }
    }

    fn is_due(&mut self, crowd: Crowd, now_ms: u64) -> bool {
        let is_due = self.due_ms.is_some_and(|due_ms| due_ms <= now_ms);
        if is_due {
            self.due_ms = None;
            self.most = crowd;
        }
        is_due
    }
}

impl Driver {
    /// Between two batches.
    pub(super) async fn watch_ebb(&mut self) -> Result<(), StoreError> {
        let known = &self.server.state().sessions;
        let (sessions, slept) = (known.len(), known.slept());
        if sessions > self.ebb.told + self.ebb.told / 8 + 16 {
            self.limit_tls(sessions);
        }
        let crowd = Crowd {
            connections: self.shell.census.total(),
            sessions,
            slept,
        };
        let now_ms = self.shell.clock.monotonic_ms();
        self.ebb.note(crowd, now_ms);
        let has_worked = std::mem::take(&mut self.has_worked);
        if self.ebb.is_quiet(has_worked, now_ms) {
            system::let_go_of_code();
        }
        if self.batch.exit || !self.ebb.is_due(crowd, now_ms) {
            return Ok(());
        }
        let connections = crowd.connections;
        log::debug!("memory.given_back connections={connections} sessions={sessions}");
        // What is needed again is made when most of the memory is one piece, so that it does not lie in what was left
        // between two that stay.
        let renewal = self.store.renew();
        let closed = match renewal {
            Some(renewal) => Some(self.stored(move || renewal.close()).await?),
            None => None,
        };
        self.batch = Default::default();
        self.horizon = Default::default();
        self.shell.drop_buffers();
        self.gather();
        self.server.resettle();
        self.shell.sockets.resettle();
        self.limit_tls(sessions);
        if let Some(closed) = closed {
            let renewed = self.stored(move || closed.open()).await?;
            self.store.renewed(renewed);
        }
        self.gather();
        Ok(())
    }

    /// Joins free memory, and gives back what pages it covers.
    fn gather(&mut self) {
        self.storage.renew();
        empty_thread_cache();
        system::trim_heap();
        system::let_go_of_code();
    }

    fn limit_tls(&mut self, sessions: usize) {
        self.ebb.told = sessions;
        let bytes = TLS_BYTES_MIN + TLS_BYTES_EACH * sessions;
        self.shell.identities.limit_sessions(bytes);
    }

    /// Does something that waits for the disk, on the storage thread.
    async fn stored<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, result) = smol::channel::bounded(1);
        let done = self.committed.0.clone();
        self.storage.work(
            move || {
                let _room = sender.try_send(work()?);
                Ok(())
            },
            move |result| {
                // There is room: nothing else waits for the disk.
                let _gone = done.try_send(result);
            },
        );
        self.until_done().await?;
        let result = result.try_recv();
        Ok(result.expect("it was done, and did not fail"))
    }
}

/// glibc keeps some freed blocks of each small size for the thread that freed them, and each keeps the pages around it
/// from going back. A thread that ends keeps nothing, so the blocks are handed to one. Costs other allocators little.
fn empty_thread_cache() {
    const EACH: usize = 8;
    let sizes = (0..=64).map(|step| step * 16 + 24);
    let blocks: Vec<Vec<u8>> = sizes
        .flat_map(|bytes| (0..EACH).map(move |_| Vec::with_capacity(bytes)))
        .collect();
    let thread = std::thread::Builder::new().stack_size(64 << 10);
    let ended = thread.spawn(move || drop(blocks)).map(|it| it.join());
    if let Err(error) = ended {
        log::debug!("memory.kept error={}", quoted_error(&error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections, sessions, how many slept.
    fn crowd(connections: usize, sessions: usize, slept: u64) -> Crowd {
        Crowd {
            connections,
            sessions,
            slept,
        }
    }

    #[test]
    fn a_crowd_has_left_when_half_of_it_has() {
        for of in [|n| crowd(n, 0, 0), |n| crowd(0, n, 0)] {
            let mut ebb = Ebb::default();
            for (many, now_ms, expected) in [
                (CROWD - 1, 0, None),
                (0, 0, None),
                (1000, 10, None),
                (501, 20, None),
                (500, 30, Some(30 + WAIT_MS)),
                (0, 40, Some(30 + WAIT_MS)),
            ] {
                ebb.note(of(many), now_ms);
                assert_eq!(ebb.due_ms, expected, "{many}");
            }
            assert!(!ebb.is_due(of(3), 29 + WAIT_MS));
            assert!(ebb.is_due(of(3), 30 + WAIT_MS));
            ebb.note(of(0), 5000);
            assert_eq!(ebb.due_ms, None);
        }
    }

    #[test]
    fn it_is_quiet_once_after_each_time_that_something_was_done() {
        let mut ebb = Ebb::default();
        for (has_worked, now_ms, expected, wake_ms) in [
            (false, 0, false, None),
            (true, 10, false, Some(10 + QUIET_MS)),
            (true, 20, false, Some(20 + QUIET_MS)),
            (false, 19 + QUIET_MS, false, Some(20 + QUIET_MS)),
            (false, 20 + QUIET_MS, true, None),
            (false, 9 * QUIET_MS, false, None),
            (true, 10 * QUIET_MS, false, Some(11 * QUIET_MS)),
            (true, 20 * QUIET_MS, false, Some(21 * QUIET_MS)),
        ] {
            assert_eq!(ebb.is_quiet(has_worked, now_ms), expected, "{now_ms}");
            assert_eq!(ebb.wake_ms(), wake_ms, "{now_ms}");
        }
    }

    #[test]
    fn a_crowd_that_fell_asleep_gives_back_what_it_held() {
        let mut ebb = Ebb::default();
        ebb.note(crowd(0, 1000, 999), 0);
        assert_eq!(ebb.due_ms, None);
        ebb.note(crowd(0, 1000, 1000), 10);
        assert!(ebb.is_due(crowd(0, 1000, 1000), 10 + WAIT_MS));
        // Again only when as many slept again; few are no crowd.
        ebb.note(crowd(0, 1000, 1999), 5000);
        assert_eq!(ebb.due_ms, None);
        let few = u64::try_from(SLEEPERS).unwrap() - 1;
        ebb.note(crowd(0, 510, 1000 + few), 6000);
        assert_eq!(ebb.due_ms, None);
        ebb.note(crowd(0, 510, 1001 + few), 6000);
        assert!(ebb.due_ms.is_some());
    }
}
