// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two paths that lead from a boot entry to a deployment.
//!
//! ```text
//! ostree=/ostree/boot.1/debian/<boot checksum>/0          the kernel argument: a Bootlink
//!        /ostree/boot.1 -> boot.1.0                        switched when only the inside changes
//!        /ostree/boot.1.0/debian/<boot checksum>/0 -> ../../../deploy/debian/deploy/<checksum>.0
//!        /ostree/deploy/debian/deploy/<checksum>.0         the deployment: a DeploymentPath
//! ```

use std::fmt;
use std::str::FromStr;

use crate::Checksum;

/// The value of `ostree=`: which link leads to the deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bootlink {
    /// Which of the two sets of boot entries, 0 or 1.
    pub boot_version: u8,
    /// The operating system's state directory.
    pub stateroot: String,
    /// Checksum over kernel, initramfs and device trees.
    pub boot_checksum: Checksum,
    /// Counts the deployments of this stateroot that share these boot files.
    pub boot_serial: u32,
}

/// A deployment, by its place below the physical root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentPath {
    /// The operating system's state directory.
    pub stateroot: String,
    /// The commit that was checked out.
    pub checksum: Checksum,
    /// Counts the deployments of this commit in this stateroot.
    pub deploy_serial: u32,
}

/// A text that does not follow the grammar of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not a [`Bootlink`].
    #[error("{0:?} is not of the form /ostree/boot.[01]/STATEROOT/BOOTCHECKSUM/SERIAL")]
    Bootlink(String),
    /// Not a [`DeploymentPath`].
    #[error("{0:?} is not of the form ostree/deploy/STATEROOT/deploy/CHECKSUM.SERIAL")]
    Deployment(String),
}

impl DeploymentPath {
    /// The directory's own name, `CHECKSUM.SERIAL`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.checksum, self.deploy_serial)
    }

    /// Reads a directory's name, `CHECKSUM.SERIAL`, as a deployment of `stateroot`.
    pub fn from_name(stateroot: &str, name: &str) -> Option<Self> {
        let (checksum, deploy_serial) = name.split_once('.')?;
        Some(Self {
            stateroot: stateroot.to_owned(),
            checksum: checksum.parse().ok()?,
            deploy_serial: serial(deploy_serial)?,
        })
    }
}

impl FromStr for Bootlink {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let read = || {
            let rest = text.strip_prefix("/ostree/boot.")?;
            let mut parts = rest.split('/');
            let boot_version = match parts.next()? {
                "0" => 0,
                "1" => 1,
                _ => return None,
            };
            let stateroot = parts.next().filter(|name| is_stateroot(name))?.to_owned();
            let boot_checksum = parts.next()?.parse().ok()?;
            let boot_serial = serial(parts.next()?)?;
            parts.next().is_none().then_some(Self { boot_version, stateroot, boot_checksum, boot_serial })
        };
        read().ok_or_else(|| PathError::Bootlink(text.to_owned()))
    }
}

impl FromStr for DeploymentPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let read = || {
            let (stateroot, rest) = text.strip_prefix("ostree/deploy/")?.split_once('/')?;
            let name = rest.strip_prefix("deploy/")?;
            is_stateroot(stateroot).then(|| Self::from_name(stateroot, name))?
        };
        read().ok_or_else(|| PathError::Deployment(text.to_owned()))
    }
}

impl fmt::Display for Bootlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boot_version, stateroot, boot_checksum, boot_serial } = self;
        write!(f, "/ostree/boot.{boot_version}/{stateroot}/{boot_checksum}/{boot_serial}")
    }
}

impl fmt::Display for DeploymentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stateroot, checksum, deploy_serial } = self;
        write!(f, "ostree/deploy/{stateroot}/deploy/{checksum}.{deploy_serial}")
    }
}

/// Whether a name can be a stateroot: one path component that is no `.` or `..`, and that survives a kernel
/// command line, so without blanks and quotes.
pub fn is_stateroot(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.contains(|c: char| c == '/' || c == '"' || c.is_whitespace() || c.is_control())
}

/// A decimal number in its one canonical spelling: it is part of a file name.
fn serial(text: &str) -> Option<u32> {
    let number = text.parse::<u32>().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn round_trips() {
        let link = format!("/ostree/boot.1/debian/{SUM}/0");
        assert_eq!(link.parse::<Bootlink>().unwrap().to_string(), link);
        let path = format!("ostree/deploy/debian/deploy/{SUM}.12");
        assert_eq!(path.parse::<DeploymentPath>().unwrap().to_string(), path);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            String::new(),
            format!("ostree/boot.1/debian/{SUM}/0"),
            format!("/ostree/boot.2/debian/{SUM}/0"),
            format!("/ostree/boot.1//{SUM}/0"),
            format!("/ostree/boot.1/../{SUM}/0"),
            format!("/ostree/boot.1/debian/{SUM}/00"),
            format!("/ostree/boot.1/debian/{SUM}/+1"),
            format!("/ostree/boot.1/debian/{SUM}/0/"),
            format!("/ostree/boot.1/debian/{}/0", &SUM[1..]),
            format!("/ostree/boot.1/debian/{SUM}/99999999999"),
        ] {
            assert!(text.parse::<Bootlink>().is_err(), "{text}");
        }
        for text in [
            format!("/ostree/deploy/debian/deploy/{SUM}.0"),
            format!("ostree/deploy/debian/{SUM}.0"),
            format!("ostree/deploy/../deploy/{SUM}.0"),
            format!("ostree/deploy/debian/deploy/{SUM}"),
            format!("ostree/deploy/debian/deploy/{SUM}.0.origin"),
            format!("ostree/deploy/debian/deploy/{SUM}.-1"),
        ] {
            assert!(text.parse::<DeploymentPath>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_result(text in "(/?ostree/(boot\\.|deploy/))?[01ab./]{0,80}") {
            if let Ok(link) = text.parse::<Bootlink>() {
                prop_assert_eq!(link.to_string(), text.clone());
            }
            if let Ok(path) = text.parse::<DeploymentPath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
