// SPDX-License-Identifier: MIT OR Apache-2.0
//! Watching long work, and ending it early.

/// A caller's eye on long work: it is told how far the work is, and asked whether to go on.
///
/// Both methods do nothing by default; `()` is a watcher without interest, and a closure `FnMut(u64, Option<u64>)` one that
/// never cancels.
///
/// ```
/// struct UntilInterrupted<'a>(&'a std::sync::atomic::AtomicBool);
///
/// impl repo::Progress for UntilInterrupted<'_> {
///     fn is_cancelled(&self) -> bool {
///         self.0.load(std::sync::atomic::Ordering::Relaxed)
///     }
/// }
/// ```
pub trait Progress {
    /// Takes note that `done` objects of `total` are dealt with; without a total where it shows only at the end.
    fn advance(&mut self, done: u64, total: Option<u64>) {
        let _ = (done, total);
    }

    /// Says whether the work is to end at the next object, with [`RepoError::Cancelled`](crate::RepoError::Cancelled).
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl Progress for () {}

impl<F: FnMut(u64, Option<u64>)> Progress for F {
    fn advance(&mut self, done: u64, total: Option<u64>) {
        self(done, total);
    }
}
