// SPDX-License-Identifier: MIT OR Apache-2.0
//! The trial of the package: into a copy of the Debian tree that has Debian's `ostree` and `ostree-boot`, and out again. The
//! checks follow each other: each begins where the one before has ended.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use fn_error_context::context;

use super::{contents, texts};
use crate::peer::Peer;
use crate::process;
use crate::workspace::Workspace;

type Check = (&'static str, fn(&Trial<'_>) -> Result<()>);

/// Of the package alone.
const OF_THE_PACKAGE: &[Check] = &[
    ("the same files give the same package", same_bytes),
    ("its fields say what it takes the place of", fields),
    ("all that is installed is in it", complete),
];

/// In each Debian tree.
const IN_A_TREE: &[Check] = &[
    ("what Debian's packages have is in it, or in README.Debian", nothing_forgotten),
    ("apt puts it in their place and keeps libostree-1-1", apt_installs),
    ("its programs run there", programs_run),
    ("dpkg finds every file as it was packed", files_verified),
    ("what needs ostree of a version can be installed beside it", dependents),
    ("apt goes back, and nothing is left", apt_goes_back),
    ("dpkg alone does the same", dpkg_exchanges),
];

/// The packages that it takes the place of.
const TAKEN: [&str; 2] = ["ostree", "ostree-boot"];

struct Trial<'a> {
    workspace: &'a Workspace,
    peer: &'a Peer,
    /// The package.
    deb: &'a Path,
    /// The time that it was made for.
    moment: u64,
    /// The copy of the Debian tree.
    tree: PathBuf,
    /// Every file of it as it was before.
    before: String,
}

/// Makes the package and tries it in a copy of each peer's tree; returns how many checks there were.
pub(crate) fn verify(workspace: &Workspace, peers: &[Peer]) -> Result<u32> {
    let moment = texts::moment(workspace)?;
    let deb = super::package(workspace, &workspace.target.join("deb"), moment)?;
    let mut passed = 0;
    for (number, peer) in peers.iter().enumerate() {
        let trial = Trial::new(workspace, peer, (&deb, moment))?;
        let once = if number == 0 { OF_THE_PACKAGE } else { &[] };
        for (name, check) in once.iter().chain(IN_A_TREE) {
            check(&trial).with_context(|| format!("{}: {name}: no", peer.dir.display()))?;
            passed += 1;
        }
        trial.remove_tree()?;
    }
    Ok(passed)
}

impl<'a> Trial<'a> {
    #[context("Preparing a Debian tree")]
    fn new(workspace: &'a Workspace, peer: &'a Peer, (deb, moment): (&'a Path, u64)) -> Result<Self> {
        let tree = workspace.target.join("deb-trial");
        let mut trial = Self { workspace, peer, deb, moment, tree, before: String::new() };
        trial.remove_tree()?;
        let mut copy = process::as_root("cp");
        copy.args(["-a", "--reflink=auto", "--"]).arg(&peer.dir).arg(&trial.tree);
        process::run(copy)?;
        trial.provide_archives()?;
        trial.before = trial.listing()?;
        Ok(trial)
    }

    fn remove_tree(&self) -> Result<()> {
        let mut remove = process::as_root("rm");
        remove.args(["-rf", "--one-file-system", "--"]).arg(&self.tree);
        process::run(remove)
    }

    /// Debian's packages for the way back, kept in the cache: the first time apt has to get them from the mirror.
    fn provide_archives(&self) -> Result<()> {
        let kept = self.workspace.cache.join("debian-archives");
        let archives = self.tree.join("var/cache/apt/archives");
        let version = self.field_of_installed("ostree", "${Version}_${Architecture}")?;
        let names = TAKEN.map(|name| format!("{name}_{version}.deb"));
        if !names.iter().all(|name| kept.join(name).is_file()) {
            let mut download = self.chroot("sh");
            download
                .args(["-c", "cd /var/cache/apt/archives && exec apt-get download \"$@\"", "sh"])
                .args(TAKEN);
            process::run(download)?;
            std::fs::create_dir_all(&kept).with_context(|| format!("Creating {}", kept.display()))?;
            for name in &names {
                std::fs::copy(archives.join(name), kept.join(name))
                    .with_context(|| format!("Keeping {name}"))?;
            }
        }
        let mut copy = process::as_root("cp");
        copy.args(names.iter().map(|name| kept.join(name))).arg(self.deb).arg(&archives);
        process::run(copy)
    }

    fn chroot(&self, program: &str) -> Command {
        let mut command = process::as_root("chroot");
        command.arg(&self.tree).args(["env", "DEBIAN_FRONTEND=noninteractive", program]);
        command.current_dir("/");
        command
    }

    /// Runs a program there; its output is part of an error.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.chroot(program);
        command.args(arguments);
        let line = process::line_of(&command);
        let finished = process::capture(command)?;
        ensure!(finished.success, "{line}: {}", finished.output.trim_end());
        Ok(finished.output)
    }

