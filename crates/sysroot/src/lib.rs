// SPDX-License-Identifier: MIT OR Apache-2.0
//! The deployments of a physical root, as they are: reading them changes nothing but the lock and the reserve.
//!
//! ```text
//! ostree/repo                                              objects and refs
//! ostree/deploy/STATEROOT/var                              /var, shared by its deployments
//! ostree/deploy/STATEROOT/deploy/CHECKSUM.SERIAL           a deployment
//! ostree/deploy/STATEROOT/deploy/CHECKSUM.SERIAL.origin    where it came from
//! ostree/deploy/STATEROOT/backing/CHECKSUM.SERIAL          where overlays over it keep their changes
//! ostree/boot.N -> boot.N.M, boot/loader -> loader.N       see the crate `bootloader`
//! /run/ostree/staged-deployment                            a deployment that is switched to at shutdown
//! ```
//!
//! The boot entries say which deployments there are, and in which order. The crate `deploy` changes them: it takes the
//! [`Lock`] first, makes a plan, and ends in one switch of the boot menu.
//!
//! ```
//! use std::fs;
//!
//! // An empty root, as `ostree admin init-fs` makes it.
//! let top = tempfile::tempdir()?;
//! fs::create_dir_all(top.path().join("boot"))?;
//! fs::create_dir_all(top.path().join("ostree/deploy"))?;
//! let options = repo::InitOptions { mode: repo::Mode::BareUserOnly, collection_id: None };
//! repo::Repo::init_at(fs::File::open(top.path())?, "ostree/repo", &options)?;
//!
//! let sysroot = sysroot::Sysroot::open(top.path())?;
//! for deployment in sysroot.load()?.deployments {
//!     println!("{} {}", deployment.path, deployment.kernel_args());
//! }
//! assert_eq!(sysroot.status()?.to_string(), "No deployments.\n");
//! # Ok::<(), anyhow::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod backing;
mod boot_loader;
pub mod commit_tree;
mod config;
mod denied;
mod deployment;
pub mod directory;
pub mod etc;
pub mod finalize_failure;
pub mod image_kargs;
mod load;
mod lock;
pub mod menu_refs;
mod namespace;
mod options;
pub mod policy_refresh;
pub mod reserve;
pub mod retention;
pub mod running;
mod settings;
pub mod staged;
pub mod status;
mod sysroot;
mod which;

pub use config::Config;
pub use denied::is_denied;
pub use deployment::{Deployment, Origin};
pub use etc::{EtcConflict, Side};
pub use etc_merge::{Change, Changes, What};
pub use image_kargs::{DeploymentKargs, ImageKargs};
pub use load::Loaded;
pub use lock::{Lock, Locked};
pub use options::{Options, UnknownWord};
pub use retention::Retention;
pub use staged::is_anything_staged;
pub use status::{NextBoot, Note, Reason, Row, Status, Topic};
pub use sysroot::{Sysroot, stated_version};
pub use which::{OutOfRange, Which};
