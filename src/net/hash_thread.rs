//! PBKDF2 off the reactor thread: one worker. Operators come first; then turns go round by network, within a network by
//! account, so that a crowd keeps nobody else waiting. In a crowd of one network the newest comes first: whoever came
//! before may wait no longer for it than all of them take, and who is no part of it hardly waits. Bounded: when there is no
//! room, the oldest of the largest crowd is refused, and may try again.
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use smol::channel::Sender;

use crate::state::Network;
use crate::state::{Applicant, HashJob, Hashed, JobId};
use crate::stream::sasl;

/// Jobs that wait, but operators'. A second or two of a large machine, half a minute of a small board.
const JOBS_MAX: usize = 1000;
/// Of these, of one account from one network.
const OF_ACCOUNT_MAX: usize = 32;
/// More of one network are a crowd.
const CROWD: usize = 16;

pub struct HashThread {
    shared: Arc<Shared>,
    results: Sender<(JobId, Hashed)>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    some: Condvar,
}

impl HashThread {
    /// Results go to `results`, where the reactor thread waits for them.
    pub fn start(results: Sender<(JobId, Hashed)>) -> io::Result<HashThread> {
        let shared = Arc::<Shared>::default();
        let (own, told) = (Arc::clone(&shared), results.clone());
        std::thread::Builder::new()
            .name("hash".into())
            .spawn(move || {
                loop {
                    let (job, work) = own.next();
                    // A full or closed channel is impossible or the end of the process.
                    if told.send_blocking((job, hash(work))).is_err() {
                        return;
                    }
                }
            })?;
        Ok(HashThread { shared, results })
    }

    pub fn run(&self, job: JobId, work: HashJob, applicant: Applicant) {
        let refused = self.shared.lock().push(job, work, applicant);
        self.shared.some.notify_one();
        if let Some(job) = refused {
            // The channel has no bound.
            let _gone = self.results.try_send((job, Hashed::Refused));
        }
    }

