// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boot menu that a staged deployment becomes a part of at shutdown.

use anyhow::{Result, ensure};
use bootloader::LoaderLink;
use formats::bootlink::DeploymentPath;
use formats::kernel_args::KernelArgs;
use formats::staged::Staged;
use sysroot::retention::{self, Retention};
use sysroot::{Loaded, Sysroot};

use crate::entries::{Item, NewDeployment};
use crate::menu::{self, MenuPlan};
use crate::preflight::{Check, checks};

/// Plans the menu, and finds the deployment whose `/etc` is merged.
pub(crate) fn plan_menu(
    sysroot: &Sysroot,
    loaded: &Loaded,
    record: &Staged,
) -> Result<(Option<DeploymentPath>, MenuPlan)> {
    loaded.boot.check()?;
    ensure!(loaded.boot.loader != LoaderLink::Missing, "There is no /boot/loader; is /boot mounted?");
    let path = &record.target.path;
    let merge = merge_deployment(loaded, record);
    let new = new_deployment(sysroot, loaded, record, merge.clone());
    let all = &loaded.deployments;
    let anchor = retention::merge_deployment(all, &path.stateroot);
    let keep = Retention::of_words(&record.retain);
    let list = retention::arrange(all, &path.stateroot, anchor, keep, !record.not_as_default);
    let item = |item: &Option<usize>| item.map_or_else(|| Item::New(Box::new(new.clone())), Item::old);
    let items: Vec<Item> = list.iter().map(item).collect();
    let mut settings = sysroot.boot_settings(loaded)?;
    settings.stateroot_in_names = sysroot.options().with_staged_words(&record.options).stateroot_in_names;
    settings.incomplete_trees |= checks(&record.ignore).contains(&Check::MountPoints);
    let menu = menu::plan_menu(sysroot, loaded, &items, false, settings)?;
    Ok((merge, menu))
}

fn new_deployment(
    sysroot: &Sysroot,
    loaded: &Loaded,
    record: &Staged,
    merge: Option<DeploymentPath>,
) -> NewDeployment {
    let options = sysroot.options().with_staged_words(&record.options);
    let path = record.target.path.clone();
    let inherited = || loaded.deployments.iter().find(|d| Some(&d.path) == merge.as_ref());
    let kernel_args = match &record.kernel_args {
        Some(args) => KernelArgs::of_list(args),
        None => inherited().map(|d| d.kernel_args()).unwrap_or_default(),
    };
    NewDeployment {
        version: sysroot.version_of(&path),
        path,
        merge,
        kernel_args,
        boot_checksum: Some(record.target.boot_checksum),
        overlay_initrds: record.overlay_initrds.clone(),
        initrd_files: Vec::new(),
        extra: record.extra.clone(),
        no_device_trees: options.no_device_trees,
    }
}

/// The deployment that the record names. If that is gone, the one that a new deployment would take over from now.
fn merge_deployment(loaded: &Loaded, record: &Staged) -> Option<DeploymentPath> {
    let merge = record.merge.as_ref()?;
    let all = &loaded.deployments;
    if all.iter().any(|d| d.path == merge.path) {
        return Some(merge.path.clone());
    }
    let now = retention::merge_deployment(all, &record.target.path.stateroot);
    let now = now.and_then(|index| all.get(index)).map(|d| d.path.clone());
    log::warn!("{} is gone; taking the configuration of {now:?}", merge.path);
    now
}
