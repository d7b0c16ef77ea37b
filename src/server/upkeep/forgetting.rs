//! XEP-0494 §6: what is known of clients is kept no longer than the operator wants.
use crate::state::is_from_unset_clock;
use crate::store::{AccountId, ClientKey, StoreError};

use crate::server::{Server, Step};

/// Time between looks at all clients.
const LOOK_EVERY_MS: u64 = 86_400_000;
/// Clients looked at in one step.
const STEP_ROWS_MAX: usize = 200;

/// How far the look at all clients has come.
#[derive(Default)]
pub struct Forgetting {
    /// When it goes on.
    due_ms: u64,
    last: Option<(AccountId, ClientKey)>,
}

impl Server {
    /// One small step; clients that were not seen for too long are forgotten, and their tokens end. True: there is more.
    pub(super) fn forget_clients(&mut self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        let Some(days) = self.state.settings.clients_days_max else {
            return Ok(false);
        };
        if step.now.monotonic_ms < self.forgetting.due_ms {
            return Ok(false);
        }
        let rows = step
            .tx
            .clients_behind(self.forgetting.last.as_ref(), STEP_ROWS_MAX)?;
        let more = rows.len() == STEP_ROWS_MAX;
        self.forgetting = match rows.last().filter(|_| more) {
            Some((account, key, _)) => Forgetting {
                due_ms: step.now.monotonic_ms,
                last: Some((*account, key.clone())),
            },
            None => Forgetting {
                due_ms: step.now.monotonic_ms + LOOK_EVERY_MS,
                last: None,
            },
        };
        let now = step.now.sure;
        let before = now.days_before(days);
        for (account, key, mut client) in rows {
            if client.last_seen >= before {
                continue;
            }
            if is_from_unset_clock(client.last_seen, now) || self.is_connected(account, &key) {
                client.last_seen = now;
                step.tx.set_client(account, &key, &client)?;
            } else {
                step.tx.forget_client(account, &key)?;
            }
        }
        Ok(more)
    }

    fn is_connected(&self, account: AccountId, key: &ClientKey) -> bool {
        let mut sessions = self.state.sessions.all();
        sessions.any(|session| session.account == account && self.state.client_key(session) == *key)
    }
}
