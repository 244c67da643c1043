// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plan of a deployment: all its properties, decided before anything is written.

use std::fmt;

use anyhow::{Context, Result};
use fn_error_context::context;
use formats::bootlink::{DeploymentPath, is_stateroot};
use formats::kernel_args::KernelArgs;
use rustix::fs::AtFlags;
use selinux::Selinux;
use serde::Serialize;
use sysroot::commit_tree::CommitTree;
use sysroot::image_kargs::ImageKargs;
use sysroot::retention::{self, NewList};
use sysroot::{Deployment, Loaded, Origin, Sysroot, directory, stated_version};

use crate::entries::NewDeployment;
use crate::options::DeployOptions;
use crate::overlay_initrds::OverlayInitrd;
use crate::preflight::{Check, Lack};

/// A deployment to be made.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeployPlan {
    /// Where the new deployment goes.
    #[serde(serialize_with = "as_text")]
    pub path: DeploymentPath,
    /// The deployment whose `/etc` changes and kernel arguments it takes over.
    #[serde(serialize_with = "as_optional_text")]
    pub merge: Option<DeploymentPath>,
    /// Its kernel arguments, before `ostree=` is set.
    #[serde(serialize_with = "as_text")]
    pub kernel_args: KernelArgs,
    /// Whether the image asks for other arguments than the one before.
    pub image_kargs: bool,
    /// More initrds, which are loaded after the tree's own.
    pub overlay_initrds: Vec<OverlayInitrd>,
    /// The version that its commit states.
    pub version: Option<String>,
    /// The old list that this was planned for, in the order of the boot menu.
    #[serde(serialize_with = "as_texts")]
    pub old: Vec<DeploymentPath>,
    /// The new list; `None` is the new deployment, a number an index in `old`.
    pub list: NewList,
    /// Findings about the tree that were ignored.
    pub ignored: Vec<Lack>,
    /// The checks that are ignored.
    #[serde(skip)]
    pub(crate) ignore: Vec<Check>,
    #[serde(skip)]
    pub(crate) origin: Origin,
    #[serde(skip)]
    pub(crate) selinux: Selinux,
}

/// Why there is nothing to deploy, or nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No stateroot was named, and the running system has none.
    #[error("Not currently booted into an OSTree system and no --os= argument given")]
    NotBooted,
    /// There is no such stateroot.
    #[error("No such stateroot: {0}; make it with `ostree admin stateroot-init {0}`")]
    NoStateroot(String),
}

impl DeployPlan {
    pub(super) fn new(sysroot: &Sysroot, loaded: &Loaded, options: &DeployOptions) -> Result<Self> {
        let all = &loaded.deployments;
        let stateroot = match (&options.stateroot, all.iter().find(|d| d.booted)) {
            (Some(name), _) => name.clone(),
            (None, Some(booted)) => booted.path.stateroot.clone(),
            (None, None) => return Err(PlanError::NotBooted).context("Looking for booted deployment"),
        };
        check_stateroot(sysroot, &stateroot)?;
        let checksum = sysroot.repo().resolve_rev(&options.refspec)?;
        let commit =
            sysroot.repo().load_commit(&checksum).with_context(|| format!("Loading commit {checksum}"))?;
        sysroot.repo().check_tree(&checksum)?;
        let version = stated_version(&commit);
        let merge = options.merge.then(|| retention::merge_deployment(all, &stateroot)).flatten();
        let merge_from = merge.and_then(|index| all.get(index));
        // Even without a merge the deployment that is the default now is what one goes back to.
        let anchor = retention::merge_deployment(all, &stateroot);
        let list = retention::arrange(all, &stateroot, anchor, options.retention, options.as_default);
        let deploy_serial = next_serial(sysroot, &stateroot, &checksum.to_string())?;
        let origin = options.origin.clone().unwrap_or_else(|| Origin::new(&options.refspec));
        let image = ImageKargs::of(&CommitTree::open(sysroot.repo(), &checksum)?)?;
        let former = match merge_from {
            Some(d) => sysroot.image_kargs(&d.path).unwrap_or_else(|error| {
                log::warn!("{error:#}; what that image asked for counts as the administrator's");
                ImageKargs::default()
            }),
            None => ImageKargs::default(),
        };
        let mut inherited = merge_from.map(Deployment::kernel_args).unwrap_or_default();
        image.update(&former, &mut inherited);
        let image_kargs = inherited != merge_from.map(Deployment::kernel_args).unwrap_or_default();
        Ok(Self {
            path: DeploymentPath { stateroot, checksum, deploy_serial },
            kernel_args: options.kernel_args.apply(Some(&inherited))?,
            image_kargs,
            merge: merge_from.map(|d| d.path.clone()),
            overlay_initrds: options
                .overlay_initrds
                .iter()
                .map(|path| OverlayInitrd::read(path))
                .collect::<Result<_>>()?,
            version,
            old: all.iter().map(|d| d.path.clone()).collect(),
            list,
            ignored: Vec::new(),
            ignore: if sysroot.options().no_preflight {
                Check::IGNORABLE.to_vec()
            } else {
                options.ignore.clone()
            },
            origin: origin.for_new_deployment(),
            selinux: options.selinux,
        })
    }

