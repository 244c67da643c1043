// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks and repairs of a physical root, and of trees before they are committed. Nothing but programs depends on it.
//!
//! | module | for |
//! |---|---|
//! | `fsck_boot` | the way from the boot loader to the deployments, checked and repaired |
//! | `lint` | a tree before it is committed |
//! | `post_copy` | fs-verity after a root was copied file by file |
//! | `unlock` | a writable `/usr` of the running system |
//! | `state_overlay` | overlays that keep the state of a directory of the image |
#![forbid(unsafe_code)]

mod fsck_boot;
mod lint;
mod post_copy;
mod state_overlay;
mod unlock;

pub use fsck_boot::{
    Action, BootCheck, NoRoom, Problem, RepairPlan, Topic, check_boot, plan_repair, repair_boot,
};
pub use lint::{Finding, Severity, lint, record_initramfs};
pub use post_copy::{PostCopied, post_copy};
pub use state_overlay::mount_state_overlay;
pub use unlock::{Unlock, UnlockError, unlock};
