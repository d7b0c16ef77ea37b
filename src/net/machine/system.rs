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

/// Unmaps the pages of the program's code and of what it only reads, most of which only the start needed: they stay in the
/// file and in the system's cache, and those that are used again come back by themselves.
pub fn let_go_of_code() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for (first, end) in code_in(&maps, own_address()) {
        #[expect(unsafe_code, reason = "madvise(2) on a mapping that is not ours")]
        // SAFETY: the range is one mapping of a file, private and never written to, so nothing in it differs from the file.
        unsafe {
            let pages = std::ptr::with_exposed_provenance_mut(first);
            libc::madvise(pages, end - first, libc::MADV_DONTNEED);
        }
    }
}

#[expect(
    clippy::as_conversions,
    reason = "a function has its address by no other way"
)]
fn own_address() -> usize {
    let_go_of_code as *const () as usize
}

/// First address and end of the mapping that has this one, if it is code from a file, behind that of the mapping before it if
/// this is the file's beginning: constants and tables, which no relocation changes. What is behind the code is changed.
fn code_in(maps: &str, address: usize) -> Vec<(usize, usize)> {
    let mut before: Option<Mapping<'_>> = None;
    for mapping in maps.lines().filter_map(Mapping::parse) {
        if mapping.is("r-xp") && (mapping.first..mapping.end).contains(&address) {
            let constants =
                before.filter(|it| it.is("r--p") && it.is_beginning && it.file == mapping.file);
            let both = constants.into_iter().chain([mapping]);
            return both.map(|mapping| (mapping.first, mapping.end)).collect();
        }
        before = Some(mapping);
    }
    Vec::new()
}

/// A line of `/proc/self/maps`: addresses, rights, place in the file, device, inode, the file's path.
struct Mapping<'a> {
    first: usize,
    end: usize,
    rights: &'a str,
    is_beginning: bool,
    file: &'a str,
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Mapping<'a>> {
        let mut words = line.split_whitespace();
        let (first, end) = words.next()?.split_once('-')?;
        let [first, end] = [first, end].map(|number| usize::from_str_radix(number, 16));
        let (rights, place) = (words.next()?, words.next()?);
        Some(Mapping {
            first: first.ok()?,
            end: end.ok()?,
            rights,
            is_beginning: place.bytes().all(|digit| digit == b'0'),
            file: words.nth(2).unwrap_or_default(),
        })
    }

    fn is(&self, rights: &str) -> bool {
        self.rights == rights && self.file.starts_with('/')
    }
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
            00600000-00602000 r--p 00000000 08:02 173522 /usr/bin/other\n\
            00610000-00612000 r-xp 00002000 08:02 173522 /usr/bin/other\n\
            00612000-00614000 r--p 00004000 08:02 173522 /usr/bin/other\n\
            00614000-00616000 r-xp 00006000 08:02 173522 /usr/bin/other\n\
            00e03000-00e24000 rw-p 00000000 00:00 0 [heap]\n\
            7fff00000000-7fff00001000 r-xp 00000000 00:00 0 [vdso]\n\
            7fff00002000-7fff00003000 r-xp 00000000 00:00 0\n";
        for (address, expected) in [
            (
                0x45_2000,
                vec![(0x40_0000, 0x45_2000), (0x45_2000, 0x55_2000)],
            ),
            (
                0x55_1fff,
                vec![(0x40_0000, 0x45_2000), (0x45_2000, 0x55_2000)],
            ),
            // A gap does no harm; what follows other code may have been written to.
            (
                0x61_0000,
                vec![(0x60_0000, 0x60_2000), (0x61_0000, 0x61_2000)],
            ),
            (0x61_4000, vec![(0x61_4000, 0x61_6000)]),
        ] {
            assert_eq!(code_in(maps, address), expected, "{address:x}");
        }
        for address in [
            0x40_0000,
            0x55_2000,
            0xe0_3000,
            0x7fff_0000_0000,
            0x7fff_0000_2000,
        ] {
            assert_eq!(code_in(maps, address), [], "{address:x}");
        }
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(!code_in(&maps, own_address()).is_empty());
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
