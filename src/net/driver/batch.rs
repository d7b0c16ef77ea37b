//! What one batch gathers for the shell to do.
use std::ops::Range;
use std::rc::Rc;

use crate::net::connection::Connection;
use crate::state::{ConnectionId, Outbox};

/// What one batch gathers; its allocations are used again.
#[derive(Default)]
pub struct Batch {
    pub out: Outbox,
    /// Plain connections read on only after the outputs: `StartTls` decides how the next bytes are read.
    pub held: Vec<Rc<Connection>>,
    /// Other connections whose chunks were stepped.
    pub stepped: Vec<Rc<Connection>>,
    /// What TLS has to say to them leaves with the outputs, or behind them.
    pub flights: Vec<ConnectionId>,
    pub gone: Vec<ConnectionId>,
    /// They go without a delay.
    pub displaced: Vec<ConnectionId>,
    pub exit: bool,
}

/// What is to be done to a connection.
pub enum Action {
    Send(Range<usize>),
    StartTls,
    ReportDrained,
    Close,
}
