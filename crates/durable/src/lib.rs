// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing what must survive a power cut, and looking at directories through their descriptors.
//!
//! A write is durable when three things hold: the contents are on the device (`fsync` of the file), the name is
//! (`fsync` of the directory), and nothing that readers could see on the way was half of either. Every
//! function here says in which order it gets there. All take a directory descriptor and a name below it; a
//! name has no slash unless the function says so.
//!
//! A boot loader asks for a fourth: it reads the device without replaying the journal, so what only the
//! journal holds is not there for it. [`prove()`] is for that.
#![forbid(unsafe_code)]

mod compare;
mod copy;
mod descent;
mod directory;
pub mod fault;
mod file;
mod link;
mod list;
mod look;
mod open;
pub mod prove;
mod push;
mod remove;
mod temporary;
mod walk;
mod watchdog;

pub use compare::{Unread, same_contents};
pub use copy::{Place, Sharing, copy_file_new, copy_file_replace, fill};
pub use descent::{Descent, Mounts, shown};
pub use directory::{Occupied, make_dir, new_dir, new_tree, sync_dir, sync_fs};
pub use file::{replace, replace_from, write_new};
pub use link::{commit_link, stage_link, switch_link};
pub use look::{find_dir, kind_of, names, open_dir, text_names};
pub use open::{open_on_mount, open_to_read};
pub use prove::{Freezing, Method, Proof, Reason, prove};
pub use push::{Occasion, push_xfs_log, push_xfs_log_on};
pub use remove::{Removal, remove_named, remove_tree};
pub use temporary::{is_stale_temp, is_temporary, remove_if_older, sweep_stale_temps};
pub use walk::{Seen, Walk};
pub use watchdog::try_watchdog;
