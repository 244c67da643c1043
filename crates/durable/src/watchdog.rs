// SPDX-License-Identifier: MIT OR Apache-2.0
//! The watchdog of a freeze, alone: for who tests what there is when one fails.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use kernel::freeze::Watchdog;
use rustix::io::Errno;

/// Starts the watchdog of the file system that holds `file`, which nobody freezes, and waits until it has done its work.
pub fn try_watchdog(file: BorrowedFd<'_>) -> Result<(), Errno> {
    // It is told when this is dropped, and is waited for then.
    Watchdog::start(file, Duration::from_secs(1)).map(drop)
}
