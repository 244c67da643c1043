// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios that boot real systems in QEMU.
