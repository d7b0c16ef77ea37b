//! What the one thread waits for: sockets, points in time, word from other threads. smol runs the tasks; its own reactor
//! would share the waiting with a thread that it starts, and under load every event would go from one to the other. Here
//! a socket is registered once (epoll(7), edge-triggered), and a wake-up within the thread costs no system call.
mod source;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

pub use source::Source;

/// Events taken at once; what is left comes with the next look.
pub const EVENTS_MAX: usize = 256;
/// A task that always has something to do keeps the others from their sockets no longer than this.
const POLLS_PER_TURN: usize = 2;
/// Kernels before 5.11 wait no longer than 24 days; once a day is often enough to look.
const WAIT_MAX: Duration = Duration::from_secs(86_400);
/// Stands for word from another thread.
const NOTIFIED: u64 = u64::MAX;
/// Marks a socket that is watched by number.
const NUMBERED: u64 = 1 << 63;
const READ_EDGES: EventFlags = EventFlags::IN
    .union(EventFlags::RDHUP)
    .union(EventFlags::ET);
const BOTH_EDGES: EventFlags = READ_EDGES.union(EventFlags::OUT);

pub struct Reactor {
    epoll: OwnedFd,
    wakeup: Arc<Wakeup>,
    sources: RefCell<Vec<Slot>>,
    vacant: RefCell<Vec<u32>>,
    /// Who is to be woken when; the number tells those of one moment apart.
    timers: RefCell<BTreeMap<(Instant, u64), Waker>>,
    last_timer: Cell<u64>,
    events: RefCell<Vec<epoll::Event>>,
    /// Events of sockets that are watched by number, and who takes them.
    numbered: RefCell<Vec<(u64, EventFlags)>>,
    taker: RefCell<Option<Waker>>,
    /// How often the sockets were looked at, and who waits for the next time.
    turns: Cell<u64>,
    turn_wakers: RefCell<Vec<Waker>>,
}

