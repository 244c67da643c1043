// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of files in `README.md` and `docs/`, in tables and in the text: what is meant as a file of this repository must be
//! one. Names that are found on a machine, as `/boot/loader`, are none of ours.

use std::path::{Component, Path, PathBuf};

/// A file that a person wrote has one of these at its end; on a machine with a deployment there is none.
const OURS: [&str; 5] = [".rs", ".md", ".sh", ".py", ".toml"];

/// The names in a page that are no files; `files` are those of the checkout.
pub(crate) fn missing(page: &Path, text: &str, files: &[PathBuf]) -> Vec<String> {
    let known = Known { page, files };
    let mut missing = Vec::new();
    for (number, line) in lines(text) {
        for name in names(line) {
            if known.is_meant(name) && !known.has(name) {
                missing.push(format!("{}:{number} has {name}", page.display()));
            }
        }
    }
    missing
}

/// The lines with their numbers. What stands between fences is an example.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        fenced ^= line.trim_start().starts_with("```");
        (!fenced).then_some((index + 1, line))
    })
}

/// Words without the marks around them.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let between = |letter: char| letter.is_whitespace() || "`()[]|,;:\"'=<>#".contains(letter);
    line.split(between).map(|word| word.trim_end_matches(['.', '!', '?'])).filter(|word| !word.is_empty())
}

struct Known<'a> {
    page: &'a Path,
    files: &'a [PathBuf],
}

impl Known<'_> {
    /// Whether a word is meant as a file or a folder of this repository.
    fn is_meant(&self, name: &str) -> bool {
        // An ending alone, and a part that stands for others, are no names.
        if name.starts_with(['/', '~', '$', '.']) && !name.starts_with("../") || name.contains('…') {
            return false;
        }
        let ending = OURS.iter().any(|ending| name.ends_with(ending));
        let unit = name.starts_with("ostree-") && name.ends_with(".service");
        ending || unit || self.begins_with_a_folder(name)
    }

    fn begins_with_a_folder(&self, name: &str) -> bool {
        let Some((folder, _)) = name.split_once('/') else { return false };
        self.files.iter().any(|file| file.starts_with(folder) && file != Path::new(folder))
    }

    /// Whether it is there: from the top, from the page, or by its name alone.
    fn has(&self, name: &str) -> bool {
        let beside = normal(&self.page.parent().unwrap_or(Path::new("")).join(name));
        let alone = !name.contains('/');
        self.files.iter().any(|file| {
            let is = |path: &Path| file.starts_with(path) || is_like(path, file);
            is(Path::new(name))
                || is(&beside)
                || alone && file.file_name().is_some_and(|last| is_like(Path::new(name), Path::new(last)))
        })
    }
}

/// Whether a file is one of those that a name with `*` stands for.
fn is_like(name: &Path, file: &Path) -> bool {
    let (name, file) = (name.to_string_lossy(), file.to_string_lossy());
    match name.split_once('*') {
        None => name == file,
        Some((begin, end)) => {
            file.len() >= begin.len() + end.len() && file.starts_with(begin) && file.ends_with(end)
        }
    }
}

/// The path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str, cell: &str) -> Vec<String> {
        let files = [
            "README.md",
            "docs/etc.md",
            "crates/repo/src/lock.rs",
            "crates/sysroot/src/lib.rs",
            "xtask/src/fresh/mod.rs",
            "systemd-units/ostree-remount.service",
        ];
        let text = format!("# Page\n\n| a | b |\n|---|---|\n| x | {cell} |\n");
        missing(Path::new(page), &text, &files.map(PathBuf::from))
    }

    #[test]
    fn files_that_are_there() {
        for cell in [
            "`crates/repo/src/lock.rs`, [etc](etc.md#how), and xtask/src/fresh/.",
            "`lock.rs`; `ostree-remount.service`: `crates/sysroot/`",
            "`crates/repo/src/*.rs`, [top](../README.md)",
        ] {
            assert_eq!(found("docs/page.md", cell), [""; 0], "{cell}");
        }
    }

    #[test]
    fn what_is_on_a_machine_is_not_looked_for() {
        for cell in [
            "`/boot/loader/entries`, `~/.config/x.toml`, `/etc/a.md`",
            "`repo/tmp/retired-tree`, `sysroot/ostree/deploy`, `repo/config`",
            "`boot/loader.1/x.conf`, `systemd-journald.service`, `usr/lib/ostree/prepare-root.conf`",
            "e.g. the `.md` ending, `…/a.rs`, and/or",
        ] {
            assert_eq!(found("docs/page.md", cell), [""; 0], "{cell}");
        }
    }

    #[test]
    fn what_is_gone_is_found() {
        for name in [
            "crates/repo/src/unlock.rs",
            "gone.md",
            "xtask/gone/",
            "ostree-gone.service",
            "crates/sysroot/tests/a.rs",
            "crates/sysroot/tests",
            "docs/*.txt",
            "../gone.md",
        ] {
            assert_eq!(
                found("docs/page.md", &format!("see `{name}`.")),
                [format!("docs/page.md:5 has {name}")]
            );
        }
    }

    #[test]
    fn examples_are_not_read() {
        let text = "See gone.md.\n```\n| gone.sh |\n```\n| gone.rs |\n";
        assert_eq!(missing(Path::new("a.md"), text, &[]), ["a.md:1 has gone.md", "a.md:5 has gone.rs"]);
    }
}
