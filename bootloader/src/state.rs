// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state of the boot files: the chosen set of entries, their contents, and the files beside them.
//!
//! Reading never fails for the contents of a file: an entry that cannot be read is kept and reported, and so are a
//! `loader` that is no link and a link that leads nowhere. Whether that is in the way is for the plan to say.

mod links;
mod model;
mod read;
mod stale_temps;

pub use links::boot_links;
pub(crate) use links::{deployment_of, read_bootlinks};
pub(crate) use model::several_ostree;
pub use model::{BootLink, BootLinks, BootState, ForeignFile, LoaderLink, PresentEntry, Unreadable};