    /// Installs with apt.
    fn apt(&self, arguments: &[&str]) -> Result<String> {
        let always = ["-q", "-y", "--no-install-recommends", "-oAPT::Sandbox::User=root", "install"];
        self.run("apt-get", &[&always, arguments].concat())
    }

    /// The package as the tree knows it.
    fn archive(&self) -> String {
        format!("/var/cache/apt/archives/{}", self.deb.file_name().unwrap_or_default().to_string_lossy())
    }

    fn field_of_installed(&self, package: &str, format: &str) -> Result<String> {
        let mut query = process::command("dpkg-query");
        query.arg(format!("--admindir={}", self.peer.dir.join("var/lib/dpkg").display()));
        process::output(query.args(["--show", &format!("--showformat={format}"), package]))
    }

    fn installed(&self, package: &str) -> bool {
        let said = self.run("dpkg-query", &["--show", "--showformat=${db:Status-Status}", package]);
        said.is_ok_and(|status| status.trim() == "installed")
    }

    /// Checks which of the three are there.
    fn expect(&self, ours: bool) -> Result<()> {
        for (package, expected) in
            [(super::texts::NAME, ours), (TAKEN[0], !ours), (TAKEN[1], !ours), ("libostree-1-1", true)]
        {
            ensure!(self.installed(package) == expected, "{package} is installed: {}", !expected);
        }
        Ok(())
    }

    /// Kind, permissions, size and target of everything in /usr and /etc.
    fn listing(&self) -> Result<String> {
        let mut find = process::as_root("find");
        find.args([self.tree.join("usr"), self.tree.join("etc")]);
        find.args(["-type", "d", "-printf", "%p %m\n", "-o", "-printf", "%p %m %s %l\n"]);
        let mut lines: Vec<String> = process::output(&mut find)?.lines().map(str::to_owned).collect();
        lines.sort();
        Ok(lines.join("\n"))
    }

    /// Lists the contents of the package: paths without the leading dot, directories with a slash at their end.
    fn paths(&self) -> Result<Vec<String>> {
        let said = process::output(process::command("dpkg-deb").arg("--contents").arg(self.deb))?;
        let paths = said.lines().filter_map(|line| line.split_whitespace().nth(5));
        Ok(paths.map(|path| path.trim_start_matches('.').to_owned()).collect())
    }
}

fn same_bytes(trial: &Trial<'_>) -> Result<()> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("Reading {}", path.display()));
    let again = super::package(trial.workspace, &trial.workspace.target.join("deb-again"), trial.moment)?;
    ensure!(read(trial.deb)? == read(&again)?, "{} and {} differ", trial.deb.display(), again.display());
    Ok(())
}

fn fields(trial: &Trial<'_>) -> Result<()> {
    let fields = process::output(process::command("dpkg-deb").arg("--field").arg(trial.deb))?;
    let field = |name: &str| {
        fields.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
    };
    for name in ["Conflicts", "Replaces"] {
        for package in TAKEN {
            ensure!(
                field(name).split(", ").any(|word| word.split(' ').next() == Some(package)),
                "{name}: {}",
                field(name)
            );
        }
    }
    for package in TAKEN {
        ensure!(field("Provides").contains(&format!("{package} (= ")), "Provides: {}", field("Provides"));
    }
    ensure!(field("Version") == texts::VERSION, "Version: {}", field("Version"));
    for library in ["libc6", "libmount1"] {
        ensure!(field("Depends").contains(library), "Depends: {}", field("Depends"));
    }
    ensure!(!field("Depends").contains("libostree"), "Depends: {}", field("Depends"));
    let owners = process::output(process::command("dpkg-deb").arg("--contents").arg(trial.deb))?;
    let foreign = owners.lines().find(|line| !line.contains(" root/root "));
    ensure!(foreign.is_none(), "not of root: {}", foreign.unwrap_or_default());
    Ok(())
}

fn complete(trial: &Trial<'_>) -> Result<()> {
    let paths = trial.paths()?;
    for path in contents::files(&trial.workspace.destdir())? {
        let Some(place) = contents::place(&path) else { continue };
        let place = format!("/{}", place.display());
        ensure!(paths.contains(&place) || paths.contains(&format!("{place}.gz")), "{place} is missing");
    }
    Ok(())
}

