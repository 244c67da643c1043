// SPDX-License-Identifier: MIT OR Apache-2.0
//! The three-way merge of a deployment's `/etc`.
//!
//! ```text
//! old deployment: usr/etc  ──▶ etc          what the administrator changed: Changes::between(usr/etc, etc)
//! new deployment: usr/etc  ──▶ etc          first a plain copy, then those changes applied on top
//! ```
//!
//! The administrator's side always wins: a file that was changed or added is copied, one that was removed is
//! removed. A place where this cannot be (a changed file below what is now a link, a file where the new tree
//! has a directory) is a [`Clash`]: it is reported, the new default stays there, and the merge goes on, since
//! a shutdown has nobody to ask.
#![forbid(unsafe_code)]

mod changes;
mod copy;
mod meta;

pub use changes::{Change, Changes, What};
pub use copy::{copy_contents, copy_tree};

mod apply;
pub use apply::{Clash, Report};
