// SPDX-License-Identifier: MIT OR Apache-2.0
//! Labels from the SELinux policy of a tree: which one it gives to a path, and setting it.
//!
//! A commit brings the labels of `/usr` along. Everything made from it is labelled by a [`Labeler`]: the deployment's `/etc`, its
//! origin, the boot files that are copied to `/boot`, and once in a stateroot's life `/var` ([`label_var_once`]). A label is an
//! extended attribute, which can be set whether the running kernel has SELinux or not. [`refresh`] compiles a policy with
//! local additions again.
//!
//! All functions take descriptors: of the top of a tree, of a stateroot, of a directory to label.
//!
//! ```
//! use std::os::fd::AsFd;
//!
//! # let top = tempfile::tempdir()?;
//! let tree = std::fs::File::open(top.path())?;
//! // A tree without `etc/selinux/config` has no policy.
//! assert!(selinux::Labeler::of(tree.as_fd())?.is_none());
//! # Ok::<(), anyhow::Error>(())
//! ```
#![forbid(unsafe_code)]

mod apply;
mod extent;
mod labeler;
mod merged;
mod policy;
mod refresh;
mod tree;
mod var;

pub use extent::Extent;
pub use labeler::{Labeler, Selinux};
pub use merged::{as_far_as_possible, label_merged};
pub use refresh::refresh;
pub use var::label_once as label_var_once;
