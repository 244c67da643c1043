// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checking and repairing the way from the boot loader to the deployments, of a root that need not be the running one.
//!
//! ```text
//! /boot/loader -> loader.N                    one of two sets is chosen
//! /boot/loader.N/entries/ostree-K.conf        each entry can be read,
//! /boot/ostree/STATEROOT-BOOTCHECKSUM/…       names boot files that are those of its deployment,
//! /ostree/boot.N -> boot.N.M                  and a link
//! /ostree/boot.N.M/STATEROOT/BOOTCHECKSUM/I   that leads to a deployment with usr, etc and sysroot
//! ```
//!
//! The findings are plain data, and so is the repair: [`Action`]s, made in the order of their kind. Removals come
//! first, then what is renamed; files and links follow from the deployment to the loader, so that nothing leads to what is not
//! there yet. Each action replaces what is broken by something whole in one step, or makes what is missing.
//!
//! Which deployment a broken entry meant is said by what still stands: the links of the other sets, the refs of the
//! deployments, the entry's own text, and last the boot files themselves. See [`evidence`].

mod apply;
mod check;
mod evidence;
mod files;
mod finding;
mod links;
mod menu;
mod plan;
mod room;

pub use check::{check_boot, plan_repair, repair_boot};
pub use finding::{Action, BootCheck, NoRoom, Problem, Topic};
pub use plan::RepairPlan;
