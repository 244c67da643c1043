// SPDX-License-Identifier: MIT OR Apache-2.0
//! What runs early in the real root: remount and the systemd generator.
