// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which boot loader a system has.
//!
//! A system whose loader reads a configuration of its own must not get entries only: it would go on
//! booting what that configuration says, and nobody would notice.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use formats::grubenv::Grubenv;

use super::aboot::Aboot;
use super::beside::Beside;
use super::choice::Choice;
use super::grub2::{self, Grub2};
use super::interface::{EntryPoint, Installed, Loader};
use super::none::BootEntriesOnly;
use super::place;
use super::syslinux::{Extlinux, Syslinux};
use super::uboot::Uboot;
use super::zipl::Zipl;
use crate::dirs::{kind, names, open_dir, read, read_link, read_text};

impl Installed {
    /// Compares the EFI partition that is mounted with the one that the machine was booted from, of which [`booted_partition`] tells:
    /// what is written to another one the firmware does not read.
    ///
    /// [`booted_partition`]: super::booted_partition
    pub fn compare_esp(&mut self, boot: BorrowedFd<'_>, booted: Option<String>) -> Result<()> {
        let is_on_esp = self.entry_point.as_ref().is_some_and(|point| point.path.starts_with("efi/"));
        if let (true, Some(esp), Some(booted)) = (is_on_esp, open_dir(boot, "efi")?, booted) {
            self.other_esp = place::is_another(esp.as_fd(), &booted)?.then_some(booted);
        }
        Ok(())
    }
}

/// The loader to write for: what the configuration says, or what is found in `/boot`.
pub fn select(choice: Choice, boot: BorrowedFd<'_>) -> Result<Installed> {
    let found = detect(boot)?;
    let grub = grub_point(boot, found.as_ref())?;
    let (choice, because) = match (choice, &found) {
        (Choice::Auto, _) if cfg!(target_arch = "s390x") => {
            (Choice::Zipl, "it is the one of this architecture".to_owned())
        }
        (Choice::Auto, Some((found, path))) => (*found, format!("/boot/{path} is there")),
        (Choice::Auto, None) => {
            return Ok(Installed { beside: beside(boot, grub.as_ref()), ..Installed::default() });
        }
        (chosen, _) => (chosen, "[sysroot] bootloader says so".to_owned()),
    };
    let loader: &'static dyn Loader = match choice {
        Choice::Auto | Choice::None => &BootEntriesOnly,
        Choice::Grub2 => &Grub2,
        Choice::Syslinux => &Syslinux,
        Choice::Extlinux => &Extlinux,
        Choice::Uboot => &Uboot,
        Choice::Zipl => &Zipl,
        Choice::Aboot => &Aboot,
    };
    // Of a loader that was named its file is known only if it is the one that is found, too.
    let path = found.filter(|(found, path)| *found == choice && !path.starts_with("loader/"));
    let entry_point = match (path, &grub) {
        (Some((Choice::Grub2, _)), Some(point)) => Some(point.clone()),
        (path, _) => path.map(|(_, path)| read_entry_point(boot, path)).transpose()?,
    };
    let elsewhere = entry_point.as_ref().is_some_and(|point| point.path.starts_with("efi/"));
    let boot_uuid = if elsewhere { uuid(boot)? } else { None };
    let subvolume =
        if grub.is_some() || choice == Choice::Grub2 { place::path_in_btrfs(boot)? } else { None };
    let beside = beside(boot, grub.as_ref());
    Ok(Installed { loader, because, entry_point, boot_uuid, beside, subvolume, other_esp: None })
}

/// The file where GRUB begins, whichever loader is written for: the one that is found or, where bootupd has installed it, its own.
fn grub_point(boot: BorrowedFd<'_>, found: Option<&(Choice, String)>) -> Result<Option<EntryPoint>> {
    let path = match found {
        Some((Choice::Grub2, path)) if path != MENU => path,
        None if grub_reads_entries(boot)? => "grub2/grub.cfg",
        _ => return Ok(None),
    };
    read_entry_point(boot, path.to_owned()).map(Some)
}

fn beside(boot: BorrowedFd<'_>, grub: Option<&EntryPoint>) -> Beside {
    grub.map(|point| Beside::read(boot, point)).unwrap_or_default()
}

impl Beside {
    /// Reads what is in the directory that GRUB, beginning at this file, has as its own. What cannot be read is not there for GRUB
    /// either.
    fn read(boot: BorrowedFd<'_>, point: &EntryPoint) -> Self {
        let dir = grub2::directory(&point.path, &point.text);
        let text = |name: &str| read_text(boot, &format!("{dir}/{name}")).ok().flatten();
        let environment = text("grubenv").and_then(|block| Grubenv::parse(block.as_bytes()).ok());
        Self { environment, custom: text("custom.cfg"), script: Some(point.text.clone()), dir }
    }
}

fn read_entry_point(boot: BorrowedFd<'_>, path: String) -> Result<EntryPoint> {
    let link = read_link(boot, &path)?;
    // A link into a set that is not there yet: nothing was deployed so far (ostree#1774).
    let text = read_text(boot, &path)?.unwrap_or_default();
    Ok(EntryPoint { path, link, text })
}

