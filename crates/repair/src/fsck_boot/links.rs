// SPDX-License-Identifier: MIT OR Apache-2.0
//! The links from entries to deployments: `boot.N`, what it leads to, and the links in that.

use rustix::fs::{AtFlags, FileType};
use sysroot::Sysroot;

use super::evidence::Evidence;
use super::finding::{Action, Problem, Topic};
use super::menu::{Menu, below, sub_version};

/// Compares the links with the menu.
pub(super) fn check(sysroot: &Sysroot, menu: &Menu, evidence: &Evidence<'_>) -> Vec<Problem> {
    let version = menu.version;
    if menu.places.is_empty() {
        return Vec::new();
    }
    let sub = sub_version(&menu.state, version, evidence);
    let mut problems = Vec::new();
    let outer = format!("/ostree/boot.{version}");
    let inner = format!("{outer}.{sub}");
    let mut links = evidence.links.get(&(version, sub));
    let led = menu.state.sub_boot_versions.get(usize::from(version)).copied().flatten();
    if links.is_none() {
        // Nothing else reads the links of the other set if that has no entries.
        let spare = spare_set(menu, evidence);
        if let Some((from_version, from_sub)) = spare {
            let text = "does not exist, and the entries lead through it";
            let from = format!("/ostree/boot.{from_version}");
            problems.push(
                Problem::new(Topic::Link, &inner, text)
                    .mended_by(Action::Rename { from: format!("{from}.{from_sub}"), to: inner.clone() })
                    .mended_by(Action::Remove { path: from }),
            );
            links = evidence.links.get(&(from_version, from_sub));
        }
    }
    if led != Some(sub) {
        let target = format!("boot.{version}.{sub}");
        let mut problem = Problem::new(Topic::Link, &outer, format!("does not lead to {target}"));
        if is_directory(sysroot, &outer) {
            let to = format!("{outer}.other");
            problem = problem.mended_by(Action::Rename { from: outer.clone(), to });
        }
        problems.push(problem.mended_by(Action::Link { path: outer, target }));
    }
    for place in &menu.places {
        let below = below(&place.bootlink);
        let found = links.and_then(|links| links.get(&below));
        if found.is_some_and(|link| link.deployment.as_ref() == Some(&place.deployment)) {
            continue;
        }
        let path = format!("{inner}/{below}");
        let deployment = place.deployment.to_string();
        let target = format!("../../../{}", deployment.strip_prefix("ostree/").unwrap_or(&deployment));
        let text = match found {
            None => format!("is missing; {} leads through it", place.name),
            Some(link) => format!("leads to {}, which is no deployment that can be booted", link.target),
        };
        problems.push(Problem::new(Topic::Link, &path, text).mended_by(Action::Link { path, target }));
    }
    problems
}

/// A `boot.N.M` of the other set that no entry and no running system needs under its name.
fn spare_set(menu: &Menu, evidence: &Evidence<'_>) -> Option<(u8, u8)> {
    let other = 1 - menu.version;
    let is_running = sysroot::running::running_bootlink().is_some_and(|link| link.boot_version == other);
    if is_running || menu.state.loader_names.contains(&format!("loader.{other}")) {
        return None;
    }
    let sub = sub_version(&menu.state, other, evidence);
    evidence.links.contains_key(&(other, sub)).then_some((other, sub))
}

/// Whether a name that a link should have is that of a directory.
fn is_directory(sysroot: &Sysroot, path: &str) -> bool {
    let below = path.trim_start_matches('/');
    rustix::fs::statat(sysroot.root(), below, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
