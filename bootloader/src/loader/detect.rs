// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which boot loader a system has.
//!
//! A system whose loader reads a configuration of its own must not get entries only: it would go on
//! booting what that configuration says, and nobody would notice.

use std::os::fd::BorrowedFd;
use std::str::FromStr;

use anyhow::Result;

use super::{BootEntriesOnly, Loader};
use crate::state::read::{kind, names, open_dir, read};

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
    /// SYSLINUX and EXTLINUX.
    Syslinux,
    /// U-Boot with `uEnv.txt`.
    Uboot,
    /// z Systems.
    Zipl,
    /// Android's.
    Aboot,
}

/// Why there is no loader to write for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoaderError {
    /// Not one of the names.
    #[error("[sysroot] bootloader={0} is not one of auto, none, grub2, syslinux, uboot, zipl, aboot")]
    Unknown(String),
    /// It is known, and there is no support for it yet.
    #[error(
        "The boot loader {name} ({because}) is not supported yet; if it reads the boot entries itself, \
         set [sysroot] bootloader=none in /ostree/repo/config"
    )]
    Unsupported {
        /// As the configuration names it.
        name: &'static str,
        /// What says so.
        because: String,
    },
}

impl Choice {
    /// As the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::None => "none",
            Self::Grub2 => "grub2",
            Self::Syslinux => "syslinux",
            Self::Uboot => "uboot",
            Self::Zipl => "zipl",
            Self::Aboot => "aboot",
        }
    }
}

impl FromStr for Choice {
    type Err = LoaderError;

    fn from_str(text: &str) -> Result<Self, LoaderError> {
        let all = [Self::Auto, Self::None, Self::Grub2, Self::Syslinux, Self::Uboot, Self::Zipl, Self::Aboot];
        let found = all.into_iter().find(|choice| choice.name() == text);
        found.ok_or_else(|| LoaderError::Unknown(text.to_owned()))
    }
}

/// The loader to write for: what the configuration says, or what is found in `/boot`.
pub fn select(choice: Choice, boot: BorrowedFd<'_>) -> Result<Box<dyn Loader>> {
    let (choice, because) = match choice {
        Choice::Auto if cfg!(target_arch = "s390x") => {
            (Choice::Zipl, "the one of this architecture".to_owned())
        }
        Choice::Auto => match detect(boot)? {
            Some((found, path)) => (found, format!("found by /boot/{path}")),
            None => (Choice::None, String::new()),
        },
        chosen => (chosen, "named by [sysroot] bootloader".to_owned()),
    };
    match choice {
        Choice::None | Choice::Auto => Ok(Box::new(BootEntriesOnly)),
        other => Err(LoaderError::Unsupported { name: other.name(), because }.into()),
    }
}

/// Looks for a loader with a configuration of its own, in the order of the C tools: syslinux, grub2, uboot.
/// Says what was found, and by which file below `/boot`.
#[fn_error_context::context("Looking for a boot loader")]
pub fn detect(boot: BorrowedFd<'_>) -> Result<Option<(Choice, String)>> {
    let there = |path: &str| Ok::<_, anyhow::Error>(kind(boot, path)?.is_some());
    let found = |choice, path: &str| Ok(Some((choice, path.to_owned())));
    if there("syslinux/syslinux.cfg")? {
        return found(Choice::Syslinux, "syslinux/syslinux.cfg");
    }
    if !grub_reads_entries(boot)? {
        for path in ["grub/grub.cfg", "grub2/grub.cfg"] {
            if there(path)? {
                return found(Choice::Grub2, path);
            }
        }
        if let Some(vendors) = open_dir(boot, "efi/EFI")? {
            for vendor in names(&vendors)?.into_iter().filter(|name| name != "BOOT") {
                let path = format!("efi/EFI/{vendor}/grub.cfg");
                if there(&path)? {
                    return found(Choice::Grub2, &path);
                }
            }
        }
    }
    if there("loader/uEnv.txt")? {
        return found(Choice::Uboot, "loader/uEnv.txt");
    }
    Ok(None)
}

/// bootupd installs GRUB configurations that never change and read the entries; it says so in its state.
fn grub_reads_entries(boot: BorrowedFd<'_>) -> Result<bool> {
    const STATE: &str = "bootupd-state.json";
    if kind(boot, STATE)?.is_none() {
        return Ok(false);
    }
    // A state that cannot be read says nothing: then the configuration that is found counts.
    let state: Option<serde_json::Value> = serde_json::from_slice(&read(boot, STATE)?).ok();
    Ok(state.is_some_and(|state| state.get("static-configs").is_some_and(|configs| !configs.is_null())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn detected(files: &[(&str, &str)]) -> Option<(Choice, String)> {
        let temp = tempfile::tempdir().unwrap();
        for (path, contents) in files {
            let path = temp.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, contents).unwrap();
        }
        detect(std::fs::File::open(temp.path()).unwrap().as_fd()).unwrap()
    }

    #[test]
    fn finds_what_the_c_tools_find() {
        let grub = ("grub2/grub.cfg", "");
        let efi = ("efi/EFI/debian/grub.cfg", "");
        for (files, expected) in [
            (&[][..], None),
            (&[grub][..], Some((Choice::Grub2, "grub2/grub.cfg"))),
            (&[efi], Some((Choice::Grub2, "efi/EFI/debian/grub.cfg"))),
            (&[("efi/EFI/BOOT/grub.cfg", "")], None),
            (&[grub, ("syslinux/syslinux.cfg", "")], Some((Choice::Syslinux, "syslinux/syslinux.cfg"))),
            (&[("loader/uEnv.txt", "")], Some((Choice::Uboot, "loader/uEnv.txt"))),
            (&[grub, efi, ("bootupd-state.json", r#"{"static-configs": {"timestamp": "x"}}"#)], None),
            (
                &[grub, ("bootupd-state.json", r#"{"static-configs": null}"#)],
                Some((Choice::Grub2, "grub2/grub.cfg")),
            ),
            (&[grub, ("bootupd-state.json", "{ half")], Some((Choice::Grub2, "grub2/grub.cfg"))),
        ] {
            let expected = expected.map(|(choice, path)| (choice, path.to_owned()));
            assert_eq!(detected(files), expected, "{files:?}");
        }
    }

    #[test]
    fn other_loaders_are_refused_by_name() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("grub")).unwrap();
        std::fs::write(temp.path().join("grub/grub.cfg"), "").unwrap();
        let boot = std::fs::File::open(temp.path()).unwrap();
        assert_eq!(select(Choice::None, boot.as_fd()).unwrap().name(), "none");
        let err = select(Choice::Auto, boot.as_fd()).unwrap_err().to_string();
        assert!(
            err.starts_with("The boot loader grub2 (found by /boot/grub/grub.cfg) is not supported"),
            "{err}"
        );
        let err = select(Choice::Zipl, boot.as_fd()).unwrap_err().to_string();
        assert!(err.starts_with("The boot loader zipl (named by [sysroot] bootloader)"), "{err}");
        assert!("grub".parse::<Choice>().is_err());
        assert_eq!("grub2".parse(), Ok(Choice::Grub2));
    }
}
