// SPDX-License-Identifier: MIT OR Apache-2.0
//! `./run deb`: the Debian package that takes the place of `ostree` and `ostree-boot`. What Debian's own tools know, they do:
//! dpkg-shlibdeps finds the libraries, dpkg-gencontrol checks and writes the fields, dpkg-deb makes the archive.

mod contents;
mod texts;
mod trial;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::workspace::Workspace;
use crate::{elf, install, process, terminal};
use texts::NAME;

pub(crate) use trial::verify;

/// The name of the package.
/// The document that says what is different in Debian.
const README: &str = "README.Debian";

/// Builds everything, then the package; the result is its path.
pub(crate) fn run(workspace: &Workspace, out: Option<&Path>) -> Result<PathBuf> {
    install::into(workspace, &workspace.destdir())?;
    package(workspace, out.unwrap_or(&workspace.target.join("deb")), texts::moment(workspace)?)
}

/// Makes the package in `out` from what is installed in the workspace's tree. The same files and the same moment give the
/// same bytes.
#[context("Making the Debian package")]
fn package(workspace: &Workspace, out: &Path, moment: u64) -> Result<PathBuf> {
    for tool in ["dpkg-shlibdeps", "dpkg-gencontrol", "dpkg-deb", "strip"] {
        ensure!(process::found(tool), "{tool} is missing: install dpkg-dev and binutils");
    }
    let staging = Staging::new(workspace)?;
    contents::lay_out(&workspace.destdir(), &staging.tree)?;
    staging.documents(workspace, moment)?;
    staging.strip()?;
    staging.control(moment)?;
    staging.archive(out, moment)
}

/// A directory as Debian's tools expect it: `debian/control`, `debian/changelog`, and the tree of the package.
struct Staging {
    /// Where the tools are started.
    dir: PathBuf,
    /// The tree that will be `/` on the machine.
    tree: PathBuf,
}

impl Staging {
    fn new(workspace: &Workspace) -> Result<Self> {
        let dir = workspace.target.join("deb-staging");
        if dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| format!("Removing {}", dir.display()))?;
        }
        let tree = dir.join("debian").join(NAME);
        std::fs::create_dir_all(tree.join("DEBIAN"))
            .with_context(|| format!("Creating {}", tree.display()))?;
        Ok(Self { dir, tree })
    }

    fn documents(&self, workspace: &Workspace, moment: u64) -> Result<()> {
        let debian = self.dir.join("debian");
        let documents = self.tree.join("usr/share/doc").join(NAME);
        let changelog = texts::changelog(&texts::maintainer(), moment)?;
        write(&debian.join("control"), &texts::control(workspace)?)?;
        write(&debian.join("changelog"), &changelog)?;
        write(&documents.join("changelog"), &changelog)?;
        write(&documents.join("copyright"), &texts::copyright(workspace)?)?;
        write(&documents.join(README), &texts::template(workspace, README)?)?;
        let overrides = self.tree.join("usr/share/lintian/overrides").join(NAME);
        write(&overrides, &texts::template(workspace, "lintian-overrides")?)?;
        // dracut makes its images when a trigger tells it to; dpkg does that by itself.
        write(&self.tree.join("DEBIAN/triggers"), "activate-noawait update-initramfs\n")?;
        let mut gzip = self.tool("gzip");
        gzip.args(["-9n", "--"]).args(contents::compressed(&self.tree)?);
        process::run(gzip)
    }

    /// Symbols that only a debugger wants are not part of a package.
    fn strip(&self) -> Result<()> {
        let mut strip = self.tool("strip");
        strip.args(["--strip-unneeded", "--remove-section=.comment", "--"]).args(self.programs()?.0);
        process::run(strip)
    }

    /// All programs, and those of them that need libraries.
    fn programs(&self) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let (mut all, mut dynamic) = (Vec::new(), Vec::new());
        for path in contents::files(&self.tree)? {
            let path = self.tree.join(path);
            let bytes = std::fs::read(&path).with_context(|| format!("Reading {}", path.display()))?;
            if bytes.starts_with(b"\x7fELF") {
                if elf::has_interpreter(&bytes)? {
                    dynamic.push(path.clone());
                }
                all.push(path);
            }
        }
        Ok((all, dynamic))
    }

    /// Sums of all files, and the fields with what the programs depend on.
    fn control(&self, moment: u64) -> Result<()> {
        let mut sums = self.tool("md5sum");
        sums.current_dir(&self.tree).arg("--").args(contents::files(&self.tree)?);
        write(&self.tree.join("DEBIAN/md5sums"), &process::output(&mut sums)?)?;
        let mut shlibdeps = self.tool("dpkg-shlibdeps");
        shlibdeps.arg("-Tdebian/substvars").args(self.programs()?.1);
        process::run(shlibdeps)?;
        let mut gencontrol = self.tool("dpkg-gencontrol");
        gencontrol.env("SOURCE_DATE_EPOCH", moment.to_string());
        gencontrol.args([&format!("-p{NAME}"), &format!("-Pdebian/{NAME}"), "-Tdebian/substvars"]);
        gencontrol.arg("-fdebian/files");
        process::run(gencontrol)
    }

    /// Owners, times and order are those of every build; threads would cut the compressed stream elsewhere.
    fn archive(&self, out: &Path, moment: u64) -> Result<PathBuf> {
        std::fs::create_dir_all(out).with_context(|| format!("Creating {}", out.display()))?;
        let mut modes = self.tool("chmod");
        modes.args(["-R", "u=rwX,go=rX", "--"]).arg(&self.tree);
        process::run(modes)?;
        let mut times = self.tool("find");
        times.arg(&self.tree).args(["-exec", "touch", "--no-dereference"]);
        times.args([&format!("--date=@{moment}"), "{}", "+"]);
        process::run(times)?;
        let mut dpkg_deb = self.tool("dpkg-deb");
        dpkg_deb.env("SOURCE_DATE_EPOCH", moment.to_string());
        dpkg_deb.args(["--root-owner-group", "-Zxz", "--threads-max=1", "--build"]).arg(&self.tree).arg(out);
        process::run(dpkg_deb)?;
        let architecture = process::output(process::command("dpkg").arg("--print-architecture"))?;
        let path = out.join(format!("{NAME}_{}_{}.deb", texts::VERSION, architecture.trim_end()));
        ensure!(path.is_file(), "dpkg-deb made no {}", path.display());
        terminal::progress(&format!("made {}", path.display()));
        Ok(path)
    }

    fn tool(&self, name: &str) -> std::process::Command {
        let mut command = process::command(name);
        command.current_dir(&self.dir);
        command
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let parent = path.parent().context("a file without a directory")?;
    std::fs::create_dir_all(parent).with_context(|| format!("Creating {}", parent.display()))?;
    std::fs::write(path, text).with_context(|| format!("Writing {}", path.display()))
}
