// SPDX-License-Identifier: MIT OR Apache-2.0
//! Environment variables that say how a sysroot is treated. The libraries read none.

use sysroot::Options;

/// Reads the wishes in the environment. A word in it that means nothing is told.
pub(crate) fn sysroot_options() -> Options {
    let (options, unknown) = Options::of_variables(|name| std::env::var(name).ok());
    unknown.iter().for_each(|word| eprintln!("warning: {word}"));
    options
}