/// Files that the C tools' packages have and ours has not are either named in README.Debian, or they are the packages' own.
fn nothing_forgotten(trial: &Trial<'_>) -> Result<()> {
    let (paths, readme) = (trial.paths()?, texts::template(trial.workspace, super::README)?);
    let named = |word: &str| {
        readme.split(|letter: char| letter.is_whitespace() || "(),".contains(letter)).any(|have| have == word)
    };
    for package in TAKEN {
        let list = trial.peer.dir.join(format!("var/lib/dpkg/info/{package}.list"));
        let list = std::fs::read_to_string(&list).with_context(|| format!("Reading {}", list.display()))?;
        for path in list.lines().filter(|path| !trial.peer.dir.join(path.trim_start_matches('/')).is_dir()) {
            let own = path.starts_with("/usr/share/doc/") || path.starts_with("/usr/share/lintian/");
            // Debian 12 says /lib where it means /usr/lib.
            let merged = if path.starts_with("/lib/") { "/usr" } else { "" };
            let ours = format!("{merged}{}", path.replace("/98ostree/", "/50ostree/"));
            let name = path.rsplit('/').next().unwrap_or_default();
            let page = name.split_once(".gz").map(|(page, _)| &page[..page.len() - 2]).unwrap_or(name);
            let command = page.trim_start_matches("ostree-").trim_start_matches("admin-");
            let directory = path.rsplit_once('/').map(|(directory, _)| directory).unwrap_or_default();
            let known = own
                || paths.contains(&ours)
                || [path, page, command, directory].iter().any(|word| named(word));
            ensure!(known, "{path} of {package} is neither in the package nor named in README.Debian");
        }
    }
    Ok(())
}

fn apt_installs(trial: &Trial<'_>) -> Result<()> {
    trial.expect(false)?;
    trial.apt(&["--no-download", &trial.archive()])?;
    trial.expect(true)?;
    trial.run("dpkg", &["--audit"]).map(drop)
}

fn programs_run(trial: &Trial<'_>) -> Result<()> {
    let version = trial.run("ostree", &["--version"])?;
    ensure!(version.contains(&format!("Git: 'rust-{}'", texts::VERSION)), "{version}");
    // The name of a program that finds all its libraries is at least told what it was called with.
    let script = "set -e; cd \"$(mktemp -d)\"; ostree --repo=r init; mkdir t; echo x > t/f
        ostree --repo=r commit -b main t >/dev/null; ostree --repo=r fsck -q; ostree --repo=r ls main /f
        for program in /usr/lib/ostree/* /usr/lib/systemd/system-generators/ostree-*; do
            case $program in */ostree-prepare-root) continue; esac
            ldd $program | grep 'not found' && exit 1
        done
        /usr/lib/ostree/ostree-prepare-root --list / 2>&1 | grep -q ostree";
    trial.run("sh", &["-c", script]).map(drop)
}

fn files_verified(trial: &Trial<'_>) -> Result<()> {
    let said = trial.run("dpkg", &["--verify", super::texts::NAME])?;
    ensure!(said.is_empty(), "{said}");
    // A file without a sum would not be looked at.
    let sums = trial.run("cat", &[&format!("/var/lib/dpkg/info/{}.md5sums", super::texts::NAME)])?;
    let files = trial.paths()?.iter().filter(|path| !path.ends_with('/')).count();
    ensure!(sums.lines().count() == files, "{} sums of {files} files", sums.lines().count());
    Ok(())
}

/// flatpak-tests wants ostree (>= 2020.8); flatpak-builder wants rofiles-fuse, which only Debian's package has.
fn dependents(trial: &Trial<'_>) -> Result<()> {
    let said = trial.apt(&["--simulate", "flatpak-tests"])?;
    ensure!(said.contains("\nInst flatpak-tests ") && !said.contains("\nRemv "), "{said}");
    let said = trial.apt(&["--simulate", "flatpak-builder"]).unwrap_or_else(|error| format!("{error:#}"));
    ensure!(!said.contains("\nInst flatpak-builder ") || said.contains("\nRemv ostree-rs "), "{said}");
    Ok(())
}

fn apt_goes_back(trial: &Trial<'_>) -> Result<()> {
    trial.apt(&["--no-download", "ostree", "ostree-boot"])?;
    trial.expect(false)?;
    as_before(trial)
}

fn dpkg_exchanges(trial: &Trial<'_>) -> Result<()> {
    // It can take the place of ostree only when nothing needs exactly that one any more.
    trial.run("dpkg", &["--remove", "ostree-boot"])?;
    trial.run("dpkg", &["--install", &trial.archive()])?;
    trial.expect(true)?;
    trial.run("dpkg", &["--remove", super::texts::NAME])?;
    let script =
        "exec dpkg --install /var/cache/apt/archives/ostree_*.deb /var/cache/apt/archives/ostree-boot_*.deb";
    trial.run("sh", &["-c", script])?;
    trial.expect(false)?;
    as_before(trial)
}

fn as_before(trial: &Trial<'_>) -> Result<()> {
    let after = trial.listing()?;
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (before, after) = (lines(&trial.before), lines(&after));
    if let Some(line) = before.symmetric_difference(&after).next() {
        bail!("differs from before: {line}");
    }
    Ok(())
}
