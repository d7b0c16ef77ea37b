//! All connections whose stream has not ended.
use std::collections::HashMap;

use crate::state::{ConnectionId, give_back_room, resettle};

use super::Connection;

/// Boxed: the table grows by doubling.
#[derive(Default)]
pub struct Connections(HashMap<ConnectionId, Box<Connection>>);

impl Connections {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn get(&self, id: &ConnectionId) -> Option<&Connection> {
        self.0.get(id).map(Box::as_ref)
    }

    pub fn get_mut(&mut self, id: &ConnectionId) -> Option<&mut Connection> {
        self.0.get_mut(id).map(Box::as_mut)
    }

    pub fn insert(&mut self, id: ConnectionId, connection: Connection) {
        self.0.insert(id, Box::new(connection));
    }

    pub fn remove(&mut self, id: &ConnectionId) -> Option<Connection> {
        let connection = self.0.remove(id)?;
        give_back_room(&mut self.0);
        Some(*connection)
    }

    /// Most have left.
    pub fn resettle(&mut self) {
        resettle(&mut self.0);
    }

    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        self.0.iter().map(|(id, connection)| (*id, &**connection))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (ConnectionId, &mut Connection)> {
        self.0
            .iter_mut()
            .map(|(id, connection)| (*id, &mut **connection))
    }
}