/// What is known of one source.
#[derive(Default)]
struct Slot {
    /// Changes with each use of the place, so that events of a source that is gone reach nobody. There are few places, far
    /// from `NUMBERED`.
    generation: u32,
    readable: bool,
    writable: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Wakes the thread: from within by a flag, from without by the kernel.
struct Wakeup {
    thread: ThreadId,
    is_due: AtomicBool,
    event: OwnedFd,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Wakeup>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Wakeup>) {
        let was_due = self.is_due.swap(true, Ordering::SeqCst);
        if !was_due && std::thread::current().id() != self.thread {
            // Full only if the thread has not looked for ages, and then it will.
            let _full = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }
}

impl Reactor {
    /// For the thread that calls it.
    pub fn new() -> io::Result<Rc<Reactor>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &event, EventData::new_u64(NOTIFIED), flags)?;
        Ok(Rc::new(Reactor {
            epoll,
            wakeup: Arc::new(Wakeup {
                thread: std::thread::current().id(),
                is_due: AtomicBool::new(false),
                event,
            }),
            sources: RefCell::default(),
            vacant: RefCell::default(),
            timers: RefCell::default(),
            last_timer: Cell::new(0),
            events: RefCell::new(Vec::with_capacity(EVENTS_MAX)),
            numbered: RefCell::new(Vec::with_capacity(EVENTS_MAX)),
            taker: RefCell::default(),
            turns: Cell::new(0),
            turn_wakers: RefCell::default(),
        }))
    }

    /// Runs a future to its end on this thread.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> io::Result<T> {
        let waker = Waker::from(Arc::clone(&self.wakeup));
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            // Whom an event woke has most often woken the next in line, who need not wait for a look at the sockets.
            for _ in 0..POLLS_PER_TURN {
                self.wakeup.is_due.store(false, Ordering::SeqCst);
                if let Poll::Ready(done) = future.as_mut().poll(&mut cx) {
                    return Ok(done);
                }
                if !self.wakeup.is_due.load(Ordering::SeqCst) {
                    break;
                }
            }
            self.turn()?;
        }
    }

    /// Waits for whatever comes first, unless somebody is awake already, and wakes whom it concerns.
    fn turn(&self) -> io::Result<()> {
        let now = Instant::now();
        let is_due = self.wakeup.is_due.load(Ordering::SeqCst);
        let wait = match is_due || !self.turn_wakers.borrow().is_empty() {
            true => Duration::ZERO,
            false => self.until_timer(now),
        };
        // Rounded up: waking too early would mean looking twice.
        let wait = Duration::from_millis(
            u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX),
        );
        let timeout = Timespec::try_from(wait).map_err(io::Error::other)?;
        let mut events = self.events.borrow_mut();
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.epoll, spare, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                NOTIFIED => {}
                data if data & NUMBERED != 0 => {
                    let event = (data & !NUMBERED, event.flags);
                    self.numbered.borrow_mut().push(event);
                }
                data => self.wake_source(data, event.flags),
            }
        }
        drop(events);
        if !self.numbered.borrow().is_empty()
            && let Some(taker) = self.taker.take()
        {
            taker.wake();
        }
        self.wake_timers();
        self.turns.set(self.turns.get().wrapping_add(1));
        self.turn_wakers.take().into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Until the sockets were looked at once more: for a task that has much to do, and stops for others.
    pub async fn next_turn(&self) {
        let now = self.turns.get();
        std::future::poll_fn(|cx| match self.turns.get() == now {
            true => {
                self.turn_wakers.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }
            false => Poll::Ready(()),
        })
        .await;
    }

    /// Watches a socket by a number below 2^63 of its owner's choice, edge-triggered, until it is closed: whether it can be
    /// read. What was read already when the reactor looks next is not told.
    pub fn watch(&self, socket: impl AsFd, number: u64) -> io::Result<()> {
        let data = EventData::new_u64(NUMBERED | number);
        Ok(epoll::add(&self.epoll, socket, data, READ_EDGES)?)
    }

    /// From now on also whether it can be written to; if it can be now, that is told.
    pub fn watch_writing(&self, socket: impl AsFd, number: u64) -> io::Result<()> {
        let data = EventData::new_u64(NUMBERED | number);
        Ok(epoll::modify(&self.epoll, socket, data, BOTH_EDGES)?)
    }

    /// Waits for events of the sockets that are watched by number, and moves them to `taken`. One task takes them all.
    pub async fn events(&self, taken: &mut Vec<(u64, EventFlags)>) {
        std::future::poll_fn(|cx| {
            taken.append(&mut self.numbered.borrow_mut());
            match taken.is_empty() {
                false => Poll::Ready(()),
                true => {
                    *self.taker.borrow_mut() = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
    }

    fn until_timer(&self, now: Instant) -> Duration {
        let timers = self.timers.borrow();
        let first = timers.first_key_value();
        first.map_or(WAIT_MAX, |((due, _), _)| {
            due.saturating_duration_since(now).min(WAIT_MAX)
        })
    }

    fn wake_source(&self, data: u64, flags: EventFlags) {
        let [place, generation] = halves(data);
        let mut sources = self.sources.borrow_mut();
        let Some(slot) = usize::try_from(place)
            .ok()
            .and_then(|at| sources.get_mut(at))
        else {
            return;
        };
        if slot.generation != generation {
            return;
        }
        let ended = EventFlags::HUP | EventFlags::ERR;
        let mut woken = [None, None];
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | ended) {
            slot.readable = true;
            woken[0] = slot.reader.take();
        }
        if flags.intersects(EventFlags::OUT | ended) {
            slot.writable = true;
            woken[1] = slot.writer.take();
        }
        drop(sources);
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    fn wake_timers(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = Instant::now();
        loop {
            let mut timers = self.timers.borrow_mut();
            match timers.first_entry() {
                Some(first) if first.key().0 <= now => {
                    let waker = first.remove();
                    drop(timers);
                    waker.wake();
                }
                _ => return,
            }
        }
    }

    /// Ends after this time, or a little later.
    pub fn sleep(self: &Rc<Reactor>, time: Duration) -> Sleep {
        Sleep {
            reactor: Rc::clone(self),
            due: Instant::now() + time.min(WAIT_MAX * 365),
            number: None,
        }
    }
}

/// Place and generation of a source, as the kernel hands them back.
fn halves(data: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = data.to_be_bytes();
    [[a, b, c, d], [e, f, g, h]].map(u32::from_be_bytes)
}

/// A point in time.
pub struct Sleep {
    reactor: Rc<Reactor>,
    due: Instant,
    /// Set while it is registered.
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.due {
            return Poll::Ready(());
        }
        let number = self.number.unwrap_or_else(|| {
            self.reactor
                .last_timer
                .set(self.reactor.last_timer.get() + 1);
            self.reactor.last_timer.get()
        });
        self.number = Some(number);
        let mut timers = self.reactor.timers.borrow_mut();
        timers.insert((self.due, number), cx.waker().clone());
        drop(timers);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.reactor.timers.borrow_mut().remove(&(self.due, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use smol::future::FutureExt;

    use super::*;

    #[test]
    fn a_socket_wakes_its_reader_and_its_writer() {
        let reactor = Reactor::new().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        let near = Source::new(&reactor, near).unwrap();
        let far = Source::new(&reactor, far).unwrap();
        let sent = vec![7; 1 << 20];
        let send = async {
            near.write_all(&sent).await.unwrap();
            std::future::pending::<()>().await;
        };
        let mut received = vec![0; sent.len()];
        let receive = async { far.read_exact(&mut received).await.unwrap() };
        reactor.block_on(send.or(receive)).unwrap();
        assert_eq!(received, sent);
        drop(near);
        let ended = reactor.block_on(async { far.read_exact(&mut [0]).await });
        assert!(ended.unwrap().is_err());
    }

    #[test]
    fn places_are_used_again_and_old_events_reach_nobody() {
        let reactor = Reactor::new().unwrap();
        let (first, _far) = UnixStream::pair().unwrap();
        let first = Source::new(&reactor, first).unwrap();
        let old = u64::from(first.place) << 32 | 1;
        let place = first.place;
        drop(first);
        let (second, _other) = UnixStream::pair().unwrap();
        let second = Source::new(&reactor, second).unwrap();
        assert_eq!(second.place, place);
        reactor.wake_source(old, EventFlags::IN);
        assert!(!second.with_slot(|slot| slot.readable));
    }

    #[test]
    fn timers_end_in_their_order_and_leave_nothing() {
        let reactor = Reactor::new().unwrap();
        let seconds = |n| Box::pin(reactor.sleep(Duration::from_secs(n)));
        let mut far = [seconds(300), seconds(100), seconds(200)];
        let mut cx = Context::from_waker(Waker::noop());
        for sleep in &mut far {
            assert!(sleep.as_mut().poll(&mut cx).is_pending());
            assert!(sleep.as_mut().poll(&mut cx).is_pending(), "once each");
        }
        assert_eq!(reactor.timers.borrow().len(), 3);
        let from = Instant::now();
        let [last, first, second] = far;
        assert_eq!(reactor.until_timer(from), first.due - from);
        drop(first);
        assert_eq!(reactor.until_timer(from), second.due - from);
        let near = Duration::from_millis(2);
        reactor.block_on(reactor.sleep(near)).unwrap();
        assert!(from.elapsed() >= near);
        drop((second, last));
        assert!(reactor.timers.borrow().is_empty());
    }

    #[test]
    fn a_task_with_much_to_do_lets_the_others_hear_their_sockets() {
        let reactor = Reactor::new().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        let near = Source::new(&reactor, near).unwrap();
        let far = Source::new(&reactor, far).unwrap();
        let busy = async {
            far.write_all(b"x").await.unwrap();
            loop {
                reactor.next_turn().await;
            }
        };
        let heard = async { near.read_exact(&mut [0]).await.unwrap() };
        reactor.block_on(busy.or(heard)).unwrap();
    }

    #[test]
    fn another_thread_is_heard() {
        let reactor = Reactor::new().unwrap();
        let (tell, told) = smol::channel::bounded(1);
        let (begin, begun) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            begun.recv().unwrap();
            tell.send_blocking(5).unwrap();
        });
        let heard = reactor.block_on(async {
            begin.send(()).unwrap();
            told.recv().await
        });
        assert_eq!(heard.unwrap(), Ok(5));
        thread.join().unwrap();
    }
}
