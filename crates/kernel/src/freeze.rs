// SPDX-License-Identifier: MIT OR Apache-2.0
//! `FIFREEZE` and `FITHAW`: a file system that is frozen has written everything to its place, journal and all.
//!
//! While it is frozen, every process that writes to it hangs, ours as well; a caller that dies before the thaw
//! would hang the machine for good. So nobody freezes without a [`Watchdog`]: a process of its own that thaws
//! when its parent dies or takes too long.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::{self, Errno};
use rustix::ioctl::{IntegerSetter, Opcode, ioctl, opcode};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// `_IOWR('X', 119, int)` of `include/uapi/linux/fs.h`.
const FIFREEZE: Opcode = opcode::read_write::<i32>(b'X', 119);
/// `_IOWR('X', 120, int)` of `include/uapi/linux/fs.h`.
const FITHAW: Opcode = opcode::read_write::<i32>(b'X', 120);

/// How long a freeze may last before the watchdog ends it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Milliseconds between two attempts of the watchdog to thaw.
const RETRY: libc::c_int = 100;

/// How often it tries after the end of its parent where the file system fails to thaw: for half a minute.
const ATTEMPTS: u32 = 300;

/// The byte that the parent sends when the file system is thawed.
const DONE: u8 = b'd';

/// Freezes the file system that holds `file`: waits for writers, then writes everything out.
///
/// `EBUSY`: frozen already. `EOPNOTSUPP`: the file system cannot. `EPERM`: without `CAP_SYS_ADMIN`.
/// Start a [`Watchdog`] first.
pub fn freeze(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the argument is ignored by the kernel (the opcode's `int` is of XFS's days).
    unsafe { ioctl(file, IntegerSetter::<FIFREEZE>::new_usize(0)) }
}

/// Thaws the file system that holds `file`. `EINVAL`: it was not frozen.
pub fn thaw(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: as for `freeze`.
    unsafe { ioctl(file, IntegerSetter::<FITHAW>::new_usize(0)) }
}

/// Freezes and thaws the file system that holds `file`, guarded by a [`Watchdog`].
///
/// When this returns `Ok`, everything that was written before is in its place on the device. That the watchdog
/// was faster with the thaw is no error: the freeze was complete.
pub fn freeze_and_thaw(file: BorrowedFd<'_>) -> io::Result<()> {
    // Dirty data is written before the freeze, which then lasts no longer than it must.
    rustix::fs::syncfs(file)?;
    let watchdog = Watchdog::start(file, PATIENCE)?;
    // Frozen by somebody else, or not at all: neither is for our watchdog to thaw.
    if let Err(err) = freeze(file) {
        watchdog.stop();
        return Err(err);
    }
    match thaw(file) {
        Ok(()) | Err(Errno::INVAL) => {
            watchdog.stop();
            Ok(())
        }
        // Leave the last word to the watchdog.
        Err(err) => Err(err),
    }
}

/// A child process that thaws a file system when its parent dies, drops it without [`Watchdog::stop`], or
/// takes too long: it tries until it has succeeded, or nobody is left who could freeze.
///
/// It ignores `SIGINT`, `SIGTERM` and `SIGHUP`, runs in a session of its own (a terminal's interrupt or a
/// service manager's polite stop do not reach it) and holds no descriptor but the file system's.
#[derive(Debug)]
pub struct Watchdog {
    line: OwnedFd,
    child: libc::pid_t,
}

