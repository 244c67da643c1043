// SPDX-License-Identifier: MIT OR Apache-2.0
//! The place that subcommands print to.

use std::io::Write;

/// The output of a subcommand.
pub(crate) type Output<'a> = dyn Write + 'a;
