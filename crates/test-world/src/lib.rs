// SPDX-License-Identifier: MIT OR Apache-2.0
//! The surroundings that tests of several crates share: trees, file systems, namespaces, the C tools, and privileges.
//!
//! # Tests that need root
//!
//! Mounts, loop devices, owners and immutable flags need root. Such a test is skipped by name for any other user: a
//! `#[test]` begins with [`needs_root!`], and a trial is made by [`as_root`]. `./run test` runs as root, and fails if one
//! of them was skipped.
//!
//! ```text
//! #[test]
//! fn mounts() {
//!     test_world::needs_root!();
//!     // …
//! }
//! ```
//!
//! # Tests beside the C tools
//!
//! [`peer`] has the variables that name them. A trial that needs one is made by [`beside`] and ignored without it.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test world says what it expects by unwrapping it"
)]

mod command;
pub mod disk;
mod initramfs;
pub mod links;
pub mod namespace;
pub mod peer;
mod root;
#[cfg(feature = "deployments")]
pub mod system;
pub mod tree;
mod trial;
mod workdir;
#[cfg(feature = "deployments")]
pub mod world;

pub use command::{capture, run};
pub use disk::Disk;
pub use initramfs::initramfs;
pub use root::{is_root, skipped};
pub use trial::{alone, as_root, beside, run_trials, run_trials_in_turn};
pub use workdir::Workdir;
#[cfg(feature = "deployments")]
pub use world::{STATEROOT, World};
