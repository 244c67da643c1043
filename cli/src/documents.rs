// SPDX-License-Identifier: MIT OR Apache-2.0
//! Manual pages and shell completions, from the definition that also parses: they cannot disagree.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::Arguments;

/// Where a distribution has them.
const MANUALS: &str = "usr/share/man/man1";
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "usr/share/bash-completion/completions/ostree"),
    (Shell::Fish, "usr/share/fish/vendor_completions.d/ostree.fish"),
    (Shell::Zsh, "usr/share/zsh/vendor-completions/_ostree"),
];

/// Writes all of them below `destdir`, each in its place.
pub fn write(destdir: &Path) -> Result<()> {
    let mut command = Arguments::command();
    let manuals = destdir.join(MANUALS);
    fs::create_dir_all(&manuals).with_context(|| format!("Creating {}", manuals.display()))?;
    clap_mangen::generate_to(command.clone(), &manuals)
        .with_context(|| format!("Writing manual pages to {}", manuals.display()))?;
    for (shell, path) in COMPLETIONS {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, "ostree", &mut text);
        write_file(&destdir.join(path), &text)?;
    }
    Ok(())
}

fn write_file(path: &Path, text: &[u8]) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("Creating {}", dir.display()))?;
    }
    fs::write(path, text).with_context(|| format!("Writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_options() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let read = |path: &str| fs::read_to_string(dir.path().join(path)).unwrap();
        assert!(read("usr/share/man/man1/ostree-admin-deploy.1").contains("\\-\\-karg\\-append"));
        assert!(read("usr/share/man/man1/ostree.1").contains("Example"));
        assert!(!dir.path().join("usr/share/man/man1/ostree-admin-instutil.1").exists());
        for (_, path) in COMPLETIONS {
            assert!(read(path).contains("stateroot-init"), "{path}");
        }
    }
}
