// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the kernel command line to the mounted deployment.
