// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C `ostree` of Debian, taken along into a guest without being installed there: the program, the libraries that
//! it names and the loader that runs it, in one directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fn_error_context::context;

use crate::command;

/// The shell command that runs it in the guest, where the payload is unpacked in `/run/payload`.
pub(crate) const COMMAND: &str =
    "/run/payload/peer/ld.so --library-path /run/payload/peer/lib /run/payload/peer/ostree";

/// Where a Debian tree for this processor keeps its libraries.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Copies the peer out of the Debian tree `tree` into `DIRECTORY/peer`.
#[context("Taking the C ostree out of {}", tree.display())]
pub(crate) fn collect(tree: &Path, directory: &Path) -> Result<PathBuf> {
    let peer = directory.join("peer");
    let loader = tree.join(LIBRARIES).join("ld-linux-x86-64.so.2");
    let program = tree.join("usr/bin/ostree");
    let mut list = Command::new(&loader);
    list.arg("--library-path").arg(tree.join(LIBRARIES)).arg("--list").arg(&program);
    fs::create_dir_all(peer.join("lib")).with_context(|| format!("Creating {}", peer.display()))?;
    copy(&loader, &peer.join("ld.so"))?;
    copy(&program, &peer.join("ostree"))?;
    for library in libraries(&command::output(&mut list)?)? {
        let name = library.file_name().context("a library without a name")?;
        copy(&library, &peer.join("lib").join(name))?;
    }
    Ok(peer)
}

/// The files that the loader's list names.
fn libraries(list: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in list.lines() {
        let Some((name, rest)) = line.trim().split_once(" => ") else { continue };
        match rest.split_once(" (") {
            Some((path, _)) => found.push(PathBuf::from(path)),
            None => bail!("the library {name} is missing"),
        }
    }
    Ok(found)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("Copying {} to {}", from.display(), to.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_the_loader_is_read() {
        let list = "\tlinux-vdso.so.1 (0x00007ffe)\n\tlibostree-1.so.1 => /p/libostree-1.so.1 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 => /p/ld.so (0x00007f)\n";
        assert_eq!(
            libraries(list).unwrap(),
            [PathBuf::from("/p/libostree-1.so.1"), PathBuf::from("/p/ld.so")]
        );
        let error = libraries("\tlibsoup.so.2 => not found\n").unwrap_err();
        assert!(error.to_string().contains("libsoup.so.2"));
    }
}
