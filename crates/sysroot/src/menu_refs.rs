// SPDX-License-Identifier: MIT OR Apache-2.0
//! Refs of deployments, `ostree/N/M/INDEX`: they keep the commits of deployments from a prune by hand.
//!
//! The C tools write the same names, so either may remove what the other has written. Whatever else lies below `ostree/` belongs to
//! somebody else (bootc and rpm-ostree keep the layers of containers in `ostree/container/blob/…`) and stays. The C tools remove
//! everything below `ostree/N/M/` of another N or M than the present one, whatever its name.

use anyhow::Result;
use bootloader::Slot;
use durable::fault::Mutant;
use fn_error_context::context;

use crate::sysroot::Sysroot;

const TOP: &str = "ostree";

/// Every N, and every M.
const VERSIONS: [u8; 2] = [0, 1];

/// Gives the name of the ref of a deployment, by its place in the list.
pub fn name(slot: &Slot, index: usize) -> String {
    format!("{}/{index}", directory(slot))
}

fn directory(slot: &Slot) -> String {
    format!("{TOP}/{}/{}", slot.boot_version, slot.sub_boot_version)
}

/// Whether it is the last component of such a name: a number as it is printed, so without a leading zero.
fn is_index(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|number| number.to_string() == text)
}

impl Sysroot {
    /// Lists the refs of deployments that are there, of present or of earlier ones.
    ///
    /// # Errors
    ///
    /// The refs of the repository cannot be read.
    #[context("Listing the refs of deployments")]
    pub fn deployment_refs(&self) -> Result<Vec<String>> {
        if Mutant::RefsOfOthersGo.is_on() {
            let all = self.repo().list_refs(None)?.into_iter().map(|(refspec, _)| refspec.to_string());
            return Ok(all.filter(|name| name.starts_with("ostree/")).collect());
        }
        let mut found = Vec::new();
        for boot_version in VERSIONS {
            for sub_boot_version in VERSIONS {
                let directory = directory(&Slot { boot_version, sub_boot_version });
                let names = self.repo().heads_in(&directory.parse()?)?;
                let indices = names.into_iter().filter(|name| is_index(name));
                found.extend(indices.map(|name| format!("{directory}/{name}")));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_one_way() {
        for text in ["0", "9", "10", "4294967295"] {
            assert!(is_index(text), "{text}");
        }
        for text in ["", "00", "07", "+1", "-1", "1a", "foo", "0x1", "4294967296", "1/2", " 1"] {
            assert!(!is_index(text), "{text}");
        }
    }
}
