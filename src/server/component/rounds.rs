//! What all accounts are told when a component comes or goes, a few at a time: their rosters have to be read for that, and
//! others are not to wait for thousands of them.
use crate::server::route::presence::component_presence::{came_for, went_for};
use crate::server::timers::Timer;
use crate::server::{Server, Step};
use crate::state::ComponentId;
use crate::store::StoreError;
use crate::xmpp::BareJid;

/// Accounts that have their turn in one step; fewer where so many bytes are sent by it.
const ACCOUNTS_MAX: usize = 32;
const BYTES_MAX: usize = 64 << 10;
/// Until the next step.
const REST_MS: u64 = 1;

/// One for each component at most.
#[derive(Default)]
pub struct Rounds(Vec<Round>);

struct Round {
    component: ComponentId,
    /// It came; else it went.
    came: bool,
    left: Vec<Visit>,
}

struct Visit {
    account: BareJid,
    /// It was not told yet that the component had gone before.
    untold: bool,
}

impl Server {
    /// Accounts with available sessions, each in its turn. What a round before this one did not come to is told first.
    pub(super) fn begin_round(
        &mut self,
        step: &mut Step<'_>,
        component: ComponentId,
        came: bool,
    ) -> Result<(), StoreError> {
        let rounds = &mut self.rounds.0;
        let before = rounds.extract_if(.., |round| round.component == component);
        let mut untold: Vec<BareJid> = Vec::new();
        for round in before {
            let visits = round.left.into_iter();
            let untold_of = visits.filter(|visit| visit.untold || !round.came);
            untold.extend(untold_of.map(|visit| visit.account));
        }
        untold.sort_unstable();
        let accounts = self.state.sessions.available_accounts();
        let left = accounts.map(|account| Visit {
            untold: untold.binary_search(account).is_ok(),
            account: account.clone(),
        });
        let left = left.collect();
        rounds.push(Round {
            component,
            came,
            left,
        });
        self.go_round(step)
    }

    /// The next few, of whichever component.
    pub(in crate::server) fn go_round(&mut self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let queued = step.out.queued_bytes;
        for _ in 0..ACCOUNTS_MAX {
            if step.out.queued_bytes - queued >= BYTES_MAX {
                break;
            }
            let Some(round) = self.rounds.0.first_mut() else {
                return Ok(());
            };
            let (component, came) = (round.component, round.came);
            let Some(visit) = round.left.pop() else {
                self.rounds.0.remove(0);
                continue;
            };
            let mut cx = self.cx(step);
            if !came || visit.untold {
                went_for(&mut cx, component, &visit.account)?;
            }
            if came {
                came_for(&mut cx, component, &visit.account)?;
            }
        }
        if !self.rounds.0.is_empty() {
            let at_ms = step.now.monotonic_ms + REST_MS;
            self.timers.set(at_ms, Timer::Rounds);
        }
        Ok(())
    }
}
