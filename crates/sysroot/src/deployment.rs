// SPDX-License-Identifier: MIT OR Apache-2.0
//! A deployment as it stands on the disk, and its origin.

use formats::Checksum;
use formats::bls::Entry;
use formats::bootlink::DeploymentPath;
use formats::kernel_args::KernelArgs;
use formats::keyfile::Keyfile;

/// A deployment that a boot entry leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Where it is, and what it is a checkout of.
    pub path: DeploymentPath,
    /// Checksum over its kernel, initramfs and device trees.
    pub boot_checksum: Checksum,
    /// Its boot entry.
    pub entry: Entry,
    /// Where it came from and how it is treated; empty where the file is missing or cannot be read.
    pub origin: Origin,
    /// Why its origin cannot be read, if it cannot: then nothing is known of it, a pin as little as the rest.
    pub origin_problem: Option<String>,
    /// Whether the running system is this one.
    pub booted: bool,
    /// Whether it is no part of the boot menu yet: it takes the first place in it at shutdown.
    pub staged: bool,
    /// Whether it runs without being part of the boot menu; the next change of the menu makes it a part.
    pub unlisted: bool,
}

impl Deployment {
    /// The kernel arguments; `ostree=` among them belongs to the entry and is set anew by each switch.
    pub fn kernel_args(&self) -> KernelArgs {
        KernelArgs::parse(&self.entry.options())
    }

    /// Whether it must be kept: it is pinned, or nobody can tell.
    pub fn may_be_pinned(&self) -> bool {
        self.origin.pinned() || self.origin_problem.is_some()
    }

    /// Its origin, for those who write it anew or inherit from it.
    ///
    /// Errors: it cannot be read, and what is in it would be lost.
    pub fn known_origin(&self) -> anyhow::Result<&Origin> {
        match &self.origin_problem {
            None => Ok(&self.origin),
            Some(problem) => anyhow::bail!(
                "/{}.origin cannot be read: {problem}; `ostree admin set-origin` writes it anew, or remove it",
                self.path
            ),
        }
    }
}

/// The key file beside a deployment, `CHECKSUM.SERIAL.origin`.
///
/// ```text
/// [origin]
/// refspec=REMOTE:BRANCH                what upgrades follow
/// override-commit=CHECKSUM             a commit to stay on
/// unconfigured-state=MESSAGE           why upgrades are refused until an administrator did something
/// unlocked=development|hotfix|...      the deployment's /usr is writable
///
/// [libostree-transient]
/// pinned=true                          never removed by cleanup
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin(pub Keyfile);

impl Origin {
    const GROUP: &str = "origin";
    const TRANSIENT: &str = "libostree-transient";

    /// An origin that follows `refspec`.
    pub fn new(refspec: &str) -> Self {
        let mut file = Keyfile::default();
        file.set_string(Self::GROUP, "refspec", refspec);
        Self(file)
    }

    /// The refspec that upgrades follow.
    pub fn refspec(&self) -> Option<String> {
        self.text("refspec")
    }

    /// A commit to stay on.
    pub fn override_commit(&self) -> Option<String> {
        self.text("override-commit")
    }

    /// How the deployment is unlocked, if it is.
    pub fn unlocked(&self) -> Option<String> {
        self.text("unlocked").filter(|how| how != "none")
    }

    /// Whether cleanup must keep the deployment.
    pub fn pinned(&self) -> bool {
        self.0.boolean(Self::TRANSIENT, "pinned").ok().flatten().unwrap_or(false)
    }

    /// The same origin, pinned or not.
    pub fn with_pin(mut self, on: bool) -> Self {
        if on {
            self.0.set_boolean(Self::TRANSIENT, "pinned", true);
        } else {
            self.0.remove_key(Self::TRANSIENT, "pinned");
        }
        self
    }

    /// Returns the origin that a new deployment inherits: without the keys that were about the old one alone.
    pub fn for_new_deployment(mut self) -> Self {
        self.0.remove_group(Self::TRANSIENT);
        self.0.remove_key(Self::GROUP, "unlocked");
        self
    }

    /// A value that cannot be read is as good as none: an origin must never stop `status`.
    fn text(&self, key: &str) -> Option<String> {
        self.0.string(Self::GROUP, key).ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_inherited_without_what_was_transient() {
        let text = "[origin]\nrefspec=r:b\nunlocked=hotfix\n\n[libostree-transient]\npinned=true\n";
        let origin = Origin(Keyfile::parse(text).unwrap());
        assert_eq!(origin.refspec().as_deref(), Some("r:b"));
        assert_eq!(origin.unlocked().as_deref(), Some("hotfix"));
        assert!(origin.pinned());
        let inherited = origin.for_new_deployment();
        assert_eq!(inherited.0.to_string(), "[origin]\nrefspec=r:b\n\n");
        assert!(!inherited.pinned());
    }
}
