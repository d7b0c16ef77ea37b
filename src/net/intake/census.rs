//! How many connections there are, in all and of each network; who is over a limit is not let in. Those who have not logged
//! in yet are strangers: when there is no room, the oldest stranger of the network with most of them makes some.
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use super::inbox::Waiters;
use crate::state::{ConnectionId, Network, give_back_room};

pub struct Census {
    total_max: usize,
    per_network_max: usize,
    counted: RefCell<Counted>,
    is_closed: Cell<bool>,
    emptied: Waiters,
}

#[derive(Default)]
struct Counted {
    last: u64,
    total: usize,
    networks: HashMap<Network, Members>,
    /// Networks by the number of their strangers.
    greediest: BTreeSet<(usize, Network)>,
    /// They were told to go, and are counted no more.
    displaced: BTreeSet<ConnectionId>,
}

/// The connections of one network.
#[derive(Default)]
struct Members {
    total: usize,
    /// Oldest first.
    strangers: BTreeSet<ConnectionId>,
}

/// One connection's place; given back when dropped.
pub struct Admission {
    census: Rc<Census>,
    id: ConnectionId,
    address: IpAddr,
}

/// Who is let in, and who has to go for it.
pub struct Admitted {
    pub admission: Admission,
    pub displaced: Option<ConnectionId>,
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
    pub fn new(total_max: usize, per_network_max: usize) -> Rc<Census> {
        Rc::new(Census {
            total_max,
            per_network_max,
            counted: RefCell::default(),
            is_closed: Cell::new(false),
            emptied: Waiters::default(),
        })
    }

    pub fn admit(self: &Rc<Census>, address: IpAddr) -> Result<Admitted, Refusal> {
        if self.is_closed.get() {
            return Err(Refusal::Memory);
        }
        let network = Network::from(address);
        let mut counted = self.counted.borrow_mut();
        let of_network = counted
            .networks
            .get(&network)
            .map_or(0, |known| known.total);
        let mut displaced = None;
        if of_network >= self.per_network_max {
            displaced = Some(counted.oldest_of(network).ok_or(Refusal::Address)?);
        } else if counted.total >= self.total_max {
            displaced = Some(counted.oldest_of_greediest(network).ok_or(Refusal::Total)?);
        }
        if let Some((id, network)) = displaced {
            counted.remove(id, network);
            counted.displaced.insert(id);
        }
        let id = counted.add(network);
        drop(counted);
        Ok(Admitted {
            admission: Admission {
                census: Rc::clone(self),
                id,
                address,
            },
            displaced: displaced.map(|(id, _)| id),
        })
    }

    /// While it is closed, nobody is let in.
    pub fn close(&self, is_closed: bool) {
        self.is_closed.set(is_closed);
    }

    pub fn total(&self) -> usize {
        self.counted.borrow().total
    }

    /// Waits until all connections are gone.
    pub async fn emptied(&self) {
        self.emptied.until(|| self.total() == 0).await;
    }
}

impl Counted {
    fn add(&mut self, network: Network) -> ConnectionId {
        self.last += 1;
        let id = ConnectionId(self.last);
        self.total += 1;
        self.change(network, |known| {
            known.total += 1;
            known.strangers.insert(id);
        });
        id
    }

    fn remove(&mut self, id: ConnectionId, network: Network) {
        if self.displaced.remove(&id) {
            return;
        }
        self.total -= 1;
        self.change(network, |known| {
            known.total -= 1;
            known.strangers.remove(&id);
        });
    }

    fn change(&mut self, network: Network, change: impl FnOnce(&mut Members)) {
        let known = self.networks.entry(network).or_default();
        let before = known.strangers.len();
        change(known);
        let (after, is_gone) = (known.strangers.len(), known.total == 0);
        if is_gone {
            self.networks.remove(&network);
            give_back_room(&mut self.networks);
        }
        if before != after {
            self.greediest.remove(&(before, network));
            if after > 0 {
                self.greediest.insert((after, network));
            }
        }
    }

    fn oldest_of(&self, network: Network) -> Option<(ConnectionId, Network)> {
        let oldest = self.networks.get(&network)?.strangers.first()?;
        Some((*oldest, network))
    }

    /// `network` has one more who wants to come in: if it has most already, its own oldest makes room. Of networks that
    /// have as many, the one whose oldest is the oldest.
    fn oldest_of_greediest(&self, network: Network) -> Option<(ConnectionId, Network)> {
        /// Networks of the same number that are compared.
        const COMPARED_MAX: usize = 64;
        let (most, _) = self.greediest.last()?;
        if let Some((id, own)) = self.oldest_of(network)
            && self.networks.get(&network)?.strangers.len() == *most
        {
            return Some((id, own));
        }
        let as_many = self.greediest.iter().rev().take(COMPARED_MAX);
        let as_many = as_many.take_while(|(count, _)| count == most);
        as_many
            .filter_map(|(_, network)| self.oldest_of(*network))
            .min()
    }
}

