// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying a plan out: stage, verify, commit, prove, sweep.

mod after;
mod error;
mod execution;
mod prestage;
mod removal;
mod sweep;
mod switch;
mod verify;

pub use error::ApplyError;
pub use execution::Execution;
pub use removal::Swept;
pub use sweep::sweep;
pub use switch::Outcome;
pub use verify::VerifyError;
