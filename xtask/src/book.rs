// SPDX-License-Identifier: MIT OR Apache-2.0
//! `docs/SUMMARY.md` lists every page of the book, for mdbook and for people.

use std::path::{Path, PathBuf};

/// The list, which is no page itself.
pub(crate) const SUMMARY: &str = "docs/SUMMARY.md";

/// Returns the pages that the list lacks or has twice, and those that it has and that are not there. `files` are those of
/// the checkout.
pub(crate) fn faults(summary: &str, files: &[PathBuf]) -> Vec<String> {
    let listed: Vec<PathBuf> =
        summary.lines().filter_map(target).map(|name| Path::new("docs").join(name)).collect();
    let is_page = |file: &&PathBuf| {
        file.starts_with("docs")
            && file.extension().is_some_and(|ending| ending == "md")
            && **file != Path::new(SUMMARY)
    };
    let mut faults = Vec::new();
    for page in files.iter().filter(is_page) {
        match listed.iter().filter(|name| *name == page).count() {
            0 => faults.push(format!("{} is not listed", page.display())),
            1 => (),
            _ => faults.push(format!("{} is listed twice", page.display())),
        }
    }
    let gone = listed.iter().filter(|name| !files.contains(name));
    faults.extend(gone.map(|name| format!("{} is listed and not there", name.display())));
    faults
}

/// The target of `- [title](target)`.
fn target(line: &str) -> Option<&str> {
    let item = line.trim_start().strip_prefix("- [")?;
    Some(item.split_once("](")?.1.split_once(')')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_listed_once() {
        let files =
            ["README.md", "docs/SUMMARY.md", "docs/a.md", "docs/b/c.md", "docs/book.toml"].map(PathBuf::from);
        let summary = |lines: &str| faults(&format!("# Summary\n\n# Part\n\n{lines}"), &files);
        assert_eq!(summary("- [A](a.md)\n  - [C](b/c.md)\n"), [""; 0]);
        assert_eq!(summary("- [A](a.md)\n"), ["docs/b/c.md is not listed"]);
        assert_eq!(summary("- [A](a.md)\n- [A](a.md)\n- [C](b/c.md)\n"), ["docs/a.md is listed twice"]);
        assert_eq!(
            summary("- [A](a.md)\n- [C](b/c.md)\n- [D](d.md)\n"),
            ["docs/d.md is listed and not there"]
        );
    }
}
