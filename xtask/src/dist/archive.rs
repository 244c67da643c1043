// SPDX-License-Identifier: MIT OR Apache-2.0
//! The source archive: what is committed, the crates of others, and nothing of the machine that makes it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::process;
use crate::workspace::Workspace;

/// The crates have their own lock files.
const FUZZ: [&str; 2] = ["crates/formats/fuzz/Cargo.toml", "tests-crash/fuzz/Cargo.toml"];

/// Makes cargo take every crate from the archive.
const SOURCES: &str = "
# Every crate is in vendor/: nothing is downloaded.
[source.crates-io]
replace-with = \"vendored-sources\"

[source.vendored-sources]
directory = \"vendor\"
";

/// Lays the files of the archive out in the directory NAME of `stage`.
#[context("Laying out the archive")]
pub(super) fn lay_out(workspace: &Workspace, stage: &Path, name: &str) -> Result<()> {
    let tar = stage.join("head.tar");
    let mut git = process::command("git");
    git.current_dir(&workspace.root).args([
        "archive",
        "--format=tar",
        &format!("--prefix={name}/"),
        "--output",
    ]);
    git.arg(&tar).arg("HEAD");
    process::run(git)?;
    let mut extract = process::command("tar");
    extract.arg("--extract").arg("--directory").arg(stage).arg("--file").arg(&tar);
    process::run(extract)?;
    std::fs::remove_file(&tar).with_context(|| format!("Removing {}", tar.display()))?;
    let root = stage.join(name);
    let mut vendor = process::cargo("vendor");
    vendor.current_dir(&root).arg("--versioned-dirs");
    for manifest in FUZZ {
        vendor.args(["--sync", manifest]);
    }
    // It says how to use what it made, which the file below does.
    let made = process::output(vendor.arg("vendor"))?;
    ensure!(!made.contains("git+"), "a crate comes from a git repository, which {SOURCES:?} does not name");
    let config = root.join(".cargo/config.toml");
    let mut file = OpenOptions::new()
        .append(true)
        .open(&config)
        .with_context(|| format!("Opening {}", config.display()))?;
    file.write_all(SOURCES.as_bytes()).with_context(|| format!("Writing {}", config.display()))
}

/// Packs the directory NAME of `stage`: the same files give the same bytes. The time is in seconds since 1970.
#[context("Packing {}", archive.display())]
pub(super) fn pack(stage: &Path, name: &str, time: u64, archive: &Path) -> Result<()> {
    let file = std::fs::File::create(archive)?;
    let mut tar = process::command("tar");
    tar.args(["--create", "--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.args(["--mode=a=rX,u+w", &format!("--mtime=@{time}"), "--directory"]).arg(stage).arg(name);
    let mut tar = tar.stdout(Stdio::piped()).spawn().context("Starting tar")?;
    let input = tar.stdout.take().context("tar has no output")?;
    // Without -n its head has a time.
    let gzip = process::command("gzip").args(["-9", "-n"]).stdin(input).stdout(file).status();
    ensure!(gzip.context("Starting gzip")?.success(), "gzip failed");
    ensure!(tar.wait()?.success(), "tar failed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn packed(names: [&str; 3], modes: [u32; 3]) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        for (name, mode) in names.into_iter().zip(modes) {
            let path = dir.path().join("x-1").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, name).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let archive = dir.path().join("x.tar.gz");
        pack(dir.path(), "x-1", 1_000_000_000, &archive).unwrap();
        std::fs::read(archive).unwrap()
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let first = packed(["a", "d/b", "run"], [0o644, 0o644, 0o755]);
        assert_eq!(first, packed(["run", "d/b", "a"], [0o700, 0o600, 0o664]));
        assert_ne!(first, packed(["a", "d/c", "run"], [0o644, 0o644, 0o755]));
    }
}
