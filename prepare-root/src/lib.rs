// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the kernel command line to the mounted deployment.
//!
//! Runs in the initramfs, between the mount of the physical root and the switch to it. Each step is a function
//! of its own that takes descriptors or plain data and touches nothing else:
//!
//! 1. [`config`]: what the image wants (`prepare-root.conf`, kernel arguments).
//! 2. [`mod@resolve`]: which deployment `ostree=` names, looked up inside the physical root only; [`fallback_target`]: where it is if the
//!    link is not there.
//! 3. [`facts`]: what there is to mount.
//! 4. [`plan`]: all mounts as plain data, which can be printed instead of made.
//! 5. [`apply`]: the mounts. Until its last two calls the physical root stays where it was.
//!
//! Nothing is ever written to a disk: what is written goes to `/run`.
//!
//! The plan is a function of plain data, so it can be made and shown anywhere:
//!
//! ```
//! use formats::kernel_args::KernelArgs;
//! use prepare_root::config::{Config, Layer};
//! use prepare_root::facts::Facts;
//! use prepare_root::resolve::{Deployment, boot_link};
//! use prepare_root::MountPlan;
//!
//! let arguments = KernelArgs::parse("root=LABEL=root ro ostree=/ostree/boot.1/debian/4fd0/0");
//! let mut config = Config::parse(&[Layer { path: "prepare-root.conf", text: "[sysroot]\nreadonly=true\n" }])?;
//! config.override_with(&arguments)?;
//! // On a machine `resolve` finds these by the link, and `facts::gather` looks at what is there.
//! let deployment = Deployment {
//!     boot_link: boot_link(&arguments)?.to_owned(),
//!     path: format!("ostree/deploy/debian/deploy/{}.0", "11aa".repeat(16)).parse()?,
//!     device: 64,
//!     inode: 12,
//! };
//! let facts = Facts { has_stateroot_var: true, has_var_mount_point: true, ..Facts::default() };
//! let plan = MountPlan::new(&config, &deployment, &facts)?;
//! println!("{plan}");
//! assert!(plan.mounts.iter().any(|mount| mount.to_string().starts_with("/usr from ")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod apply;
pub mod calls;
pub mod cli;
pub mod config;
pub mod error;
pub mod facts;
pub mod fallback_target;
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
