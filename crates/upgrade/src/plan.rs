// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plan of an upgrade: the pull, the deployment, and the ref that nothing follows any more.

use anyhow::Result;
use deploy::{Plan, Request, Step};
use formats::Checksum;
use repo::{Refspec, RepoError};
use sysroot::Sysroot;

use crate::find::{self, Found};
use crate::{Options, Steps};

/// The operation of a plan that has a pull and no deployment.
const PULL: &str = "pull";

/// Plans an upgrade to the commit that is in the repository already, or a switch to it; nothing is pulled.
///
/// The steps of the pull come first, where one is wanted. `None` where nothing is pulled, and nothing newer is here.
///
/// # Errors
///
/// As of [`upgrade`](crate::upgrade), but for what a pull is refused for.
pub fn plan(sysroot: &Sysroot, options: &Options) -> Result<Option<Plan>> {
    let (steps, stages) = match options.steps {
        Steps::Stage | Steps::StageOnly => (Steps::StageOnly, true),
        Steps::Deploy | Steps::PullOnly | Steps::DeployOnly => (Steps::DeployOnly, false),
    };
    let found = find::find(sysroot, &Options { steps, ..options.clone() });
    if options.steps == Steps::PullOnly {
        return pull_alone(sysroot, options, found).map(Some);
    }
    let found = found?;
    let pulls = matches!(options.steps, Steps::Deploy | Steps::Stage);
    let before = if pulls { pull(&found.commits) } else { Vec::new() };
    let forgotten = found.forgotten(options);
    let is_there = forgotten.map(|old| sysroot.repo().read_ref(old)).transpose()?.flatten().is_some();
    let forgotten = forgotten.filter(|_| is_there).map(|old| Step::DeleteRef { name: old.to_string() });
    let Some(options) = found.wanted else {
        let mut plan = deploy::plan_nothing(sysroot, PULL)?.between(before, Vec::new());
        plan.warnings
            .push("the repository has nothing newer yet: what is pulled decides about the rest".to_owned());
        return Ok(Some(plan).filter(|plan| !plan.steps.is_empty()));
    };
    let request = match stages {
        true => Request::Stage { options, locked: false },
        false => Request::Deploy(options),
    };
    let plan = deploy::plan(sysroot, &request)?;
    Ok(Some(plan.between(before, forgotten.into_iter().collect())))
}

/// Plans a pull without a deployment. A branch that was never pulled has no commit here yet.
fn pull_alone(sysroot: &Sysroot, options: &Options, found: Result<Found>) -> Result<Plan> {
    let before = match found {
        Ok(found) => pull(&found.commits),
        Err(error) if matches!(error.downcast_ref(), Some(RepoError::RefNotFound(_))) => {
            let refspec = find::first(sysroot, options)?;
            let name = refspec.to_string();
            refspec.remote.iter().flat_map(|_| [Step::WriteObjects, set_ref(&name, None)]).collect()
        }
        Err(error) => return Err(error),
    };
    Ok(deploy::plan_nothing(sysroot, PULL)?.between(before, Vec::new()))
}

/// The steps of the pull of these commits; those of refs without remote are not pulled.
fn pull(commits: &[(Refspec, Checksum)]) -> Vec<Step> {
    let pulled = commits.iter().filter(|(refspec, _)| refspec.remote.is_some());
    let steps = pulled.flat_map(|(refspec, commit)| {
        [Step::WriteObjects, set_ref(&refspec.to_string(), Some(commit.to_string()))]
    });
    steps.collect()
}

fn set_ref(name: &str, commit: Option<String>) -> Step {
    Step::SetRef { name: name.to_owned(), commit }
}
