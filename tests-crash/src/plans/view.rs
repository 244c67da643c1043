// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paths as a plan names them: from the physical root, however a program came to them.

use std::path::Path;

/// Where a session has the physical root.
#[derive(Debug, Clone)]
pub struct View {
    /// Where the test has mounted the physical root.
    pub root: String,
    /// Where a session has the root of a booted system, as the test sees it.
    pub new: String,
    /// The booted deployment, below the physical root; `None` from outside.
    pub deployment: Option<String>,
}

/// Directories in which a booted system does not have its deployment's own.
const MOUNTED: [&str; 7] = ["/run", "/usr", "/proc", "/sys", "/dev", "/tmp", "/boot"];

impl View {
    /// The path from the physical root; one that is not there is given as it is.
    pub fn physical(&self, path: &str) -> String {
        let path = strip(path, &self.new).unwrap_or_else(|| path.to_owned());
        if let Some(rest) = strip(&path, &self.root) {
            return rest;
        }
        let Some(deployment) = &self.deployment else { return path };
        if let Some(rest) = strip(&path, "/sysroot") {
            return rest;
        }
        let is_physical = ["/ostree", "/boot"].iter().any(|top| strip(&path, top).is_some());
        if is_physical || MOUNTED.iter().any(|top| strip(&path, top).is_some()) {
            return path;
        }
        format!("/{deployment}{}", path.trim_end_matches('/'))
    }
}

/// The part of a path behind a directory, with the slash; `/` for the directory itself.
fn strip(path: &str, top: &str) -> Option<String> {
    let rest = Path::new(path).strip_prefix(top).ok()?;
    Some(format!("/{}", rest.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_from_everywhere() {
        let view = View {
            root: "/tmp/x/root".to_owned(),
            new: "/tmp/x/out/new".to_owned(),
            deployment: Some("ostree/deploy/os/deploy/c.0".to_owned()),
        };
        for (seen, physical) in [
            ("/sysroot/ostree/repo", "/ostree/repo"),
            ("/sysroot", "/"),
            ("/ostree/repo", "/ostree/repo"),
            ("/boot/loader", "/boot/loader"),
            ("/sysroot/boot/loader", "/boot/loader"),
            ("/tmp/x/root/boot", "/boot"),
            ("/tmp/x/out/new/sysroot/ostree", "/ostree"),
            ("/tmp/x/out/new/run/ostree", "/run/ostree"),
            ("/etc/conf", "/ostree/deploy/os/deploy/c.0/etc/conf"),
            ("/run/ostree", "/run/ostree"),
            ("/sysrootless", "/ostree/deploy/os/deploy/c.0/sysrootless"),
        ] {
            assert_eq!(view.physical(seen), physical, "{seen}");
        }
        let outside = View { deployment: None, ..view };
        assert_eq!(outside.physical("/tmp/x/root/ostree"), "/ostree");
        assert_eq!(outside.physical("/run/ostree"), "/run/ostree");
    }
}
