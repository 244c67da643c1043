// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why nothing can be written for a loader.

/// Why nothing can be written for a loader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoaderError {
    /// Not one of the names.
    #[error(
        "[sysroot] bootloader={0} is not one of auto, none, grub2, syslinux, extlinux, uboot, zipl, aboot"
    )]
    Unknown(String),
    /// It would go on booting what another configuration says, and nobody would notice.
    #[error(
        "The boot loader {name} reads /boot/{path}, which leads to no deployment and {problem}; {remedy}"
    )]
    Elsewhere {
        /// As the configuration names it.
        name: &'static str,
        /// Below `/boot`.
        path: String,
        /// Why that file is not simply replaced.
        problem: String,
        /// A way out, for a person.
        remedy: &'static str,
    },
    /// GRUB would go on with the menu of the EFI partition that it was loaded from.
    #[error(
        "The EFI partition at /boot/efi is not the one that the machine was booted from, which is {0}; mount that one there and try again"
    )]
    OtherEsp(String),
    /// More initrds than it can load.
    #[error(
        "Boot entry {entry} has several initrds, and the boot loader {loader} loads one: leave out --overlay-initrd, or \
         remove the initrd lines of others from the entry that it takes over"
    )]
    OneInitrd {
        /// As the configuration names it.
        loader: &'static str,
        /// The entry's file name.
        entry: String,
    },
    /// A text that would break out of its place in a file.
    #[error("Boot entry {entry}: {what} holds a line break")]
    LineBreak {
        /// The entry's file name.
        entry: String,
        /// The field.
        what: &'static str,
    },
    /// No boot image.
    #[error("The boot entry has no key {0}, which aboot-deploy needs")]
    NoAboot(&'static str),
    /// Encrypted boot images are not built.
    #[error(
        "This is a guest of Secure Execution, and encrypted boot images are not supported; use zipl by hand"
    )]
    SecureExecution,
}
