//! How many connections there are, in all and of each address; whoever is over a limit is not let in.
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use super::inbox::Waiters;
use crate::state::give_back_room;

pub struct Census {
    total: Cell<usize>,
    per_address: RefCell<HashMap<IpAddr, usize>>,
    total_max: usize,
    per_address_max: usize,
    is_closed: Cell<bool>,
    emptied: Waiters,
}

/// One connection's place; given back when dropped.
pub struct Admission {
    census: Rc<Census>,
    address: IpAddr,
}

/// Which limit was reached.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Total,
    Address,
    /// There is no memory for more (`memory_bytes_max`).
    Memory,
}

impl Census {
    pub fn new(total_max: usize, per_address_max: usize) -> Rc<Census> {
        Rc::new(Census {
            total: Cell::new(0),
            per_address: RefCell::default(),
            total_max,
            per_address_max,
            is_closed: Cell::new(false),
            emptied: Waiters::default(),
        })
    }

    pub fn admit(self: &Rc<Census>, address: IpAddr) -> Result<Admission, Refusal> {
        if self.is_closed.get() {
            return Err(Refusal::Memory);
        }
        if self.total.get() >= self.total_max {
            return Err(Refusal::Total);
        }
        let mut per_address = self.per_address.borrow_mut();
        let of_address = per_address.entry(address).or_default();
        if *of_address >= self.per_address_max {
            return Err(Refusal::Address);
        }
        *of_address += 1;
        self.total.set(self.total.get() + 1);
        Ok(Admission {
            census: Rc::clone(self),
            address,
        })
    }

    /// While it is closed, nobody is let in.
    pub fn close(&self, is_closed: bool) {
        self.is_closed.set(is_closed);
    }

    pub fn total(&self) -> usize {
        self.total.get()
    }

    /// Waits until all connections are gone.
    pub async fn emptied(&self) {
        self.emptied.until(|| self.total.get() == 0).await;
    }
}

impl Admission {
    pub fn address(&self) -> IpAddr {
        self.address
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let census = &self.census;
        let mut per_address = census.per_address.borrow_mut();
        if let Some(count) = per_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                per_address.remove(&self.address);
                give_back_room(&mut per_address);
            }
        }
        census.total.set(census.total.get() - 1);
        if census.total.get() == 0 {
            census.emptied.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_given_back() {
        let census = Census::new(3, 2);
        let [a, b] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
        let first = census.admit(a).unwrap();
        let _second = census.admit(a).unwrap();
        assert_eq!(census.admit(a).err(), Some(Refusal::Address));
        let third = census.admit(b).unwrap();
        assert_eq!(census.admit(b).err(), Some(Refusal::Total));
        drop(third);
        assert_eq!(census.per_address.borrow().len(), 1);
        drop(first);
        census.close(true);
        assert_eq!(census.admit(a).err(), Some(Refusal::Memory));
        census.close(false);
        assert!(census.admit(a).is_ok());
    }
}
