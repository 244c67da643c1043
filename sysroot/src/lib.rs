// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deployments of a physical root.