/// The UUID of the file system that `/boot` is on, by its device; `None` where udev knows none.
fn uuid(boot: BorrowedFd<'_>) -> Result<Option<String>> {
    const LINKS: &str = "/dev/disk/by-uuid";
    let device = place::device(boot)?;
    let Ok(links) = std::fs::read_dir(LINKS) else { return Ok(None) };
    let is_it =
        |link: &std::fs::DirEntry| rustix::fs::stat(link.path()).is_ok_and(|stat| stat.st_rdev == device);
    let name = links.flatten().find(is_it).map(|link| link.file_name());
    Ok(name.and_then(|name| name.into_string().ok()))
}

/// Looks for a loader with a configuration of its own, in the order of the C tools: syslinux, grub2, uboot. An
/// `extlinux.conf` counts behind syslinux, and only as a link into the chosen set: the C tools do not know it.
/// Says what was found, and by which file below `/boot`.
#[fn_error_context::context("Looking for a boot loader")]
pub fn detect(boot: BorrowedFd<'_>) -> Result<Option<(Choice, String)>> {
    let there = |path: &str| Ok::<_, anyhow::Error>(kind(boot, path)?.is_some());
    let found = |choice, path: &str| Ok(Some((choice, path.to_owned())));
    if there("syslinux/syslinux.cfg")? {
        return found(Choice::Syslinux, "syslinux/syslinux.cfg");
    }
    let extlinux = read_link(boot, "extlinux/extlinux.conf")?;
    if extlinux.is_some_and(|target| target.ends_with("loader/extlinux.conf")) {
        return found(Choice::Extlinux, "extlinux/extlinux.conf");
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
        // Its first file is on an EFI partition that is not mounted, and leads to this menu: to leave that as it is would
        // leave the machine with entries that are gone. The C tools do not look for it.
        if there(MENU)? {
            return found(Choice::Grub2, MENU);
        }
    }
    if there("loader/uEnv.txt")? {
        return found(Choice::Uboot, "loader/uEnv.txt");
    }
    Ok(None)
}

/// GRUB's menu in the chosen set.
const MENU: &str = "loader/grub.cfg";

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
    use super::super::interface::Reads;
    use super::*;

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
    fn a_menu_without_its_first_file_is_kept_up() {
        let menu = ("loader/grub.cfg", "");
        assert_eq!(detected(&[menu]), Some((Choice::Grub2, "loader/grub.cfg".to_owned())));
        assert_eq!(detected(&[menu, ("bootupd-state.json", r#"{"static-configs": {}}"#)]), None);
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("loader")).unwrap();
        std::fs::write(temp.path().join(menu.0), menu.1).unwrap();
        let boot = std::fs::File::open(temp.path()).unwrap();
        let installed = select(Choice::Auto, boot.as_fd()).unwrap();
        assert_eq!((installed.reads(), installed.entry_point), (Reads::OurFile, None));
    }

    #[test]
    fn the_configuration_goes_before_what_is_found() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("grub")).unwrap();
        std::fs::write(temp.path().join("grub/grub.cfg"), "blscfg\n").unwrap();
        let boot = std::fs::File::open(temp.path()).unwrap();
        let select = |choice: &str| select(choice.parse().unwrap(), boot.as_fd()).unwrap();
        for (choice, name, point) in [
            ("auto", "grub2", Some("grub/grub.cfg")),
            ("grub2", "grub2", Some("grub/grub.cfg")),
            ("none", "none", None),
            ("syslinux", "syslinux", None),
            ("zipl", "zipl", None),
        ] {
            let installed = select(choice);
            assert_eq!(installed.loader.name(), name);
            assert_eq!(installed.entry_point.map(|point| point.path).as_deref(), point, "{choice}");
        }
        assert_eq!(select("auto").reads(), Reads::BootEntries);
        assert!("grub".parse::<Choice>().is_err());
    }

    #[test]
    fn extlinux_is_found_by_its_link_only() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("extlinux");
        std::fs::create_dir(&dir).unwrap();
        let boot = std::fs::File::open(temp.path()).unwrap();
        std::fs::write(dir.join("extlinux.conf"), "LABEL debian\n").unwrap();
        assert_eq!(detect(boot.as_fd()).unwrap(), None);
        std::fs::remove_file(dir.join("extlinux.conf")).unwrap();
        std::os::unix::fs::symlink("../loader/extlinux.conf", dir.join("extlinux.conf")).unwrap();
        assert_eq!(detect(boot.as_fd()).unwrap().unwrap().0, Choice::Extlinux);
        let installed = select(Choice::Auto, boot.as_fd()).unwrap();
        assert_eq!(installed.reads(), Reads::OurFile, "a link that leads nowhere yet");
    }
}
