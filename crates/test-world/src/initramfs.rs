// SPDX-License-Identifier: MIT OR Apache-2.0
//! Initramfs images, as `cpio` and programs that compress make them.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::{run, tree};

/// Makes an initramfs of these files, piped through `compress`, behind an archive that is not compressed, as with microcode.
///
/// # Panics
///
/// There is no `cpio`, or no program to compress.
pub fn initramfs(files: &[(&str, &str)], compress: &str) -> Vec<u8> {
    let (early, main) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(early.path().join("microcode"), vec![7; 10_001]).unwrap();
    tree::write(main.path(), files);
    let mut bytes = shell("find . | cpio --quiet -o -H newc", early.path());
    bytes.extend([0; 512]);
    bytes.extend(shell(&format!("find . | cpio --quiet -o -H newc | {compress}"), main.path()));
    bytes
}

/// Gives the output of a line of the shell, run in a directory.
fn shell(line: &str, dir: &Path) -> Vec<u8> {
    run(Command::new("sh").arg("-c").arg(line).current_dir(dir).stdin(Stdio::null())).stdout
}
