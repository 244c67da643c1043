// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: each verb calls one function.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;
use crate::{
    bench, build, crash, deb, diff_peer, dist, documentation, fresh, fuzz_check, install, lint, peer,
    picture, test, upstream, vm,
};

#[derive(Parser)]
#[command(name = "run", bin_name = "./run", about = "Build, test, measure and show this project")]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build all programs, and the static program of the initramfs
    Build,
    /// Build, then lay the programs out in DIR as a distribution packages them
    Install {
        /// The directory that stands for `/`
        #[arg(long, value_name = "DIR")]
        destdir: PathBuf,
    },
    /// Build, then make the Debian package that takes the place of `ostree` and `ostree-boot`; prints its path
    Deb {
        /// Where to put it; the default is target/deb
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Make the source archive of the last commit, which builds without network, its checksums and bills of materials
    Dist {
        /// Where to put them; the default is target/dist/out
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Do not build from the archive afterwards
        #[arg(long)]
        no_trial: bool,
    },
    /// Run every check and test; ends with a summary
    Test {
        /// Leave out the virtual machines
        #[arg(long, group = "extent")]
        quick: bool,
        /// Boot what is beyond the boot budget, scenario by scenario, and nothing else; writes the lines of docs/test-all.md
        #[arg(long, group = "extent")]
        all: bool,
        /// Of these, only those whose names match, as in 'loaders::full::*'
        #[arg(long, value_name = "GLOB", requires = "all")]
        only: Option<String>,
    },
    /// Build a Debian system, commit it, deploy it onto a disk and boot it
    Demo {
        /// Keep what it prints in docs/pictures/, and draw the picture of the README from it
        #[arg(long)]
        record: bool,
    },
    /// Boot the demo's disk and give a shell in it
    Vm,
    /// Measure our `ostree` beside Debian's; writes docs/performance.md
    Bench(bench::Options),
    /// Draw the pictures of README and docs from the tables and the transcript that they show
    Pictures,
    /// Clippy, formatting, licences, and the rules of this repository
    Lint {
        /// Of the rules, only those whose names have this in them, as in 'circles'
        #[arg(long, value_name = "PART")]
        only: Option<String>,
        /// Write the counts of xtask/ratchet.toml anew where they have fallen, and check nothing
        #[arg(long, conflicts_with = "only")]
        lower: bool,
    },
    /// Build the rustdoc of every library; a warning is an error
    Doc,
    /// Make the Debian trees that hold each `ostree` we compare with
    Peer,
    /// Resolve what every verb needs in the smallest system of each Debian release
    Fresh {
        /// Install what `build` needs there, and build
        #[arg(long)]
        all: bool,
    },
    /// Run the tests of the C tools with our programs in the place of theirs; a point of the list that is lost is an error
    Upstream(upstream::Asked),
    /// Cut the power at every write of every operation, and see whether old or new is left
    #[command(disable_help_flag = true)]
    Crash {
        /// Of tests-crash: --quick, --minutes N, --only OP, --layout ROOT+BOOT, --seed S, --theirs, --keep
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run random commands with our `ostree` and with Debian's, and see where they differ
    #[command(disable_help_flag = true)]
    DiffPeer {
        /// Of tests-peer: --minutes N, --seed S, --only S, --quick, --keep-going, --mutants, --script FILE
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run every fuzz target in turn, for N minutes in all; what they learn is kept
    Fuzz {
        /// Minutes for all targets together
        #[arg(long, value_name = "N", default_value_t = 60)]
        minutes: u32,
    },
    /// Run every fuzz target for a short time
    FuzzCheck {
        /// Seconds a target
        #[arg(long, value_name = "N", default_value_t = 10)]
        seconds: u32,
    },
}

/// Entry point of the `xtask` program.
#[must_use]
pub fn main() -> ExitCode {
    match dispatch(CommandLine::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(verb: Verb) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match verb {
        Verb::Build => build::all(&workspace)?,
        Verb::Install { destdir } => install::into(&workspace, &destdir)?,
        Verb::Deb { out } => println!("{}", deb::run(&workspace, out.as_deref())?.display()),
        Verb::Dist { out, no_trial } => dist::run(&workspace, out.as_deref(), !no_trial)?,
        Verb::Test { quick, all, only } => return test::run(&workspace, &test::Asked::of(quick, all, only)),
        Verb::Demo { record: false } => vm::demo(&workspace)?,
        Verb::Demo { record: true } => vm::record_demo(&workspace)?,
        Verb::Vm => vm::shell(&workspace)?,
        Verb::Bench(options) => bench::run(&workspace, &options)?,
        Verb::Lint { lower: true, .. } => lint::lower(&workspace)?,
        Verb::Lint { only, .. } => lint::run(&workspace, only.as_deref().unwrap_or_default())?,
        Verb::Pictures => {
            for path in picture::draw_all(&workspace)? {
                println!("wrote {path}");
            }
        }
        Verb::Doc => {
            documentation::build(&workspace)?;
            println!("{}", workspace.target.join("doc").display());
        }
        Verb::Peer => {
            for peer in peer::ensure_all(&workspace)? {
                println!("{}", peer.program.display());
            }
        }
        Verb::Fresh { all } => fresh::run(&workspace, all)?,
        Verb::Upstream(asked) => upstream::run(&workspace, &asked)?,
        Verb::Crash { arguments } => return crash::run(&workspace, &arguments),
        Verb::DiffPeer { arguments } => return diff_peer::run(&workspace, &arguments),
        Verb::Fuzz { minutes } => fuzz_check::run_all(&workspace, minutes)?,
        Verb::FuzzCheck { seconds } => fuzz_check::run(&workspace, seconds)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;

    fn said_by_run(arguments: &[&str]) -> String {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let output = std::process::Command::new(root.join("run")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn run_knows_the_packages_of_every_verb() {
        let verbs: BTreeSet<String> =
            CommandLine::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        let rows = said_by_run(&["need"]);
        let known: BTreeSet<String> = rows
            .lines()
            .filter_map(|row| row.split(' ').next())
            .map(|verb| verb.trim_end_matches("--quick").to_owned())
            .collect();
        assert_eq!(known, verbs);
        let help = said_by_run(&["help"]);
        for verb in verbs {
            assert!(help.contains(&format!("\n  {verb} ")), "./run help does not tell of {verb}");
        }
    }

    /// The texts of a folder whose names end so, with their names.
    fn texts(folder: &str, ending: &str) -> Vec<(String, String)> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.to_string_lossy().ends_with(ending))
            .map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()))
            .collect()
    }

    /// Those of a text that stand in backticks, or alone in a line.
    fn calls_of_run(text: &str) -> impl Iterator<Item = &str> {
        text.lines().flat_map(|line| {
            let line = line.trim();
            let alone = line.strip_prefix("- run: ").unwrap_or(line).strip_prefix("./run ");
            let quoted = line.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("./run "));
            alone.map(|call| call.split(" #").next().unwrap_or(call)).into_iter().chain(quoted)
        })
    }

    #[test]
    fn workflows_and_documents_call_verbs_that_there_are() {
        let workflows = texts(".github/workflows", ".yml");
        let documents = [texts("", ".md"), texts("docs", ".md"), texts(".github", ".md")].concat();
        let mut calls = 0;
        for (name, text) in workflows.iter().chain(&documents) {
            for call in
                calls_of_run(text).filter(|call| !(call.trim().is_empty() || call.starts_with(['V', 'n'])))
            {
                let words = call.split_whitespace().map(|word| word.trim_matches('\''));
                let parsed = CommandLine::try_parse_from(["./run"].into_iter().chain(words));
                // A place for a value, as in --destdir=DIR, is any text; one for a number is told apart.
                let told = parsed.err().map(|error| error.to_string()).unwrap_or_default();
                assert!(
                    told.is_empty() || told.contains("invalid value 'N'"),
                    "{name}: ./run {call}: {told}"
                );
                calls += 1;
            }
        }
        assert!(calls > 30, "{calls}");
        assert_eq!(workflows.iter().map(|(_, text)| calls_of_run(text).count()).sum::<usize>(), 7);
    }

    #[test]
    fn workflows_pin_what_they_use() {
        for (name, text) in texts(".github/workflows", ".yml") {
            for line in text.lines().filter(|line| line.contains("uses:")) {
                let (_, version) = line.split_once('@').unwrap();
                let (commit, tag) = version.split_once(" # v").unwrap_or_default();
                assert!(commit.len() == 40 && !tag.is_empty(), "{name}: {line}");
                assert!(commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}: {line}");
            }
        }
    }

    #[test]
    fn quick_needs_less() {
        assert!(said_by_run(&["need", "test", "--list"]).contains("qemu-system-x86>=1:9\n"));
        assert!(!said_by_run(&["need", "test", "--quick", "--list"]).contains("qemu-system-x86"));
        assert_eq!(said_by_run(&["need", "vm", "--quick", "--list"]), said_by_run(&["need", "vm", "--list"]));
    }
}