impl Watchdog {
    /// Starts the child, and returns when it has its signals ignored and watches.
    pub fn start(file: BorrowedFd<'_>, patience: Duration) -> io::Result<Self> {
        let (line, childs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let patience = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: between fork and _exit the child makes async-signal-safe calls only, takes no lock and
        // allocates nothing, so it does not matter what other threads of ours were doing.
        let child = unsafe { libc::fork() };
        match child {
            // SAFETY: this is the child; the descriptors are open in it.
            0 => unsafe {
                libc::close(line.as_raw_fd());
                watch(file.as_raw_fd(), childs.as_raw_fd(), patience)
            },
            -1 => return Err(last_errno()),
            _ => {}
        }
        drop(childs);
        let watchdog = Self { line, child };
        match rustix::io::read(&watchdog.line, &mut [0; 1])? {
            0 => Err(Errno::CHILD),
            _ => Ok(watchdog),
        }
    }

    /// Sends the child home: the file system is thawed.
    pub fn stop(self) {
        // A child that has run out of patience is gone, and has thawed: nothing to tell it.
        let _ = rustix::net::send(&self.line, &[DONE], rustix::net::SendFlags::NOSIGNAL);
    }
}

impl Drop for Watchdog {
    /// Closing the line is what makes the child thaw; wait for it, so that the caller finds no frozen file
    /// system and no zombie.
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(&self.line, rustix::net::Shutdown::Both);
        // SAFETY: a null status is allowed; the child is ours and nobody else waits for it.
        while unsafe { libc::waitpid(self.child, std::ptr::null_mut(), 0) } == -1
            && last_errno() == Errno::INTR
        {}
    }
}

/// The error of the libc call just made.
fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// The child's whole life. Never returns.
///
/// # Safety
///
/// To be called in a freshly forked child, with two open descriptors. Everything in here is
/// async-signal-safe.
unsafe fn watch(file: RawFd, line: RawFd, patience: libc::c_int) -> ! {
    // SAFETY: plain system calls on descriptors that are open, and a buffer on this stack.
    unsafe {
        libc::setsid();
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGPIPE] {
            libc::signal(signal, libc::SIG_IGN);
        }
        close_all_but(file, line);
        let byte = [DONE];
        libc::write(line, byte.as_ptr().cast(), 1);

        let mut heard = listen(line, patience);
        let mut left = ATTEMPTS;
        while heard != Heard::Done && left > 0 {
            if libc::ioctl(file, libc::Ioctl::from(FITHAW), 0) == 0 {
                break;
            }
            if heard == Heard::Closed {
                // No process is left that could freeze it: if it is not frozen now, it never will be.
                if *libc::__errno_location() == libc::EINVAL {
                    break;
                }
                left -= 1;
                libc::poll(std::ptr::null_mut(), 0, RETRY);
            } else {
                // The freeze may be on its way still: it waits for writers, and the thaw of what is not frozen yet fails.
                heard = listen(line, RETRY);
            }
        }
        libc::_exit(0)
    }
}

/// A message of the parent to the child.
#[derive(PartialEq, Eq)]
enum Heard {
    /// The file system is thawed.
    Done,
    /// The parent is gone, or has let go.
    Closed,
    /// Nothing in time.
    Nothing,
}

/// Waits for the parent's word.
///
/// # Safety
///
/// As for [`watch`].
unsafe fn listen(line: RawFd, patience: libc::c_int) -> Heard {
    // SAFETY: plain system calls on a descriptor that is open, and buffers on this stack.
    unsafe {
        let mut polled = libc::pollfd { fd: line, events: libc::POLLIN, revents: 0 };
        let ready = loop {
            let ready = libc::poll(&raw mut polled, 1, patience);
            if ready != -1 || *libc::__errno_location() != libc::EINTR {
                break ready;
            }
        };
        if ready == 0 {
            return Heard::Nothing;
        }
        let mut byte = [0];
        let told = libc::read(line, byte.as_mut_ptr().cast(), 1) == 1 && byte == [DONE];
        if told { Heard::Done } else { Heard::Closed }
    }
}

/// Closes what the child has inherited, above all locks, the parent's end of the line, and the pipes that
/// somebody reads to their end.
///
/// # Safety
///
/// As for [`watch`].
unsafe fn close_all_but(one: RawFd, other: RawFd) {
    let (low, high) = if one < other { (one, other) } else { (other, one) };
    let close = |first: RawFd, last: libc::c_uint| {
        if libc::c_uint::try_from(first).is_ok_and(|first| first <= last) {
            // SAFETY: nothing in this child uses these descriptors again.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    };
    let below = |fd: RawFd| libc::c_uint::try_from(fd).ok().and_then(|fd| fd.checked_sub(1));
    if let Some(last) = below(low) {
        close(0, last);
    }
    if let Some(last) = below(high) {
        close(low + 1, last);
    }
    close(high + 1, libc::c_uint::MAX);
}
