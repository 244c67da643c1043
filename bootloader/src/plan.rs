// SPDX-License-Identifier: MIT OR Apache-2.0
//! A switch as plain data: what will be written where, in which order, before anything is.

mod check;
mod compose;
mod error;
mod leftovers;
mod print;
mod sequence;
mod state_after;
mod steps;
mod sweep;
mod switch;

pub use error::PlanError;
pub use leftovers::leftovers;
pub use steps::{Of, Step};
pub use sweep::SweepPlan;
pub use switch::{Change, SwitchPlan};
