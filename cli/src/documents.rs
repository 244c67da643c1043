// SPDX-License-Identifier: MIT OR Apache-2.0
//! Manual pages and shell completions, from the definition that also parses: they cannot disagree.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::grammar::refused;
use crate::{Arguments, boot_loader};

/// Where a distribution has them.
const MANUALS: &str = "usr/share/man/man1";
const COMPLETIONS: [(Shell, &str, &str); 3] = [
    (Shell::Bash, "usr/share/bash-completion/completions/", ""),
    (Shell::Fish, "usr/share/fish/vendor_completions.d/", ".fish"),
    (Shell::Zsh, "usr/share/zsh/vendor-completions/_", ""),
];

/// Writes all of them below `destdir`, each in its place.
pub fn write(destdir: &Path) -> Result<()> {
    for command in [refused::describe(Arguments::command()), boot_loader::Arguments::command()] {
        write_of(command, destdir)?;
    }
    let page = destdir.join(MANUALS).join("ostree-prepare-root.1");
    write_file(&page, prepare_root_page(prepare_root::cli::HELP).as_bytes())
}

/// The static program has no parser to make a page from: what it says of itself stands there as it is.
fn prepare_root_page(help: &str) -> String {
    let text: Vec<String> = help.lines().map(|line| line.replace('-', "\\-")).collect();
    format!(
        ".TH ostree\\-prepare\\-root 1\n.SH NAME\nostree\\-prepare\\-root \\- mount an OSTree deployment as the root\n\
         .SH DESCRIPTION\n.nf\n{}\n.fi\n.SH SEE ALSO\nostree(1)\n",
        text.join("\n")
    )
}

fn write_of(mut command: Command, destdir: &Path) -> Result<()> {
    let name = command.get_name().to_owned();
    let manuals = destdir.join(MANUALS);
    fs::create_dir_all(&manuals).with_context(|| format!("Creating {}", manuals.display()))?;
    clap_mangen::generate_to(command.clone(), &manuals)
        .with_context(|| format!("Writing manual pages to {}", manuals.display()))?;
    for (shell, before, after) in COMPLETIONS {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, &name, &mut text);
        write_file(&destdir.join(format!("{before}{name}{after}")), &text)?;
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
        assert!(read("usr/share/man/man1/ostree-commit.1").contains("refused by name"));
        assert!(read("usr/share/man/man1/ostree-prepare-root.1").contains("\n  \\-\\-plan=json "));
        assert!(!dir.path().join("usr/share/man/man1/ostree-admin-instutil.1").exists());
        assert!(read("usr/share/man/man1/ostree-bootloader-verify.1").contains("Example"));
        for (_, before, after) in COMPLETIONS {
            assert!(read(&format!("{before}ostree{after}")).contains("stateroot-init"), "{before}");
            assert!(read(&format!("{before}ostree-bootloader{after}")).contains("regenerate"), "{before}");
        }
    }
}
