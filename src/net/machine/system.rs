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

/// Unmaps the pages of the program's code, most of which only the start needed: they stay in the file and in the system's
/// cache, and those that are run again come back by themselves.
pub fn let_go_of_code() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let Some((first, end)) = mapping_of(&maps, own_address()) else {
        return;
    };
    #[expect(unsafe_code, reason = "madvise(2) on a mapping that is not ours")]
    // SAFETY: the range is one mapping of a file, private and not writable, so nothing in it differs from the file.
    unsafe {
        let code = std::ptr::with_exposed_provenance_mut(first);
        libc::madvise(code, end - first, libc::MADV_DONTNEED);
    }
}

#[expect(
    clippy::as_conversions,
    reason = "a function has its address by no other way"
)]
fn own_address() -> usize {
    let_go_of_code as *const () as usize
}

/// First address and end of the mapping that has this one, if it is code from a file.
fn mapping_of(maps: &str, address: usize) -> Option<(usize, usize)> {
    maps.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (first, end) = words.next()?.split_once('-')?;
        let [first, end] = [first, end].map(|number| usize::from_str_radix(number, 16));
        let (first, end) = (first.ok()?, end.ok()?);
        let is_code = words.next()? == "r-xp" && words.nth(3)?.starts_with('/');
        (is_code && (first..end).contains(&address)).then_some((first, end))
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_code_from_a_file_is_let_go_of() {
        let maps = "\
            00400000-00452000 r--p 00000000 08:02 173521 /usr/bin/dbus daemon\n\
            00452000-00552000 r-xp 00052000 08:02 173521 /usr/bin/dbus daemon\n\
            00e03000-00e24000 rw-p 00000000 00:00 0 [heap]\n\
            7fff00000000-7fff00001000 r-xp 00000000 00:00 0 [vdso]\n\
            7fff00002000-7fff00003000 r-xp 00000000 00:00 0\n";
        assert_eq!(mapping_of(maps, 0x45_2000), Some((0x45_2000, 0x55_2000)));
        assert_eq!(mapping_of(maps, 0x55_1fff), Some((0x45_2000, 0x55_2000)));
        for address in [
            0x40_0000,
            0x55_2000,
            0xe0_3000,
            0x7fff_0000_0000,
            0x7fff_0000_2000,
        ] {
            assert_eq!(mapping_of(maps, address), None, "{address:x}");
        }
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(mapping_of(&maps, own_address()).is_some());
        let_go_of_code();
    }

    #[test]
    fn options_are_taken_by_listeners_and_refused_elsewhere() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_fast_open(&listener, 16).unwrap();
        set_defer_accept(&listener, Duration::from_secs(1)).unwrap();
        let file = std::fs::File::open(".").unwrap();
        assert!(set_fast_open(&file, 16).is_err());
    }
}
