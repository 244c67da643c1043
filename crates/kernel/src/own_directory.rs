// SPDX-License-Identifier: MIT OR Apache-2.0
//! `unshare(2)` with `CLONE_FS`: a working directory of one's own.
#![allow(unsafe_code)]

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

/// Gives the calling thread a working directory, a root and a umask of its own: it can change them, and no other thread sees
/// that.
///
/// # Errors
///
/// `ENOMEM`.
pub fn unshare() -> Result<(), Errno> {
    // SAFETY: unsafe is `CLONE_FILES`, after which threads no longer mean the same by a descriptor; it is not used.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_changes_its_directory() {
        let directory = || std::env::current_dir().unwrap();
        let before = directory();
        assert_ne!(before.to_str(), Some("/"), "the control");
        std::thread::scope(|scope| {
            let (moved, has_moved) = std::sync::mpsc::channel();
            let (seen, is_seen) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                unshare().unwrap();
                rustix::process::chdir("/").unwrap();
                moved.send(directory()).unwrap();
                is_seen.recv().unwrap();
            });
            assert_eq!(has_moved.recv().unwrap().to_str(), Some("/"));
            assert_eq!(directory(), before);
            seen.send(()).unwrap();
        });
    }
}
