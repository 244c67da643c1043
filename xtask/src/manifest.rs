// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files that a distribution installs, and their places: one table.

/// Where the file of a row comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// A program of `cargo build --release`, by name.
    Program(&'static str),
    /// The static program of the initramfs.
    Static,
    /// A file of the checkout.
    File(&'static str),
    /// All manual pages and completions, which are made from the command line's definition.
    Documents,
    /// Every file with this ending directly in a folder of the checkout; there has to be one.
    All {
        /// The folder.
        folder: &'static str,
        /// The end of the names.
        ending: &'static str,
    },
}

/// One row.
pub(crate) struct Row {
    /// What.
    pub(crate) source: Source,
    /// The file to make; the folder to fill for [`Source::All`]. Below `/`.
    pub(crate) destination: &'static str,
    /// Permission bits.
    pub(crate) mode: u32,
}

const fn row(source: Source, destination: &'static str, mode: u32) -> Row {
    Row { source, destination, mode }
}

const fn all(folder: &'static str, ending: &'static str) -> Source {
    Source::All { folder, ending }
}

/// The table.
pub(crate) const MANIFEST: &[Row] = &[
    row(Source::Program("ostree"), "usr/bin/ostree", 0o755),
    row(Source::Program("ostree-bootloader"), "usr/bin/ostree-bootloader", 0o755),
    row(Source::Static, "usr/lib/ostree/ostree-prepare-root", 0o755),
    row(Source::Program("ostree-remount"), "usr/lib/ostree/ostree-remount", 0o755),
    row(Source::Program("ostree-finalize-staged"), "usr/lib/ostree/ostree-finalize-staged", 0o755),
    row(Source::Program("ostree-boot-complete"), "usr/lib/ostree/ostree-boot-complete", 0o755),
    row(Source::Program("ostree-boot-good"), "usr/lib/ostree/ostree-boot-good", 0o755),
    row(
        Source::Program("ostree-system-generator"),
        "usr/lib/systemd/system-generators/ostree-system-generator",
        0o755,
    ),
    // For who links it into /etc/grub.d.
    row(Source::File("grub-scripts/15_ostree"), "usr/libexec/libostree/grub2-15_ostree", 0o755),
    row(all("systemd-units", ".service"), "usr/lib/systemd/system", 0o644),
    row(all("systemd-units", ".conf"), "usr/lib/tmpfiles.d", 0o644),
    row(all("systemd-units", ".catalog"), "usr/lib/systemd/catalog", 0o644),
    row(all("dracut/50ostree", ".sh"), "usr/lib/dracut/modules.d/50ostree", 0o755),
    row(all("dracut", ".conf"), "usr/lib/dracut/dracut.conf.d", 0o644),
    row(Source::Documents, "usr", 0o644),
    row(Source::File("LICENSE-MIT"), "usr/share/licenses/ostree/LICENSE-MIT", 0o644),
    row(Source::File("LICENSE-APACHE"), "usr/share/licenses/ostree/LICENSE-APACHE", 0o644),
    row(Source::File("README.md"), "usr/share/doc/ostree/README.md", 0o644),
    row(all("docs", ".md"), "usr/share/doc/ostree", 0o644),
];
