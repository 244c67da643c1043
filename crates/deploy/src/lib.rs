// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of the deployments of a physical root.
//!
//! ```text
//! plan     a request as plain data: the steps, the menu before and after, the space
//! apply    carries a plan out under the lock, after a look whether it still fits
//! ```
//!
//! `examples/deploy.rs` plans and applies a deployment in a temporary root.
//!
//! Every function that changes something takes a [`sysroot::Lock`], which knows the sysroot that it locks.
#![forbid(unsafe_code)]

mod backing;
mod boot_files;
mod changes;
mod deploy_plan;
mod deploy_work;
mod early_prune;
mod edits;
pub mod entries;
mod etc;
mod finalize;
mod finalize_menu;
mod finalize_service;
mod finalize_stamp;
mod good_boot;
mod init;
mod journal;
mod labels;
mod menu;
mod options;
mod order;
mod origin;
mod overlay_initrds;
mod pin_commit;
mod plan;
pub mod preflight;
mod refs;
mod regenerate;
mod removal;
mod request;
mod resume;
pub mod seal;
mod space;
mod staged;
mod staging;
mod tree;
mod tree_config;
pub mod tree_initramfs;
mod unfinished;
mod update_stamp;
mod var;

pub use changes::{boot_good, cleanup, deploy, edit_kernel_args, rollback, set_default, stage, undeploy};
pub use deploy_plan::{DeployPlan, PlanError};
pub use deploy_work::Deployed;
pub use edits::{Base, Edits};
pub use etc::{EtcError, EtcMerge, EtcPlan, IntoError, merge_etc_into, plan_etc_merge};
pub use finalize::{Finalized, finalize_staged};
pub use finalize_stamp::{forget_finalize_failure, keep_finalize_failure};
pub use good_boot::{BootGood, is_settled};
pub use init::{Epoch, InitPlan, init_fs, init_stateroot, plan_init_fs, plan_stateroot};
pub use labels::{Labelled, ensure_labelled};
pub use menu::Switched;
pub use options::DeployOptions;
pub use order::ReorderError;
pub use origin::{pin, set_origin, write_origin};
pub use overlay_initrds::OverlayInitrd;
pub use plan::{Applied, Changed, Plan, Step, apply, plan, plan_nothing};
pub use preflight::{Check, Lack, NotBootable, UnknownCheck};
pub use regenerate::regenerate;
pub use removal::Cleaned;
pub use request::Request;
pub use resume::{ResumePlan, Resumed, plan_resume, resume};
pub use selinux::Selinux;
pub use space::RootShortage;
pub use staged::lock_finalization;
pub use staged::persistent::touch;
pub use staging::{StageError, StagedDeployment};
