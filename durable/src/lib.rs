// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing what must survive a power cut.
