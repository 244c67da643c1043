// SPDX-License-Identifier: MIT OR Apache-2.0
//! Facts that somebody without privileges cannot read: not known, which is neither missing nor damaged.

use std::io;

use anyhow::Error;
use prepare_root::open::ReadError;
use rustix::io::Errno;

/// Whether an error says that the caller may not do something, and root may.
pub fn is_denied(error: &Error) -> bool {
    let is_errno = |cause: &(dyn std::error::Error + 'static)| {
        let of_io = || cause.downcast_ref::<io::Error>().and_then(Errno::from_io_error);
        let of_text = || match cause.downcast_ref::<ReadError>() {
            Some(ReadError::Errno(errno)) => Some(*errno),
            _ => None,
        };
        let errno = cause.downcast_ref::<Errno>().copied().or_else(of_io).or_else(of_text);
        matches!(errno, Some(Errno::ACCESS | Errno::PERM))
    };
    !rustix::process::geteuid().is_root() && error.chain().any(is_errno)
}

/// Gives a fact if it may be known; else `what` goes to the list of unknown ones.
pub(crate) fn known<T>(
    read: Result<T, Error>,
    not_known: &mut Vec<String>,
    what: impl FnOnce() -> String,
) -> Result<Option<T>, Error> {
    match read {
        Err(error) if is_denied(&error) => {
            not_known.push(what());
            Ok(None)
        }
        other => other.map(Some),
    }
}
