// SPDX-License-Identifier: MIT OR Apache-2.0
//! How objects travel between repositories.
#![forbid(unsafe_code)]

pub mod local;
