// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `/etc` of a new deployment: made from `usr/etc`, then given the local changes of the merge deployment.

mod conflicts;
mod create;
mod into;
mod merge;
mod policies;

pub(crate) use conflicts::write_down;
pub(crate) use create::create;
pub use into::{EtcMerge, EtcPlan, IntoError, merge_etc_into, plan_etc_merge};
pub use merge::EtcError;
pub(crate) use merge::{check_policies, etc_attributes, merge};
pub(crate) use policies::Moment;
