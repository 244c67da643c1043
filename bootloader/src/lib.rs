// SPDX-License-Identifier: MIT OR Apache-2.0
//! From boot entries to the files a boot loader reads, and the switch between two sets of them.
