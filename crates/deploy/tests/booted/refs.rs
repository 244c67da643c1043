// SPDX-License-Identifier: MIT OR Apache-2.0
//! Refs of deployments over a staged update: the plan says which come and which go, and those of others stay.

use std::collections::BTreeMap;
use std::path::Path;

use deploy::{DeployOptions, Plan, Request, Step};
use sysroot::Sysroot;

use test_world::namespace::{Case, Need};
use test_world::system::{finalize, open, running, stage};

pub(crate) const CASES: &[Case] = &[("refs_change_as_the_plan_says", Need::Nothing, planned)];

/// The refs below `ostree/` with their commits.
fn refs() -> BTreeMap<String, String> {
    let sysroot = Sysroot::open(Path::new("/")).unwrap();
    let all = sysroot.repo().list_refs(Some(&"ostree".parse().unwrap())).unwrap();
    all.into_iter().map(|(refspec, commit)| (refspec.to_string(), commit.to_string())).collect()
}

/// Applies the steps to `refs`.
fn after(mut refs: BTreeMap<String, String>, steps: &[Step]) -> BTreeMap<String, String> {
    for step in steps {
        match step {
            Step::SetRef { name, commit } => {
                refs.insert(name.clone(), commit.clone().unwrap());
            }
            Step::DeleteRef { name } => {
                assert!(refs.remove(name).is_some(), "{name} is not there, and would be deleted");
            }
            _ => {}
        }
    }
    refs
}

fn planned() {
    running();
    let sysroot = open();
    let main = sysroot.repo().resolve_rev("main").unwrap();
    for name in ["ostree/container/blob/ab", "ostree/1/1/foo", "ostree/0/0/7"] {
        sysroot.repo().set_ref(&name.parse().unwrap(), &main).unwrap();
    }
    let request = || Request::Stage { options: DeployOptions::new("main"), locked: false };
    let once: Plan = deploy::plan(&sysroot, &request()).unwrap();
    let before = refs();
    let first = stage();
    assert_eq!(refs(), after(before, &once.steps), "{once}");
    assert_eq!(refs().len(), 4, "two deployments, and two of others: {:?}", refs());
    // In place of the first one, which goes at once.
    let again = deploy::plan(&sysroot, &request()).unwrap();
    let before = refs();
    stage();
    assert_eq!(refs(), after(before, &again.steps), "{again}");
    let gone = |step: &Step| matches!(step, Step::Remove { path } if path.ends_with(&first));
    assert!(again.steps.iter().any(gone) && !again.at_shutdown.iter().any(gone), "{again}");
    let before = refs();
    finalize();
    assert_eq!(refs(), after(before, &again.at_shutdown), "{again}");
    assert!(refs().contains_key("ostree/container/blob/ab") && refs().contains_key("ostree/1/1/foo"));
}
