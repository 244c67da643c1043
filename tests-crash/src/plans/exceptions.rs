// SPDX-License-Identifier: MIT OR Apache-2.0
//! The changes that need no step.

use super::change::{Change, Effect};

/// Files that no plan has a step for, each with the reason. `docs/plans.md` has the same table; a test compares.
pub const EXCEPTIONS: &[(&str, &str)] =
    &[("/ostree/lock", "the lock of the deployments"), ("/ostree/repo/.lock", "the lock of the repository")];

/// Whether a change needs no step.
pub fn is_exception(change: &Change) -> bool {
    let is_file = change.effect != Effect::Run && EXCEPTIONS.iter().any(|(path, _)| *path == change.path);
    // The output of the command itself, which is not a file of the system.
    is_file || change.path.starts_with("/run/out/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exceptions_are_described() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plans.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (_, section) = text.split_once("\n## What has no step\n").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let described = section.lines().filter_map(|line| line.strip_prefix("- `")?.split_once("`: "));
        let described: Vec<(&str, &str)> =
            described.map(|(path, why)| (path, why.trim_end_matches([';', '.']))).collect();
        assert_eq!(described, EXCEPTIONS);
    }
}
