//! Who waits to be read: strangers, in rounds of their networks and for so long at a time that members are heard in between;
//! and those who rest.
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::inbox::Waiters;
use super::rounds::Rounds;
use crate::net::connection::Connection;
use crate::net::shell::Shell;
use crate::state::ConnectionId;
use crate::state::Network;

/// How long strangers are read before the sockets of all are looked at again.
const SLICE: Duration = Duration::from_millis(2);

/// Connections whose turn to be read comes.
#[derive(Default)]
pub struct Line {
    waiting: RefCell<Rounds<Network, Rc<Connection>>>,
    joined: Waiters,
}

impl Line {
    pub fn push(&self, connection: Rc<Connection>) {
        let network = connection.address().into();
        self.waiting.borrow_mut().push(network, connection);
        self.joined.wake();
    }

    fn pop(&self) -> Option<Rc<Connection>> {
        self.waiting.borrow_mut().pop()
    }

    async fn some(&self) {
        self.joined
            .until(|| !self.waiting.borrow().is_empty())
            .await;
    }
}

/// Lets those in line read, for ever.
pub async fn attend(shell: Rc<Shell>) {
    loop {
        shell.line.some().await;
        let start = Instant::now();
        while let Some(connection) = shell.line.pop() {
            connection.take_turn(&shell);
            if start.elapsed() >= SLICE {
                break;
            }
        }
        shell.reactor.next_turn().await;
    }
}

/// Connections that are not read before some moment (`Clock::monotonic_ms`).
#[derive(Default)]
pub struct Resting(RefCell<BTreeMap<(u64, ConnectionId), Rc<Connection>>>);

impl Resting {
    pub fn add(&self, due_ms: u64, connection: Rc<Connection>) {
        self.0
            .borrow_mut()
            .insert((due_ms, connection.id), connection);
    }

    pub fn due_ms(&self) -> Option<u64> {
        self.0
            .borrow()
            .first_key_value()
            .map(|((due_ms, _), _)| *due_ms)
    }

    pub fn take_due(&self, now_ms: u64) -> Option<Rc<Connection>> {
        let mut resting = self.0.borrow_mut();
        let first = resting.first_entry()?;
        (first.key().0 <= now_ms).then(|| first.remove())
    }
}
