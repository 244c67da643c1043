// SPDX-License-Identifier: MIT OR Apache-2.0
//! `unshare(2)` with `CLONE_NEWNS`: a mount namespace of one's own.
#![allow(unsafe_code)]

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

/// Gives the calling thread, and what it starts from now on, a copy of the mounts. Descriptors that are open go
/// on to refer to the old ones.
///
/// # Errors
///
/// `EPERM` without `CAP_SYS_ADMIN`.
pub fn enter_new() -> Result<(), Errno> {
    // SAFETY: unsafe is `CLONE_FILES`, after which threads no longer mean the same by a descriptor; it is not used.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_moves() {
        let name = || std::fs::read_link("/proc/thread-self/ns/mnt").unwrap();
        let before = name();
        let inside = std::thread::spawn(move || enter_new().map(|()| name())).join().unwrap();
        match inside {
            Ok(inside) => assert_ne!(inside, before),
            // An unprivileged caller is told so.
            Err(error) => assert_eq!(error, Errno::PERM),
        }
        assert_eq!(name(), before);
    }
}
