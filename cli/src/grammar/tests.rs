// SPDX-License-Identifier: MIT OR Apache-2.0

use std::ffi::OsString;

use clap::CommandFactory as _;

use super::{Reading, read, refused};
use crate::Arguments;

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect()
}

/// Reads a command line; a program stands for the command `foo` alone.
fn reading(line: &str) -> String {
    let root = refused::add(Arguments::command());
    match read(&root, &words(&format!("ostree {line}")), &|name| name == "foo") {
        Ok(Reading::Words(words)) => {
            let words: Vec<String> =
                words.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
            words.join(" ")
        }
        Ok(Reading::Version) => "VERSION".to_owned(),
        Ok(Reading::Help { path, long, all }) => {
            let kind = if all { "ALL" } else { "HELP" };
            format!("{kind}{} {}", if long { "" } else { "-short" }, path.join(" ")).trim_end().to_owned()
        }
        Ok(Reading::External { words, .. }) => {
            format!("EXTERNAL {}", words.join(&OsString::from(" ")).to_string_lossy())
        }
        Err(fault) => format!("error: {fault}"),
    }
}

#[test]
fn words_for_clap() {
    for (line, expected) in [
        ("--repo=r refs", "refs --repo=r"),
        ("refs --repo r a", "refs --repo=r -- a"),
        // Taken in spite of the rules of the C tools, which know no such command.
        ("--repo r refs a", "refs --repo=r -- a"),
        ("admin --sysroot s status", "admin status --sysroot=s"),
        // The word is a command, as for the C tools.
        ("--repo log r m", "log --repo=r -- m"),
        ("--repo=r --print-metadata-key=k show x", "show --repo=r --print-metadata-key=k -- x"),
        ("admin kargs --sysroot=s edit-in-place", "admin kargs edit-in-place --sysroot=s"),
        ("admin kargs --append=x", "admin kargs --append=x"),
        ("--show-urls remote list", "remote list --show-urls"),
        ("-- refs a", "refs -- a"),
        ("checkout -UH x", "checkout --user-mode --require-hardlinks -- x"),
        ("commit -b x t", "commit --branch=x -- t"),
        ("commit -Ib x t", "commit --devino-canonical --branch=x -- t"),
        ("commit -bI x t", "commit --branch=x --devino-canonical -- t"),
        ("commit -b x -s -y", "commit --branch=x --subject=-y"),
        ("commit -b x -s -- t", "commit --branch=x --subject=-- -- t"),
        ("commit -b x -b y", "commit --branch=y"),
        ("commit --tree dir=a --tree=dir=b", "commit --tree=dir=a --tree=dir=b"),
        ("prune --depth -1", "prune --depth=-1"),
        ("prune --depth=0x10", "prune --depth=16"),
        ("ls -R -R --recursive=no m", "ls --recursive -- m"),
        ("ls m -- -- -x", "ls -- m -- -x"),
        ("show m extra", "show -- m"),
        ("show -", "show -- -"),
        ("config get a b c", "config -- get a b c"),
        ("summary -v --help", "HELP summary"),
        ("refs --version", "VERSION"),
        ("show --version", "VERSION"),
        ("--version bogus", "VERSION"),
        ("-rh refs", "HELP-short refs"),
        ("refs -?", "HELP-short refs"),
        ("--help admin kargs", "HELP admin kargs"),
        ("--help-all", "ALL"),
        ("bogus --help", "HELP"),
        ("--repo=r foo --x", "EXTERNAL --repo=r foo --x"),
        ("admin --print-current-dir", "admin --print-current-dir"),
    ] {
        assert_eq!(reading(line), expected, "{line}");
    }
}

#[test]
fn faults() {
    for (line, expected) in [
        ("", "No command specified; see ostree --help"),
        ("-v", "No command specified; see ostree --help"),
        ("bogus", "Unknown command 'bogus'; see ostree --help"),
        ("admin", "No \"admin\" subcommand specified; see ostree admin --help"),
        ("admin -- status", "No \"admin\" subcommand specified; see ostree admin --help"),
        ("admin kargs bogus", "Unknown \"admin kargs\" subcommand 'bogus'; see ostree admin kargs --help"),
        ("refs --lis", "Unknown option --lis; see ostree refs --help"),
        ("refs -r=1", "Unknown option -r=1; see ostree refs --help"),
        ("refs --x --help", "Unknown option --x; see ostree refs --help"),
        ("refs --version --x", "Unknown option --x; see ostree refs --help"),
        ("refs --help=1", "Unknown option --help=1; see ostree refs --help"),
        ("commit -bfoo t", "Unknown option -bfoo; see ostree commit --help"),
        ("commit -b", "Missing argument for -b; give it a value"),
        ("refs --repo", "Missing argument for --repo; give it a value"),
        (
            "commit -bs x y",
            "Error parsing option -s; only one option of a bundle takes the next word: write it apart",
        ),
        ("prune --depth=x", "Cannot parse integer value “x” for --depth; give digits only"),
        ("prune --depth=99999999999", "Integer value “99999999999” for --depth out of range; it has 32 bits"),
        ("show", "An object argument is required; see ostree show --help"),
        ("admin undeploy", "INDEX must be specified; see ostree admin undeploy --help"),
        ("admin unlock x", "This command takes no extra arguments; see ostree admin unlock --help"),
        (
            "commit --gpg-sign k -b x",
            "--gpg-sign is not supported yet: signatures cannot be made; leave it out, and sign with another ostree \
             afterwards",
        ),
        (
            "static-delta list --repo=r",
            "static-delta list is not supported yet: static deltas cannot be made or read; pull the commits themselves",
        ),
    ] {
        assert_eq!(reading(line), format!("error: {expected}"), "{line}");
    }
}

#[test]
fn what_is_refused_is_refused_by_name() {
    for (line, name) in refused::lines() {
        let said = reading(&line);
        assert!(said.starts_with(&format!("error: {name} is not supported yet: ")), "{line}: {said}");
        assert!(!reading(&format!("{line} --help")).starts_with("error"), "{line}");
    }
}
