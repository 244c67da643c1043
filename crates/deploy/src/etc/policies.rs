// SPDX-License-Identifier: MIT OR Apache-2.0
//! The drop-ins with policies: what the image ships, and over it what the administrator says.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use anyhow::{Context, Result, anyhow};
use formats::etc_policy::{self, Policies, Rule};
use prepare_root::calls::Calls;
use prepare_root::open::read_text;
use sysroot::directory;

/// In the new tree, which knows what its own defaults mean.
const VENDOR: &str = "usr/lib/ostree/etc-merge.d";

/// In the `/etc` that is merged from: what the administrator says for it.
const ADMIN: &str = "etc/ostree/etc-merge.d";

/// The names of drop-ins end with this.
const ENDING: &str = ".conf";

/// When a merge is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Somebody has asked for a deployment, and reads why there is none.
    Asked,
    /// The system is shut down: nobody can be asked any more, and whatever the policies say, the update is not lost.
    Shutdown,
}

/// Reads the drop-ins of the tree `new` and of the administrator of `old`. An administrator's drop-in takes the place of one
/// of the same name, and counts more than all others.
pub(super) fn read(new: BorrowedFd<'_>, old: BorrowedFd<'_>, moment: Moment) -> Result<Policies> {
    let (vendor, admin) = (read_dir(new, VENDOR, moment)?, read_dir(old, ADMIN, moment)?);
    Ok(in_order(vendor, admin))
}

fn in_order(mut vendor: BTreeMap<String, Vec<Rule>>, admin: BTreeMap<String, Vec<Rule>>) -> Policies {
    vendor.retain(|name, _| !admin.contains_key(name));
    Policies::new(vendor.into_values().chain(admin.into_values()))
}

fn read_dir(tree: BorrowedFd<'_>, path: &str, moment: Moment) -> Result<BTreeMap<String, Vec<Rule>>> {
    let mut drop_ins = BTreeMap::new();
    for name in names(tree, path).with_context(|| format!("Reading /{path}"))? {
        let read = || -> Result<Vec<Rule>> {
            // A link to /dev/null turns the file off, as with systemd's.
            let text = match read_text(tree, &format!("{path}/{name}"), &Calls::ALL) {
                Ok(text) => text.unwrap_or_default(),
                Err(error) => return Err(anyhow!(error)),
            };
            Ok(etc_policy::parse(&text)?)
        };
        let rules = match read().with_context(|| format!("Reading /{path}/{name}")) {
            Err(error) if moment == Moment::Shutdown => {
                log::warn!("{error:#}; it counts as empty");
                Vec::new()
            }
            rules => rules?,
        };
        drop_ins.insert(name, rules);
    }
    Ok(drop_ins)
}

fn names(tree: BorrowedFd<'_>, path: &str) -> Result<Vec<String>> {
    let Some(dir) = directory::find(tree, path)? else { return Ok(Vec::new()) };
    let mut names = directory::names(dir)?;
    names.retain(|name| name.ends_with(ENDING));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::etc_policy::Policy;
    use std::fs;
    use std::os::fd::AsFd;
    use std::path::Path;

    #[test]
    fn the_administrator_has_the_last_word() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("new/usr/lib/ostree/etc-merge.d/10-a.conf", "fail /etc/a\nfail /etc/masked\n");
        write("new/usr/lib/ostree/etc-merge.d/90-z.conf", "take-new /etc/a\ntake-new /etc/b\n");
        write("new/usr/lib/ostree/etc-merge.d/note.txt", "no drop-in");
        write("new/etc/ostree/etc-merge.d/00.conf", "fail /etc\n");
        write("old/etc/ostree/etc-merge.d/00.conf", "keep-both /etc/b\n");
        write("old/usr/lib/ostree/etc-merge.d/10-a.conf", "fail /etc\n");
        let null = dir.path().join("old/etc/ostree/etc-merge.d/10-a.conf");
        std::os::unix::fs::symlink("/dev/null", null).unwrap();
        let open = |name: &str| fs::File::open(dir.path().join(name)).unwrap();
        let read = |moment| read(open("new").as_fd(), open("old").as_fd(), moment);
        let policies = read(Moment::Asked).unwrap();
        let of = |path: &str| policies.of(Path::new(path));
        assert_eq!(
            [of("a"), of("b"), of("masked"), of("c")],
            [Policy::TakeNew, Policy::KeepBoth, Policy::KeepLocal, Policy::KeepLocal]
        );
        write("old/etc/ostree/etc-merge.d/bad.conf", "\nperhaps /etc/a\n");
        let error = format!("{:#}", read(Moment::Asked).unwrap_err());
        assert!(error.contains("etc/ostree/etc-merge.d/bad.conf: line 2: \"perhaps\""), "{error}");
        assert_eq!(read(Moment::Shutdown).unwrap(), policies, "a shutdown goes on without it");
    }
}
