// SPDX-License-Identifier: MIT OR Apache-2.0
//! From boot entries to the files a boot loader reads, and the switch between two sets of them.
//!
//! ```text
//! stage   kernels, entries, links         under names that no loader reads
//! verify  read again by a loader's rules  order, titles, files, ostree= resolves
//! settle  all of it in its place          so that only the commit is seen or not seen
//! commit  loader.tmp becomes loader       one durable write
//! prove   visible without journal replay  loaders do not replay journals
//! sweep   what nobody needs any more      only after the proof
//! ```
//!
//! At every moment a power cut leaves a disk on which every entry that a loader can see names a kernel that is whole
//! and a deployment that is whole. [`BootState::read`] says what is there, [`SwitchPlan::new`] what a switch will do
//! (without touching anything), [`SwitchPlan::apply`] does it.
#![forbid(unsafe_code)]

mod apply;
mod entry;
mod former;
pub mod kernel_files;
pub mod loader;
mod plan;
mod space;
mod state;
mod steady;
mod sweep;
mod tree;

pub use apply::{ApplyError, Outcome, Step, VerifyError, unfinished};
pub use entry::{BootEntry, NewInitrd, carried, overlay_initrds};
pub use former::{Record, prove_former};
pub use kernel_files::{BootFile, FileKind, KernelError, KernelFiles};
pub use loader::{AfterSwitch, Installed, Loader, LoaderError, Report, Tool, examine};
pub use plan::{Change, CopyFile, NeededFile, NewFile, NewLink, PlanError, Settings, Slot, SwitchPlan};
pub use space::{Frees, Shortage, Space, boot_bytes, megabytes};
pub use state::{
    BootLink, BootLinks, BootState, ForeignFile, LoaderLink, Places, PresentEntry, Unreadable, boot_links,
};
pub use sweep::{Swept, leftovers, linked_deployments, sweep};
pub use tree::ReadTree;
