// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a plan is not carried out, with nothing written.

use anyhow::Result;

use crate::loader::place;
use crate::places::Places;
use crate::settings::Settings;
use crate::space::Shortage;

/// Why a plan is not carried out, with nothing written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Somebody else was faster.
    #[error("The boot entries have changed since this was planned; try again")]
    Changed,
    /// The work that the last switch has left fails still.
    #[error(
        "The boot loader was not updated after the last switch, and still boots from the entries before it: {0}; repair that first"
    )]
    Unfinished(String),
    /// The boot files do not fit.
    #[error("{0}")]
    NoSpace(Shortage),
    /// A `/boot` that the machine does not boot from.
    #[error(
        "The file system at /boot is not the one that the machine was booted from, which is {0} by `boot=` on the kernel command line; \
         mount that one at /boot and try again"
    )]
    OtherBoot(String),
}

/// Nothing is written to a second `/boot` with the same label, or one that a former disk has left.
pub(crate) fn check_place(places: Places<'_>, settings: &Settings) -> Result<()> {
    match &settings.boot_argument {
        Some(argument) if place::is_another(places.boot, argument)? => {
            Err(ApplyError::OtherBoot(argument.clone()).into())
        }
        _ => Ok(()),
    }
}
