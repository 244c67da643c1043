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
//! (without touching anything), [`SwitchPlan::apply`] does it: the [steps](SwitchPlan::steps) of the plan in their order, and
//! nothing else.
//!
//! A plan needs no disk. This one is for a system that has never booted a deployment, and renders the entry of one and the
//! menu of GRUB:
//!
//! ```
//! use bootloader::loader::Grub2;
//! use bootloader::{BootEntry, BootFile, BootState, FileKind, Installed, KernelFiles, Settings, SwitchPlan};
//! use formats::kernel_args::KernelArgs;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = |kind, source: &str, name: &str| {
//!     let source = format!("usr/lib/modules/6.12.1/{source}");
//!     BootFile { kind, source, name: name.to_owned(), size: 4096 }
//! };
//! let files = KernelFiles::new(vec![
//!     file(FileKind::Kernel, "vmlinuz", "vmlinuz-6.12.1"),
//!     file(FileKind::Initramfs, "initramfs.img", "initramfs-6.12.1.img"),
//! ]);
//! let deployment = format!("ostree/deploy/os/deploy/{}.0", "0f".repeat(32)).parse()?;
//! let mut entry = BootEntry::new(deployment, "a0".repeat(32).parse()?, files);
//! entry.os_name = "Example 1".to_owned();
//! entry.options = KernelArgs::parse("root=LABEL=root quiet");
//!
//! let installed = Installed { loader: &Grub2, ..Installed::default() };
//! let settings = Settings { installed, ..Settings::default() };
//! let plan = SwitchPlan::new(&BootState::of_new_system(), &[entry], &settings)?;
//! assert_eq!(plan.entries[0].path, "entries/ostree-1.conf");
//! assert!(plan.entries[0].text.starts_with("title Example 1 (ostree:0)\nversion 1\n"));
//! assert!(plan.native[0].text.contains("menuentry 'Example 1 (ostree:0)'"));
//! for step in plan.steps() {
//!     println!("{step}");
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod apply;
mod block_format;
mod compare;
mod dirs;
mod entry;
mod examine;
mod files;
pub mod kernel_files;
mod linked;
pub mod loader;
mod names;
mod pending;
mod places;
mod plan;
mod prestaged;
mod proof;
mod record;
mod settings;
mod slot;
mod space;
mod state;
mod tree;

pub use apply::{ApplyError, Execution, Outcome, Swept, VerifyError, sweep};
pub use entry::{BootEntry, NewInitrd, OtherInitrd, carried, other_initrds, overlay_initrds};
pub use examine::{Report, ReportedEntry, boots_elsewhere, examine};
pub use files::{CopyFile, FileKind, Generate, NeededFile, NewFile, NewLink};
pub use kernel_files::{BootFile, KernelFiles};
pub use linked::{linked_deployments, linked_in};
pub use loader::{AfterSwitch, Installed, Loader, LoaderError, Tool};
pub use names::repair_name;
pub use pending::unfinished;
pub use places::Places;
pub use plan::{Change, Of, PlanError, Step, SweepPlan, SwitchPlan, leftovers};
pub use proof::prove_previous_switch;
pub use record::Record;
pub use settings::Settings;
pub use slot::Slot;
pub use space::{Frees, Shortage, Space, boot_bytes, megabytes};
pub use state::{
    BootLink, BootLinks, BootState, ForeignFile, LoaderLink, PresentEntry, Unreadable, boot_links,
};
pub use tree::{Found, KernelError, Lookup, MAX_LINKS, ReadTree, resolve_links};
