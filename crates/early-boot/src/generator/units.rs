// SPDX-License-Identifier: MIT OR Apache-2.0
//! The units themselves.
//!
//! None of the mounts has default dependencies. Those would order a mount after a device, which hangs after a
//! soft reboot while udev starts again; and they would make it conflict with `umount.target`, which would wait for
//! `ostree-remount.service`, which waits for the mount. All come from `/sysroot`, and need that only.

const HEADER: &str = "# Written by ostree-system-generator.\n\n";
const REMOUNT: &str = "/usr/lib/systemd/system/ostree-remount.service";
const BOOT_COMPLETE: &str = "/usr/lib/systemd/system/ostree-boot-complete.service";
const BOOT_GOOD: &str = "/usr/lib/systemd/system/ostree-boot-good.service";

/// The facts that the units depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The stateroot that was booted; `None` where it is unknown.
    pub stateroot: Option<String>,
    /// `fstab` has a file system for `/var`, or cannot be read and may have one.
    pub var_in_fstab: bool,
    /// The same for `/boot`.
    pub boot_in_fstab: bool,
    /// The boot loader's files are on the physical root itself.
    pub boot_on_sysroot: bool,
}

/// Something to create in a directory of units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A file.
    File {
        /// Relative to the directory.
        path: &'static str,
        /// Its content.
        content: String,
    },
    /// A symbolic link.
    Link {
        /// Relative to the directory.
        path: &'static str,
        /// Where it leads.
        target: &'static str,
    },
}

/// Returns the units of a boot.
pub fn plan(facts: &Facts) -> Vec<Item> {
    let mut items = vec![
        Item::Link { path: "local-fs.target.requires/ostree-remount.service", target: REMOUNT },
        Item::Link { path: "multi-user.target.wants/ostree-boot-complete.service", target: BOOT_COMPLETE },
        Item::Link { path: "multi-user.target.wants/ostree-boot-good.service", target: BOOT_GOOD },
        // Mounted by the initramfs, and not to be mounted again without it: a soft reboot must leave it.
        Item::File { path: "sysroot.mount.d/50-ostree.conf", content: sysroot_dropin() },
    ];
    if facts.boot_on_sysroot && !facts.boot_in_fstab {
        items.push(Item::File { path: "boot.mount", content: boot_mount() });
        items.push(Item::Link { path: "local-fs.target.requires/boot.mount", target: "../boot.mount" });
    }
    if let Some(stateroot) = facts.stateroot.as_ref().filter(|_| !facts.var_in_fstab) {
        items.push(Item::File { path: "var.mount", content: var_mount(stateroot) });
        items.push(Item::Link { path: "local-fs.target.requires/var.mount", target: "../var.mount" });
    }
    items
}

fn sysroot_dropin() -> String {
    format!(
        "{HEADER}[Unit]\n\
         DefaultDependencies=no\n\
         After=local-fs-pre.target\n\
         Before=local-fs.target\n"
    )
}

fn boot_mount() -> String {
    format!(
        "{HEADER}[Unit]\n\
         Description=Boot Loader Files\n\
         DefaultDependencies=no\n\
         After=local-fs-pre.target sysroot.mount\n\
         Before=local-fs.target\n\
         \n\
         [Mount]\n\
         Where=/boot\n\
         What=/sysroot/boot\n\
         Options=bind\n"
    )
}

/// `slave` and `shared`: what is mounted below `/var` must not appear in the stateroot as well, and must reach
/// services in mount namespaces of their own (ostree#2086).
fn var_mount(stateroot: &str) -> String {
    // systemd expands `%`; blanks and quotes cannot be in the name of a stateroot.
    let stateroot = stateroot.replace('%', "%%");
    format!(
        "{HEADER}[Unit]\n\
         Description=State of the Stateroot\n\
         DefaultDependencies=no\n\
         ConditionKernelCommandLine=!systemd.volatile\n\
         After=local-fs-pre.target sysroot.mount\n\
         Before=local-fs.target\n\
         \n\
         [Mount]\n\
         Where=/var\n\
         What=/sysroot/ostree/deploy/{stateroot}/var\n\
         Options=bind,slave,shared\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(change: impl FnOnce(&mut Facts)) -> Vec<&'static str> {
        let mut facts = Facts {
            stateroot: Some("debian".to_owned()),
            var_in_fstab: false,
            boot_in_fstab: false,
            boot_on_sysroot: false,
        };
        change(&mut facts);
        plan(&facts).iter().map(Item::path).collect()
    }

    const ALWAYS: &[&str] = &[
        "local-fs.target.requires/ostree-remount.service",
        "multi-user.target.wants/ostree-boot-complete.service",
        "multi-user.target.wants/ostree-boot-good.service",
        "sysroot.mount.d/50-ostree.conf",
    ];
    const VAR: &[&str] = &["var.mount", "local-fs.target.requires/var.mount"];
    const BOOT: &[&str] = &["boot.mount", "local-fs.target.requires/boot.mount"];

    #[test]
    fn fstab_comes_first() {
        assert_eq!(paths(|_| {}), [ALWAYS, VAR].concat());
        assert_eq!(paths(|facts| facts.var_in_fstab = true), ALWAYS);
        assert_eq!(paths(|facts| facts.boot_on_sysroot = true), [ALWAYS, BOOT, VAR].concat());
        let with_boot = paths(|facts| (facts.boot_on_sysroot, facts.boot_in_fstab) = (true, true));
        assert_eq!(with_boot, [ALWAYS, VAR].concat());
        assert_eq!(paths(|facts| facts.stateroot = None), ALWAYS);
    }

    #[test]
    fn systemd_does_not_expand_the_name_of_a_stateroot() {
        assert!(var_mount("a%n").contains("\nWhat=/sysroot/ostree/deploy/a%%n/var\n"));
    }
}
