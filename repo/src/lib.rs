// SPDX-License-Identifier: MIT OR Apache-2.0
//! The object store in a directory.
