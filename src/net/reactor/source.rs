//! A socket and who waits for it.
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::task::Poll;

use rustix::event::epoll::{self, EventData};

use super::{BOTH_EDGES, Reactor, Slot};

/// A socket that does not block, and who waits for it: one task for reading, one for writing.
pub struct Source<T: AsFd> {
    // Closed after it is taken out of the epoll instance, which closing would do by itself: other descriptors of the same
    // socket do not exist.
    io: T,
    reactor: Rc<Reactor>,
    pub(super) place: u32,
}

impl<T: AsFd> Source<T> {
    /// Sets it not to block.
    pub fn new(reactor: &Rc<Reactor>, io: T) -> io::Result<Source<T>> {
        rustix::io::ioctl_fionbio(&io, true)?;
        Source::adopt(reactor, io)
    }

    /// It does not block already.
    pub fn adopt(reactor: &Rc<Reactor>, io: T) -> io::Result<Source<T>> {
        let mut sources = reactor.sources.borrow_mut();
        let place = match reactor.vacant.borrow_mut().pop() {
            Some(place) => place,
            None => {
                sources.push(Slot::default());
                u32::try_from(sources.len() - 1).map_err(io::Error::other)?
            }
        };
        let slot = usize::try_from(place)
            .ok()
            .and_then(|at| sources.get_mut(at));
        let slot = slot.expect("places are those of slots");
        *slot = Slot {
            generation: slot.generation.wrapping_add(1),
            ..Slot::default()
        };
        let data = u64::from(place) << 32 | u64::from(slot.generation);
        let data = EventData::new_u64(data);
        if let Err(error) = epoll::add(&reactor.epoll, &io, data, BOTH_EDGES) {
            reactor.vacant.borrow_mut().push(place);
            return Err(error.into());
        }
        drop(sources);
        Ok(Source {
            io,
            reactor: Rc::clone(reactor),
            place,
        })
    }

    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Until there may be something to read.
    pub async fn readable(&self) {
        std::future::poll_fn(|cx| {
            self.with_slot(|slot| match slot.readable {
                true => Poll::Ready(()),
                false => {
                    slot.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            })
        })
        .await;
    }

    /// Until there may be room to write.
    pub async fn writable(&self) {
        std::future::poll_fn(|cx| {
            self.with_slot(|slot| match slot.writable {
                true => Poll::Ready(()),
                false => {
                    slot.writer = Some(cx.waker().clone());
                    Poll::Pending
                }
            })
        })
        .await;
    }

    /// What can be read without waiting; `WouldBlock`: wait for `readable`.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize>
    where
        for<'a> &'a T: Read,
    {
        self.reading(|mut io| io.read(buffer))
    }

    /// Something that is possible when there is something to read.
    pub fn reading<R>(&self, read: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        let result = read(&self.io);
        if is_blocked(&result) {
            self.with_slot(|slot| slot.readable = false);
        }
        result
    }

    /// What can be written without waiting; `WouldBlock`: wait for `writable`.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize>
    where
        for<'a> &'a T: Write,
    {
        let result = (&self.io).write(bytes);
        if is_blocked(&result) {
            self.with_slot(|slot| slot.writable = false);
        }
        result
    }

    /// All of the buffer.
    pub async fn read_exact(&self, mut buffer: &mut [u8]) -> io::Result<()>
    where
        for<'a> &'a T: Read,
    {
        while !buffer.is_empty() {
            match self.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => buffer = buffer.get_mut(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable().await,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// All of the bytes.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()>
    where
        for<'a> &'a T: Write,
    {
        while !bytes.is_empty() {
            match self.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn with_slot<R>(&self, change: impl FnOnce(&mut Slot) -> R) -> R {
        let mut sources = self.reactor.sources.borrow_mut();
        let slot = usize::try_from(self.place)
            .ok()
            .and_then(|at| sources.get_mut(at));
        change(slot.expect("a source keeps its place"))
    }
}

impl<T: AsFd> Drop for Source<T> {
    fn drop(&mut self) {
        let _gone_already = epoll::delete(&self.reactor.epoll, &self.io);
        self.with_slot(|slot| {
            *slot = Slot {
                generation: slot.generation,
                ..Slot::default()
            };
            // Whatever is still on its way is of another generation.
            slot.generation = slot.generation.wrapping_add(1);
        });
        self.reactor.vacant.borrow_mut().push(self.place);
    }
}

fn is_blocked<R>(result: &io::Result<R>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