    /// Nobody waits for it any more.
    pub fn cancel(&self, job: JobId) {
        self.shared.lock().remove(job);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing that holds it can panic half-way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> (JobId, HashJob) {
        let mut queue = self.lock();
        loop {
            if let Some(next) = queue.pop() {
                return next;
            }
            queue = self
                .some
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Who takes turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Group {
    Network(Network),
    /// Somebody who is logged in.
    Member(u64),
}

struct Waiting {
    job: JobId,
    work: HashJob,
    group: Group,
    account: u64,
}

#[derive(Default)]
struct Queue {
    operators: VecDeque<(JobId, HashJob)>,
    /// In the order they came.
    jobs: Vec<Waiting>,
    /// When those who wait had their last turn; `None`: the group's.
    turns: HashMap<(Group, Option<u64>), u64>,
    turn: u64,
}

impl Queue {
    /// Who is refused, if anybody: the oldest of the group with most, or this one.
    fn push(&mut self, job: JobId, work: HashJob, applicant: Applicant) -> Option<JobId> {
        let (group, account) = match applicant {
            Applicant::Operator => {
                self.operators.push_back((job, work));
                return None;
            }
            Applicant::Stranger { address, account } => (Group::Network(address.into()), account),
            Applicant::Member { account } => (Group::Member(account), account),
        };
        let of_account = |one: &&Waiting| one.group == group && one.account == account;
        if self.jobs.iter().filter(of_account).count() >= OF_ACCOUNT_MAX {
            return Some(job);
        }
        let mut refused = None;
        if self.jobs.len() >= JOBS_MAX {
            let Some(greedy) = self.oldest_of_greediest(group) else {
                return Some(job);
            };
            refused = Some(greedy);
            self.remove(greedy);
        }
        self.jobs.push(Waiting {
            job,
            work,
            group,
            account,
        });
        // Behind those who wait already, but before whoever had the last turn.
        let turn = self.turn.saturating_sub(1);
        for key in [(group, None), (group, Some(account))] {
            self.turns.entry(key).or_insert(turn);
        }
        refused
    }

    /// Of a group that has at least as many as this one will have.
    fn oldest_of_greediest(&self, group: Group) -> Option<JobId> {
        let mut counts: HashMap<Group, usize> = HashMap::new();
        for waiting in &self.jobs {
            *counts.entry(waiting.group).or_default() += 1;
        }
        let own = counts.get(&group).copied().unwrap_or(0) + 1;
        let (greediest, _) = counts
            .into_iter()
            .max_by_key(|(other, count)| (*count, *other == group))
            .filter(|(other, count)| *other == group || *count >= own)?;
        let oldest = self.jobs.iter().find(|waiting| waiting.group == greediest);
        oldest.map(|waiting| waiting.job)
    }

    fn pop(&mut self) -> Option<(JobId, HashJob)> {
        if let Some(next) = self.operators.pop_front() {
            return Some(next);
        }
        let turn = |key| self.turns.get(&key).copied().unwrap_or(0);
        let groups = self.jobs.iter().map(|waiting| waiting.group);
        let group = groups.min_by_key(|group| turn((*group, None)))?;
        let own = || {
            let all = self.jobs.iter().enumerate();
            all.filter(|(_, waiting)| waiting.group == group)
        };
        let at = match own().count() > CROWD {
            false => own().min_by_key(|(at, waiting)| (turn((group, Some(waiting.account))), *at)),
            true => {
                let mut counts: HashMap<u64, usize> = HashMap::new();
                for (_, waiting) in own() {
                    *counts.entry(waiting.account).or_default() += 1;
                }
                own().min_by_key(|(at, waiting)| (counts.get(&waiting.account), Reverse(*at)))
            }
        };
        let at = at.map(|(at, _)| at)?;
        let next = self.jobs.remove(at);
        self.turn += 2;
        for account in [None, Some(next.account)] {
            self.turns.insert((next.group, account), self.turn);
        }
        self.forget(next.group, next.account);
        Some((next.job, next.work))
    }

    fn remove(&mut self, job: JobId) {
        if let Some(at) = self.jobs.iter().position(|waiting| waiting.job == job) {
            let Waiting { group, account, .. } = self.jobs.remove(at);
            self.forget(group, account);
        }
    }

    /// Forgets the turns of those who do not wait any more.
    fn forget(&mut self, group: Group, account: u64) {
        let waits = |same: &dyn Fn(&Waiting) -> bool| self.jobs.iter().any(same);
        let has_group = waits(&|one| one.group == group);
        let has_account = waits(&|one| one.group == group && one.account == account);
        if !has_account {
            self.turns.remove(&(group, Some(account)));
        }
        if !has_group {
            self.turns.remove(&(group, None));
        }
        if self.jobs.is_empty() {
            // A crowd is over.
            (self.jobs, self.turns) = Default::default();
        }
    }
}

/// Does one job (RFC 5802 §3).
pub fn hash(work: HashJob) -> Hashed {
    match work {
        HashJob::Compare {
            password,
            hash,
            salt,
            iterations,
        } => Hashed::Compare(sasl::derive(&password, &salt, iterations, hash)),
        HashJob::New {
            password,
            salt,
            iterations,
        } => Hashed::New(sasl::new_credentials(&password, salt, iterations)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> HashJob {
        HashJob::New {
            password: "x".into(),
            salt: [0; 16],
            iterations: 1,
        }
    }

    fn stranger(network: u8, account: u64) -> Applicant {
        Applicant::Stranger {
            address: [10, 0, 0, network].into(),
            account,
        }
    }

    fn jobs(queue: &mut Queue, most: usize) -> Vec<u64> {
        let next = std::iter::from_fn(|| queue.pop());
        next.take(most).map(|(job, _)| job.0).collect()
    }

    #[test]
    fn turns_go_round_by_network_and_account() {
        let mut queue = Queue::default();
        for n in 0..10 {
            assert_eq!(queue.push(JobId(n), work(), stranger(1, n % 5)), None);
        }
        assert_eq!(jobs(&mut queue, 1), [0]);
        queue.push(JobId(200), work(), stranger(2, 7));
        queue.push(JobId(201), work(), stranger(2, 7));
        queue.push(JobId(202), work(), Applicant::Member { account: 3 });
        queue.push(JobId(300), work(), Applicant::Operator);
        assert_eq!(jobs(&mut queue, 6), [300, 200, 202, 1, 201, 2]);
        assert_eq!(jobs(&mut queue, 100), [3, 4, 5, 6, 7, 8, 9]);
        assert!(queue.turns.is_empty());
    }

    #[test]
    fn in_a_crowd_the_newest_of_those_who_ask_once_comes_first() {
        let mut queue = Queue::default();
        let guesses = |queue: &mut Queue, from: u64| {
            (from..from + 100).for_each(|n| {
                queue.push(JobId(n), work(), stranger(1, n));
            });
            (from + 100..from + 120).for_each(|n| {
                queue.push(JobId(n), work(), stranger(1, 1));
            });
        };
        guesses(&mut queue, 1000);
        queue.push(JobId(1), work(), stranger(1, 7));
        queue.push(JobId(2), work(), stranger(2, 8));
        let next = jobs(&mut queue, 2);
        assert!(next.contains(&1) && next.contains(&2), "{next:?}");
        let rest = jobs(&mut queue, 1000);
        assert!(rest.len() == 120 && rest.first() == Some(&1099), "{rest:?}");
    }

    #[test]
    fn a_full_queue_refuses_the_oldest_of_the_greediest() {
        let mut queue = Queue::default();
        let full = u64::try_from(JOBS_MAX).unwrap();
        (0..full).for_each(|n| assert_eq!(queue.push(JobId(n), work(), stranger(1, n)), None));
        let refused = queue.push(JobId(5000), work(), stranger(1, 5000));
        assert_eq!(refused, Some(JobId(0)));
        let refused = queue.push(JobId(6000), work(), stranger(2, 1));
        assert_eq!(refused, Some(JobId(1)));
        assert_eq!(queue.push(JobId(7000), work(), Applicant::Operator), None);
        assert_eq!(jobs(&mut queue, 3), [7000, 5000, 6000]);
        assert_eq!(queue.jobs.len(), JOBS_MAX - 2);
    }

    #[test]
    fn one_account_has_so_many_and_what_is_cancelled_is_gone() {
        let mut queue = Queue::default();
        let most = u64::try_from(OF_ACCOUNT_MAX).unwrap();
        (0..most).for_each(|n| assert_eq!(queue.push(JobId(n), work(), stranger(1, 1)), None));
        let refused = queue.push(JobId(most), work(), stranger(1, 1));
        assert_eq!(refused, Some(JobId(most)));
        assert_eq!(queue.push(JobId(100), work(), stranger(2, 1)), None);
        (1..most).for_each(|n| queue.remove(JobId(n)));
        assert_eq!(jobs(&mut queue, 9), [0, 100]);
    }
}
