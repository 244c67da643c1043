// SPDX-License-Identifier: MIT OR Apache-2.0
//! The safe face of libmount: fstab and the mount table.
