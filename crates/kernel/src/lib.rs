// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's calls that rustix and nix lack, one file a call, and one that older kernels lack.

pub mod ext4_checkpoint;
pub mod freeze;
pub mod fsverity;
pub mod mount_namespace;
pub mod mount_setattr;
pub mod open_in_root;
pub mod own_directory;
