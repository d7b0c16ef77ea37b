//! What the shell hands to a step.
use std::net::IpAddr;

use super::operator::command::Command;
use crate::state::{ConnectionId, Hashed, JobId};
use crate::stream::{Framing, TlsFacts};

pub enum Input<'a> {
    /// A connection was accepted.
    Opened {
        connection: ConnectionId,
        address: IpAddr,
        port: Port,
        framing: Framing,
    },
    /// The TLS handshake is complete, or (`facts.early`) as far as it has to be for early data (RFC 8446 §2.3).
    Secured {
        connection: ConnectionId,
        facts: TlsFacts,
    },
    /// The TLS handshake is complete whose early data came before.
    HandshakeDone {
        connection: ConnectionId,
    },
    /// Bytes as they came, in plain text.
    Bytes {
        connection: ConnectionId,
        bytes: &'a [u8],
    },
    /// The answer to `Output::ReportDrained`.
    Drained {
        connection: ConnectionId,
    },
    /// The peer takes what is sent to it, though it says nothing.
    Alive {
        connection: ConnectionId,
    },
    /// The connection is gone (end of file, reset, TLS failure, send queue over its limit).
    Closed {
        connection: ConnectionId,
    },
    /// It has to make room for another that is to be let in.
    Displaced {
        connection: ConnectionId,
    },
    Hashed {
        job: JobId,
        result: Hashed,
    },
    Command {
        job: JobId,
        command: Command,
    },
    /// Free and total bytes of the disk, sampled now and then.
    Disk {
        free_bytes: u64,
        total_bytes: u64,
    },
    /// Time to look at the memory budget: what the shell holds beside the core.
    Memory {
        outside_bytes: usize,
    },
    /// It is over still, by so much, though nobody is left who does not read.
    MemoryOver {
        bytes: usize,
    },
    /// The time asked for by `Server::next_wake_ms` has come.
    Tick,
    /// Close all streams with `system-shutdown`, then `Output::Exit`.
    Shutdown,
}

impl Input<'_> {
    /// The connection or the operator's command that waits for what comes of it.
    pub(super) fn concerns(&self) -> (Option<ConnectionId>, Option<JobId>) {
        match self {
            Input::HandshakeDone { connection }
            | Input::Bytes { connection, .. }
            | Input::Drained { connection } => (Some(*connection), None),
            Input::Command { job, .. } => (None, Some(*job)),
            _ => (None, None),
        }
    }
}

/// What is spoken where a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// By clients, who start TLS.
    Clients,
    /// By clients, with TLS first (XEP-0368): the handshake runs already, `Secured` follows.
    ClientsTls,
    /// By components (XEP-0114).
    Components,
}
