// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shrunk cases that once differed: shell scripts that have to do the same with the two programs, in each place.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fn_error_context::context;

use crate::snapshot::{self, Snapshot};
use crate::world::Programs;

/// Every script of `rows/`, with its name.
pub(crate) const ROWS: &[(&str, &str)] = &[
    ("checkout-user-mode-sticky", include_str!("../rows/checkout-user-mode-sticky.sh")),
    ("checkout-whiteout-link", include_str!("../rows/checkout-whiteout-link.sh")),
];

/// The output and what is left on the disk.
type Left = (String, Snapshot);

/// Runs a script both ways round; an error says what differs.
#[context("Comparing the row {name}")]
pub(crate) fn compare(programs: &Programs, name: &str, script: &str) -> Result<()> {
    let place =
        tempfile::Builder::new().prefix("diff-peer.").tempdir_in("/var/tmp").context("Making a directory")?;
    let (ours, peer) = (programs.ours.as_path(), programs.peer.as_path());
    let one = run(&place.path().join("a"), script, ours, peer)?;
    let other = run(&place.path().join("b"), script, peer, ours)?;
    if one.0 != other.0 {
        bail!("the output differs:\n-- ours first:\n{}-- the peer first:\n{}", one.0, other.0);
    }
    for (path, text) in &one.1 {
        let text_there = other.1.get(path).map_or("is not there", String::as_str);
        if text != text_there {
            bail!("{path:?} differs:\n-{text}\n+{text_there}");
        }
    }
    if let Some(path) = other.1.keys().find(|path| !one.1.contains_key(*path)) {
        bail!("{path:?} is only there with the peer first");
    }
    Ok(())
}

fn run(dir: &Path, script: &str, first: &Path, second: &Path) -> Result<Left> {
    fs::create_dir(dir).with_context(|| format!("Making {}", dir.display()))?;
    let output = Command::new("sh")
        .args(["-c", script])
        .current_dir(dir)
        .env_clear()
        .envs([
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
            ("HOME", "/"),
        ])
        .env("O", first)
        .env("P", second)
        .stdin(Stdio::null())
        .output()
        .context("Running sh")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !text.contains("status ") {
        bail!("it ran no command: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok((text, snapshot::take(dir)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_of_the_folder_is_in_the_list() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rows");
        let mut files: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let listed: Vec<String> = ROWS.iter().map(|(name, _)| format!("{name}.sh")).collect();
        assert_eq!(files, listed);
    }
}
