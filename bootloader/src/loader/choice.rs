// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boot loaders by their names in the configuration.

use std::str::FromStr;

use super::error::LoaderError;

/// `[sysroot] bootloader`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// Look for one.
    #[default]
    Auto,
    /// Boot entries only.
    None,
    /// GRUB with a configuration that is made from the entries.
    Grub2,
    /// SYSLINUX and EXTLINUX with `syslinux.cfg`.
    Syslinux,
    /// EXTLINUX and U-Boot with `extlinux.conf`.
    Extlinux,
    /// U-Boot with `uEnv.txt`.
    Uboot,
    /// z Systems.
    Zipl,
    /// Android's.
    Aboot,
}

impl Choice {
    const ALL: [Self; 8] = [
        Self::Auto,
        Self::None,
        Self::Grub2,
        Self::Syslinux,
        Self::Extlinux,
        Self::Uboot,
        Self::Zipl,
        Self::Aboot,
    ];

    /// As the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::None => "none",
            Self::Grub2 => "grub2",
            Self::Syslinux => "syslinux",
            Self::Extlinux => "extlinux",
            Self::Uboot => "uboot",
            Self::Zipl => "zipl",
            Self::Aboot => "aboot",
        }
    }
}

impl FromStr for Choice {
    type Err = LoaderError;

    fn from_str(text: &str) -> Result<Self, LoaderError> {
        let found = Self::ALL.into_iter().find(|choice| choice.name() == text);
        found.ok_or_else(|| LoaderError::Unknown(text.to_owned()))
    }
}