impl Admission {
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// It is no stranger any more.
    pub fn logged_in(&self) {
        let mut counted = self.census.counted.borrow_mut();
        // Too late to make room: members stay.
        let again = usize::from(counted.displaced.remove(&self.id));
        counted.total += again;
        counted.change(self.address.into(), |known| {
            known.total += again;
            known.strangers.remove(&self.id);
        });
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counted = self.census.counted.borrow_mut();
        counted.remove(self.id, self.address.into());
        if counted.total == 0 {
            drop(counted);
            self.census.emptied.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn enter(census: &Rc<Census>, address: IpAddr) -> Result<Admission, Refusal> {
        census.admit(address).map(|admitted| {
            assert_eq!(admitted.displaced, None);
            admitted.admission
        })
    }

    #[test]
    fn places_are_limited_and_given_back() {
        let census = Census::new(3, 2);
        let [a, b] = [v4(1), v4(2)];
        let [first, second] = [(); 2].map(|()| enter(&census, a).unwrap());
        first.logged_in();
        second.logged_in();
        assert_eq!(enter(&census, a).err(), Some(Refusal::Address));
        let third = enter(&census, b).unwrap();
        third.logged_in();
        assert_eq!(enter(&census, b).err(), Some(Refusal::Total));
        drop(third);
        assert_eq!(census.counted.borrow().networks.len(), 1);
        drop(first);
        census.close(true);
        assert_eq!(enter(&census, a).err(), Some(Refusal::Memory));
        census.close(false);
        assert!(enter(&census, a).is_ok());
        drop(second);
        assert_eq!(census.total(), 0);
        let counted = census.counted.borrow();
        assert!(counted.networks.is_empty() && counted.greediest.is_empty());
    }

    #[test]
    fn the_oldest_of_the_greediest_makes_room_and_no_member_does() {
        let census = Census::new(6, 100);
        let member = enter(&census, v4(1)).unwrap();
        member.logged_in();
        let crowd: Vec<_> = (0..4).map(|_| enter(&census, v4(1)).unwrap()).collect();
        let other = enter(&census, v4(2)).unwrap();
        let expected = crowd.iter().map(|one| one.id);
        let mut come = Vec::new();
        for (from, gone) in [v4(2), v4(1), v4(3)].into_iter().zip(expected) {
            let admitted = census.admit(from).unwrap();
            assert_eq!(admitted.displaced, Some(gone));
            assert_eq!(census.total(), 6);
            come.push(admitted.admission);
        }
        // Those who were told to go give back nothing when they do.
        drop(crowd);
        assert_eq!(census.total(), 6 - 1);
        let again = enter(&census, v4(3)).unwrap();
        // Two networks with two each: the oldest of all, but of the newcomer's own network if that is one of them.
        let admitted = census.admit(v4(4)).unwrap();
        assert_eq!(admitted.displaced, Some(other.id));
        come.iter()
            .chain([&again, &admitted.admission])
            .for_each(Admission::logged_in);
        assert_eq!(census.admit(v4(5)).err().unwrap(), Refusal::Total);
        drop((member, come, other, again, admitted));
        assert_eq!(census.total(), 0);
        assert!(census.counted.borrow().displaced.is_empty());
    }

    #[test]
    fn who_logs_in_while_asked_to_go_stays() {
        let census = Census::new(1, 100);
        let first = enter(&census, v4(1)).unwrap();
        let second = census.admit(v4(2)).unwrap();
        assert_eq!(second.displaced, Some(first.id));
        first.logged_in();
        assert_eq!(census.total(), 2);
        drop((first, second));
        assert_eq!(census.total(), 0);
        assert!(census.counted.borrow().networks.is_empty());
    }

    #[test]
    fn half_an_address_is_one_network() {
        let [one, near, far] = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"]
            .map(|text| Network::from(text.parse::<IpAddr>().unwrap()));
        assert!(one == near && one != far);
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(Network::from(mapped), Network::from(v4(1)));
        let census = Census::new(100, 1);
        let admitted = enter(&census, "2001:db8::1".parse().unwrap()).unwrap();
        let second = census.admit("2001:db8::2".parse().unwrap()).unwrap();
        assert_eq!(second.displaced, Some(admitted.id));
    }
}
