// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deployments of a physical root: what is deployed, and how that changes.
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
//! The boot entries say which deployments there are, and in which order. Everything that changes them takes the
//! [`Lock`] first, makes a plan, and ends in one switch of the boot menu.
#![forbid(unsafe_code)]

mod backing;
mod boot_loader;
mod cleanup;
mod commit_tree;
mod config;
pub mod deploy;
mod deployment;
mod directory;
mod entries;
mod etc;
mod failure;
mod finalize;
mod fsck_boot;
mod image_kargs;
mod init;
mod initramfs;
mod journal;
mod kept;
mod labels;
mod lint;
mod load;
mod lock;
mod menu;
mod namespace;
mod origin;
mod overlay_initrds;
mod plan;
mod post_copy;
mod preflight;
mod reorder;
mod reserve;
mod retention;
mod room;
mod space;
mod spare;
mod staged;
mod state_overlay;
mod status;
mod switch;
mod sysroot;
mod unlock;
mod var;

pub use cleanup::Cleaned;
pub use deployment::{Deployment, Origin};
pub use etc::{EtcConflict, EtcError, EtcMerge, EtcPlan, IntoError, Side};
pub use etc_merge::{Change, Changes, What};
pub use finalize::{BootGood, Finalized};
pub use fsck_boot::{Action, BootCheck, NoRoom, Problem, Topic as BootTopic};
pub use image_kargs::{DeploymentKargs, ImageKargs};
pub use init::{Epoch, init_fs};
pub use kept::TakenUp;
pub use labels::{Labelled, Selinux};
pub use lint::{Finding, Severity, lint, record_initramfs};
pub use load::Loaded;
pub use lock::{Lock, Locked};
pub use menu::Switched;
pub use overlay_initrds::OverlayInitrd;
pub use plan::{Applied, Changed, Plan, Request, Step};
pub use post_copy::PostCopied;
pub use reorder::{ReorderError, Which};
pub use retention::Retention;
pub use space::RootShortage;
pub use staged::is_anything_staged;
pub use status::{NextBoot, Note, Reason, Row, Status, Topic};
pub use sysroot::Sysroot;
pub use unlock::{Unlock, UnlockError, unlock};
