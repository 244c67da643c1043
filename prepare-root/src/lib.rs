// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the kernel command line to the mounted deployment.
//!
//! Runs in the initramfs, between the mount of the physical root and the switch to it. Each step is a function
//! of its own that takes descriptors or plain data and touches nothing else:
//!
//! 1. [`config`]: what the image wants (`prepare-root.conf`, kernel arguments).
//! 2. [`mod@resolve`]: which deployment `ostree=` names, looked up inside the physical root only; [`elsewhere`]: where it is if the
//!    link is not there.
//! 3. [`facts`]: what there is to mount.
//! 4. [`plan`]: all mounts as plain data, which can be printed instead of made.
//! 5. [`apply`]: the mounts. Until its last two calls the physical root stays where it was.
//!
//! Nothing is ever written to a disk: what is written goes to `/run`.
#![forbid(unsafe_code)]

pub mod apply;
pub mod calls;
pub mod cli;
pub mod config;
pub mod elsewhere;
pub mod error;
pub mod facts;
pub mod journal;
pub mod list;
pub mod open;
pub mod plan;
pub mod report;
pub mod resolve;
pub mod walk;

pub use calls::Calls;
pub use config::Config;
pub use error::Error;
pub use plan::MountPlan;
pub use resolve::{Target, TargetError, resolve};
