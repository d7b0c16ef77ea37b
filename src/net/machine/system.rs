//! What the C library offers and no crate of ours wraps. The only code here that the compiler cannot check.
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use libc::{IPPROTO_TCP, TCP_DEFER_ACCEPT, TCP_FASTOPEN, c_int};

/// Clients of a listener may send their first bytes with the SYN (RFC 7413), so many at a time. Works where the system
/// lets servers do so (`net.ipv4.tcp_fastopen`); elsewhere nothing changes.
pub fn set_fast_open(listener: impl AsFd, pending_max: u16) -> io::Result<()> {
    set_tcp_option(listener, TCP_FASTOPEN, pending_max.into())
}

/// A connection is accepted when its first bytes are there, or after this time (whole seconds, as the kernel retries).
pub fn set_defer_accept(listener: impl AsFd, time: Duration) -> io::Result<()> {
    let seconds = c_int::try_from(time.as_secs()).unwrap_or(c_int::MAX);
    set_tcp_option(listener, TCP_DEFER_ACCEPT, seconds)
}

fn set_tcp_option(socket: impl AsFd, option: c_int, value: c_int) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<c_int>()).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "setsockopt(2) has no safe wrapper for these")]
    // SAFETY: the descriptor is open as long as it is borrowed; `value` lives through the call and has that length.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            length,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// All threads share one heap. By default glibc gives each its own, which holds what the others could use; ours hardly
/// ever run at the same time. To be called before there are any.
pub fn share_heap() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "mallopt(3) has no safe wrapper")]
    // SAFETY: it only sets a number inside the C library, under its own lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives back all pages on which nothing is in use. musl does so by itself; glibc only with what lies above everything
/// that is in use.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "malloc_trim(3) has no safe wrapper")]
    // SAFETY: it may be called by any thread at any time, and asks nothing of its caller.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn options_are_taken_by_listeners_and_refused_elsewhere() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_fast_open(&listener, 16).unwrap();
        set_defer_accept(&listener, Duration::from_secs(1)).unwrap();
        let file = std::fs::File::open(".").unwrap();
        assert!(set_fast_open(&file, 16).is_err());
    }
}
