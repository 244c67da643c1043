// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files that a switch writes, as plain data.

use serde::Serialize;

/// The kinds of boot files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// The kernel.
    Kernel,
    /// The initramfs.
    Initramfs,
    /// The only device tree.
    DeviceTree,
    /// One of a directory of device trees.
    DeviceTreeOf,
    /// The kernel's checksum for FIPS mode.
    Hmac,
    /// An Android boot image.
    Aboot,
    /// An initrd that is not part of the tree.
    OverlayInitrd,
}

/// A boot file that has to be brought to `/boot`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CopyFile {
    /// Its kind.
    pub kind: FileKind,
    /// Below the physical root; an absolute path is one of the running system.
    pub from: String,
    /// Below `/boot`.
    pub to: String,
    /// Bytes.
    pub size: u64,
    /// A file of another size or with other contents is there, and goes.
    pub replaces: bool,
    /// Its SELinux label. A hard link has that of the deployment's file.
    pub label: Option<String>,
}

/// A boot file that the new entries need: written by this plan or there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NeededFile {
    /// Below `/boot`.
    pub path: String,
    /// Bytes; unknown for initrds of other tools.
    pub size: Option<u64>,
}

/// A text file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NewFile {
    /// Below the new `loader.N`.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// A program that writes a file in the loader's own format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Generate {
    /// The program that is run, with `-o FILE`.
    pub program: String,
    /// The file, below the new `loader.N`.
    pub path: String,
}

/// A link from an entry's `ostree=` to its deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NewLink {
    /// Below the new `boot.N.M`: `STATEROOT/BOOTCHECKSUM/SERIAL`.
    pub path: String,
    /// Relative to the link.
    pub target: String,
}
