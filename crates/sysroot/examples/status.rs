// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shows the deployments of a physical root, as `ostree admin status` does: `cargo run --example status -- /`.
//!
//! It needs no privileges and takes no lock. The crate `sysroot` is enough for it.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;

use sysroot::Sysroot;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(path) => show(Path::new(&path), &mut io::stdout()),
        None => {
            println!("usage: status PATH");
            Ok(())
        }
    }
}

/// Writes a line for each deployment, and one for the next boot.
pub(crate) fn show(path: &Path, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let status = Sysroot::open(path)?.status()?;
    for row in &status.deployments {
        let mark = if row.booted { '*' } else { ' ' };
        let version = row.version.as_deref().unwrap_or("no version");
        writeln!(out, "{mark} {}: {} {}.{} ({version})", row.index, row.stateroot, row.checksum, row.serial)?;
    }
    writeln!(out, "Next boot: {}", status.next_boot.because)?;
    for note in &status.notes {
        writeln!(out, "Note: {}", note.text)?;
    }
    Ok(())
}
