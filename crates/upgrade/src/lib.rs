// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upgrading: from a deployment's origin to a newer deployment.
//!
//! ```text
//! origin    what the merge deployment follows, or what is followed from now on
//! pull      the newest commit, or the one that was asked for     not with a ref of the system's own repository
//! check     is it another commit, and not an older one
//! deploy    at once, or staged for shutdown
//! ```
//!
//! The merge deployment is the one whose configuration is taken over: the running system, else the default.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use sysroot::Sysroot;
//! use upgrade::{Options, Outcome, Steps};
//!
//! let sysroot = Sysroot::open_for_change(Path::new("/"))?;
//! let lock = sysroot.lock(|| eprintln!("Waiting for the lock"))?;
//! let options = Options { steps: Steps::Stage, ..Options::default() };
//! let upgraded = upgrade::upgrade(&lock, &options)?;
//! match upgraded.outcome {
//!     Outcome::Unchanged => println!("{} has nothing newer", upgraded.refspec),
//!     _ => println!("{} is deployed at shutdown", upgraded.refspec),
//! }
//! # Ok::<(), anyhow::Error>(())
//! ```
#![forbid(unsafe_code)]

mod end_of_life;
mod error;
mod find;
mod options;
mod origin;
mod plan;
mod pull;

use anyhow::Result;
use deploy::{Deployed, StagedDeployment};
use formats::Checksum;
use sysroot::Lock;

use find::Found;

pub use end_of_life::EndOfLife;
pub use error::UpgradeError;
pub use options::{Options, Steps};
pub use origin::{NewOrigin, set_origin};
pub use plan::plan;

/// The result of an upgrade.
#[derive(Debug)]
pub struct Upgraded {
    /// The outcome.
    pub outcome: Outcome,
    /// The refspec that is followed now.
    pub refspec: String,
    /// The ends of branches that commits on the way announce.
    pub ends: Vec<EndOfLife>,
    /// The ref of a remote that nothing follows any more, and that was removed.
    pub deleted_ref: Option<String>,
}

/// The outcome of an upgrade.
#[derive(Debug)]
pub enum Outcome {
    /// The deployment has the newest commit.
    Unchanged,
    /// There is another commit, and it was pulled.
    Pulled(Checksum),
    /// It was deployed.
    Deployed(Box<Deployed>),
    /// It was staged.
    Staged(Box<StagedDeployment>),
}

/// Upgrades, or switches to something else.
///
/// Errors: [`UpgradeError`]; [`repo::RemoteError`], [`transport::UrlError`] and [`transport::Downgrade`] from
/// pulling; a failure leaves the deployments as they were.
pub fn upgrade(lock: &Lock<'_>, options: &Options) -> Result<Upgraded> {
    let sysroot = lock.sysroot();
    let found = find::find(sysroot, options)?;
    let forgotten = found.forgotten(options).cloned();
    let Found { wanted, refspec, ends, .. } = found;
    let refspec_now = refspec.to_string();
    let Some(deployment) = wanted else {
        return Ok(Upgraded { outcome: Outcome::Unchanged, refspec: refspec_now, ends, deleted_ref: None });
    };
    let outcome = match options.steps {
        Steps::PullOnly => Outcome::Pulled(deployment.refspec.parse()?),
        Steps::Deploy | Steps::DeployOnly => Outcome::Deployed(Box::new(deploy::deploy(lock, &deployment)?)),
        Steps::Stage | Steps::StageOnly => {
            Outcome::Staged(Box::new(deploy::stage(lock, &deployment, false)?))
        }
    };
    if let Some(old) = &forgotten
        && sysroot.repo().read_ref(old)?.is_some()
    {
        sysroot.repo().delete_ref(old)?;
    }
    let deleted_ref = forgotten.map(|old| old.to_string());
    Ok(Upgraded { outcome, refspec: refspec_now, ends, deleted_ref })
}
