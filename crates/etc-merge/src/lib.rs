// SPDX-License-Identifier: MIT OR Apache-2.0
//! The three-way merge of a deployment's `/etc`.
//!
//! ```text
//! old deployment: usr/etc  ──▶ etc          what the administrator changed: Changes::between(usr/etc, etc)
//!        │
//!        ▼
//! new deployment: usr/etc  ──▶ etc          what the update changed: Changes::between(usr/etc, usr/etc);
//!                                           first a plain copy, then the Plan made of both applied on top
//! ```
//!
//! Where one side has changed something, it has its way. Where both have, a [`Policy`](formats::etc_policy::Policy) decides, and
//! without one the administrator wins. A place where this cannot be (a changed file below what is now a link, a file where
//! the new tree has a directory) is a [`Clash`]: it is reported, the new default stays there, and the merge goes on, since
//! a shutdown has nobody to ask.
#![forbid(unsafe_code)]

mod apply;
mod changes;
mod copy;
mod meta;
mod plan;
mod steps;

pub use apply::{Clash, Report, Target};
pub use changes::{Change, Changes, What, is_one, same_at};
pub use copy::{copy_contents, copy_tree};
pub use meta::Attributes;
pub use plan::{Item, Outcome, Plan, Trees};
pub use steps::{Source, Step};
