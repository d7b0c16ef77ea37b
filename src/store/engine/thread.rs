//! The storage thread: commits are carried out and wait for the disk here, so that the reactor never does.
use std::sync::mpsc;
use std::thread::JoinHandle;

use crate::store::{Flush, StoreError};
use crate::xmpp::quoted_error;

type Work = Box<dyn FnOnce() -> Result<(), StoreError> + Send>;
type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Runs what waits for the disk on the storage thread, one after the other. Dropping it waits until all is through.
pub struct StorageThread {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// What is to be done and who hears of it; whoever drops it undone tells so.
struct Job {
    work: Option<Work>,
    done: Option<Done>,
}

impl StorageThread {
    pub fn start() -> StorageThread {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new()
            .name("storage".to_string())
            .spawn(move || queue.into_iter().for_each(Job::run));
        if let Err(error) = &thread {
            log::error!("store.no_thread error={}", quoted_error(error));
        }
        StorageThread {
            jobs: Some(jobs),
            thread: thread.ok(),
        }
    }

    /// Waits until all is through and goes on with a new thread, for what the old one's allocator kept. Where the system
    /// has none to give, the old one stays.
    pub fn renew(&mut self) {
        let new = StorageThread::start();
        if new.thread.is_some() {
            *self = new;
        }
    }

    /// Makes a commit durable; `done` is called on the thread with the result, in any case, also if the thread is gone.
    pub fn run(&self, flush: Flush, done: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        self.work(|| flush.run(), done);
    }

    /// The same for anything that waits for the disk.
    pub fn work(
        &self,
        work: impl FnOnce() -> Result<(), StoreError> + Send + 'static,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        let job = Job {
            work: Some(Box::new(work)),
            done: Some(Box::new(done)),
        };
        if let Some(jobs) = &self.jobs {
            // A job that cannot be sent is dropped, and says so.
            let _ = jobs.send(job);
        }
    }
}

impl Job {
    fn run(mut self) {
        let result = self.work.take().map_or(Ok(()), |work| work());
        if let Some(done) = self.done.take() {
            done(result);
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(Err(StoreError::Io("the storage thread ended".to_string())));
        }
    }
}

impl Drop for StorageThread {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It ended by a panic: each job's `done` has told.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use crate::store::Store;
    use crate::xmpp::Timestamp;

    use super::*;

    fn commit(store: &Store) -> Flush {
        let mut tx = store.begin();
        tx.set_last_activity(
            crate::store::AccountId(1),
            &crate::store::LastActivity {
                at: Timestamp(1),
                status: String::new(),
            },
        )
        .unwrap();
        tx.finish().unwrap().begin().unwrap()
    }

    #[test]
    fn commits_and_tells() {
        let store = Store::open_backend(InMemoryBackend::new(), 1 << 16).unwrap();
        let thread = StorageThread::start();
        let (tell, told) = mpsc::channel();
        for _ in 0..3 {
            let tell = tell.clone();
            thread.run(commit(&store), move |result| {
                tell.send(result.is_ok()).unwrap();
            });
            assert!(told.recv().unwrap());
        }
    }

    #[test]
    fn a_new_thread_goes_on_when_the_old_one_is_through() {
        let store = Store::open_backend(InMemoryBackend::new(), 1 << 16).unwrap();
        let mut thread = StorageThread::start();
        let (tell, told) = mpsc::channel();
        for number in 0..3 {
            let tell = tell.clone();
            thread.run(commit(&store), move |result| {
                tell.send((number, result.is_ok())).unwrap();
            });
            thread.renew();
            assert_eq!(told.try_recv(), Ok((number, true)));
        }
    }

    #[test]
    fn a_dead_thread_is_told() {
        let store = Store::open_backend(InMemoryBackend::new(), 1 << 16).unwrap();
        let thread = StorageThread {
            jobs: Some(mpsc::channel().0),
            thread: None,
        };
        let (tell, told) = mpsc::channel();
        thread.run(commit(&store), move |result| {
            tell.send(result.is_err()).unwrap();
        });
        assert!(told.recv().unwrap());
    }
}
