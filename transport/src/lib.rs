// SPDX-License-Identifier: MIT OR Apache-2.0
//! How objects travel between repositories.
