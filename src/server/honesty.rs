//! Nothing is told that is not durable yet. What a step came upon that is still on its way to the disk, everything it sends
//! waits for; and what is sent later to whoever did it, or to the account it was done to, waits as long, for memory tells of
//! it too: acknowledgements count it, queues hold it. Everybody else is answered at once.
use crate::state::{ConnectionId, Output};
use crate::store::Epoch;

use super::{Server, Step};

impl Server {
    /// Ends a step that `connection` asked for.
    pub(super) fn hold(&self, step: &mut Step<'_>, connection: Option<ConnectionId>) {
        let fresh = step.tx.fresh();
        if fresh.is_clean() {
            return step.out.join_step();
        }
        let met = fresh.take_met();
        if let Some(id) = connection {
            fresh.mark_connection(id.0, met);
            if let Some(account) = self.account_at(id) {
                fresh.mark_account(account, met);
            }
        }
        let (latest, durable) = (fresh.latest(), fresh.durable());
        step.out.hold_step(|output| {
            let until = match output {
                Output::Hash { .. } | Output::Cancel { .. } | Output::LoggedIn { .. } => {
                    return Epoch::default();
                }
                Output::CommandDone { .. } => met,
                Output::Exit => latest,
                Output::Send { connection, .. }
                | Output::StartTls { connection }
                | Output::ReportDrained { connection }
                | Output::Close { connection } => {
                    let account = || self.account_at(*connection);
                    let of_account = || account().map(|account| fresh.of_account(account));
                    match met >= latest {
                        true => met,
                        false => met
                            .max(fresh.of_connection(connection.0))
                            .max(of_account().unwrap_or_default()),
                    }
                }
            };
            // What is sent to it later stays behind this.
            if let Some(id) = output.connection().filter(|_| until > durable) {
                fresh.mark_connection(id.0, until);
            }
            until
        });
    }

    fn account_at(&self, connection: ConnectionId) -> Option<u32> {
        let connection = self.connections.get(&connection)?;
        let session = connection
            .session
            .and_then(|id| self.state.sessions.get(id));
        let of_login = connection.right.as_ref().map(|right| right.account);
        session.map(|session| session.account.0).or(of_login)
    }
}
