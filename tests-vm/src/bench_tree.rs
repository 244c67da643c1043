// SPDX-License-Identifier: MIT OR Apache-2.0
//! The larger tree that benchmarks commit, check out and deploy.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::environment::Environment;
use crate::image::{self, Recipe};

/// Builds the tree, or finds it in the cache, and returns its path. None of our programs are in it.
pub(crate) fn build(environment: &Environment) -> Result<PathBuf> {
    let list = environment.definitions("bench-packages");
    let text = fs::read_to_string(&list).with_context(|| format!("Reading {}", list.display()))?;
    let recipe = Recipe {
        name: "bench",
        definitions: environment.definitions("tree"),
        extra_packages: packages(&text),
        programs: None,
    };
    Ok(image::build_recipe(environment, &recipe)?.path)
}

/// The package names of a list, one a line, `#` for remarks.
fn packages(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_packages_is_read() {
        assert_eq!(packages("# remark\n\ngit\nperl # why\n"), ["git", "perl"]);
    }
}
