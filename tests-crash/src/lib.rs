// SPDX-License-Identifier: MIT OR Apache-2.0
//! Power cuts at every write.
//!
//! The real programs do something to a small system on a disk, and every block that reaches the disk is recorded. Then the
//! disk is made again as a power cut would have left it: after each write, and with what had not been flushed lost,
//! reordered or torn. On each of these disks a boot loader must find the old menu or the new one, whole.
//!
//! ```text
//! operation ──▶ machine ──▶ record ──▶ log ──▶ cuts ──▶ replay ──▶ check ──▶ report
//! what is done  a disk       the real   writes  what may  images     GRUB, mount,
//!               made ready   commands           be left              our programs
//! ```
//!
//! Whether the check can see is part of every run: mistakes are made on purpose, and each must be found.
#![forbid(unsafe_code)]

mod boot;
pub mod check;
pub mod cuts;
pub mod disk;
pub mod faults;
mod grub;
mod image;
pub mod kit;
mod laptop_mode;
pub mod loader;
pub mod log;
pub mod machine;
pub mod menu;
pub mod mutant;
pub mod operation;
pub mod pass;
mod place;
pub mod plans;
mod position;
mod program;
pub mod random;
pub mod record;
pub mod reference;
pub mod replay;
mod report;
pub mod row;
pub mod rules;
mod run;
mod schedule;
pub mod session;
pub mod snapshot;
pub mod trace;
pub mod workshop;

pub use run::main;