    /// Gives the properties of the new deployment that its boot menu entry depends on.
    pub(crate) fn new_deployment(&self) -> NewDeployment {
        NewDeployment {
            path: self.path.clone(),
            merge: self.merge.clone(),
            kernel_args: self.kernel_args.clone(),
            version: self.version.clone(),
            boot_checksum: None,
            overlay_initrds: self.overlay_initrds.iter().map(|initrd| initrd.checksum).collect(),
            initrd_files: self.overlay_initrds.clone(),
            extra: Vec::new(),
            // Those of the sysroot are honoured anyway.
            no_device_trees: false,
        }
    }

    /// The deployments of the new list, in the order of the boot menu.
    pub fn new_paths(&self) -> impl Iterator<Item = &DeploymentPath> {
        self.list.iter().filter_map(|item| item.map_or(Some(&self.path), |index| self.old.get(index)))
    }
}

impl fmt::Display for DeployPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "New deployment: {}", self.path)?;
        if let Some(version) = &self.version {
            writeln!(f, "  version: {version}")?;
        }
        match &self.merge {
            Some(merge) => writeln!(f, "  /etc and kernel arguments from: {merge}")?,
            None => writeln!(f, "  /etc: as the tree has it")?,
        }
        writeln!(f, "  kernel arguments: {}", self.kernel_args)?;
        for initrd in &self.overlay_initrds {
            writeln!(f, "  one more initrd: {} ({})", initrd.path.display(), initrd.checksum)?;
        }
        for lack in &self.ignored {
            writeln!(f, "  ignored ({}): {}", lack.check, lack.text)?;
        }
        Ok(())
    }
}

fn check_stateroot(sysroot: &Sysroot, name: &str) -> Result<(), PlanError> {
    let there = is_stateroot(name)
        && rustix::fs::statat(sysroot.root(), format!("ostree/deploy/{name}"), AtFlags::empty()).is_ok();
    if there { Ok(()) } else { Err(PlanError::NoStateroot(name.to_owned())) }
}

/// One more than the highest serial that a tree or an origin of this commit has.
#[context("Reading ostree/deploy/{stateroot}/deploy")]
fn next_serial(sysroot: &Sysroot, stateroot: &str, checksum: &str) -> Result<u32> {
    let path = format!("ostree/deploy/{stateroot}/deploy");
    let Some(dir) = directory::find(sysroot.root(), &path)? else { return Ok(0) };
    let mut next = 0;
    for name in directory::names(dir)? {
        let name = name.strip_suffix(".origin").unwrap_or(&name);
        if let Some(found) = DeploymentPath::from_name(stateroot, name)
            && name.starts_with(checksum)
        {
            next = next.max(found.deploy_serial.saturating_add(1));
        }
    }
    Ok(next)
}

fn as_text<T: fmt::Display, S: serde::Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

fn as_optional_text<T: fmt::Display, S: serde::Serializer>(
    value: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}

fn as_texts<T: fmt::Display, S: serde::Serializer>(values: &[T], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().map(T::to_string))
}
