// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages to the journal, with ids that a catalog explains. Those that the C tools write too have their ids and fields.
//!
//! That nobody listens is no reason to do anything else: failures here are dropped.

use formats::bootlink::DeploymentPath;
use prepare_root::journal::send;
use sysroot::EtcConflict;

/// Local changes of `/etc` were carried over.
const ETC_MERGED: &str = "d3863baec13e4449ab0384684a8af3a7";
/// Ours: the same was changed by an update.
const ETC_CONFLICT: &str = "7b8b772dd3094b828bdbf8ef86916469";
/// Ours: the SELinux policy lacks what was added to it locally.
const POLICY_NOT_REFRESHED: &str = "0f5c3b1d62a94c0e9d7be2a4c8f1e673";
/// A staged deployment is about to be switched to.
const FINALIZING: &str = "e8646cd63dff4625b77909a8e7a40994";
/// The boot menu was switched.
const COMPLETE: &str = "dd440e3e549083b63d0efc7dc15255f1";

/// `LOG_WARNING` and `LOG_INFO` of `syslog(3)`.
const WARNING: u8 = 4;
const INFO: u8 = 6;

fn message(id: &str, priority: u8, text: String, fields: &[(&str, String)]) {
    let mut all = vec![("MESSAGE", text), ("MESSAGE_ID", id.to_owned()), ("PRIORITY", priority.to_string())];
    all.extend(fields.iter().cloned());
    let _ = send(&all);
}

/// How much was modified, removed and added.
pub(crate) fn etc_merged([modified, removed, added]: [usize; 3]) {
    let text = format!("Copying /etc changes: {modified} modified, {removed} removed, {added} added");
    let count = |number: usize| number.to_string();
    message(
        ETC_MERGED,
        INFO,
        text,
        &[
            ("ETC_N_MODIFIED", count(modified)),
            ("ETC_N_REMOVED", count(removed)),
            ("ETC_N_ADDED", count(added)),
        ],
    );
}

/// Where local changes and an update have met.
pub(crate) fn etc_conflict(deployment: &DeploymentPath, conflict: &EtcConflict) {
    let fields = [("DEPLOYMENT_PATH", format!("/{deployment}")), ("ETC_PATH", conflict.path.clone())];
    message(ETC_CONFLICT, WARNING, format!("Changed both locally and by the update: {conflict}"), &fields);
}

/// The SELinux policy of a deployment lacks what was added to it locally.
pub(crate) fn policy_not_refreshed(deployment: &DeploymentPath, why: &str) {
    let fields = [("DEPLOYMENT_PATH", format!("/{deployment}"))];
    let text = format!("The SELinux policy of /{deployment} lacks what was added locally: {why}");
    message(POLICY_NOT_REFRESHED, WARNING, text, &fields);
}

/// A staged deployment is about to be switched to.
pub(crate) fn finalizing(deployment: &DeploymentPath) {
    message(
        FINALIZING,
        INFO,
        "Finalizing staged deployment".to_owned(),
        &[
            ("OSTREE_OSNAME", deployment.stateroot.clone()),
            ("OSTREE_CHECKSUM", deployment.checksum.to_string()),
            ("OSTREE_DEPLOYSERIAL", deployment.deploy_serial.to_string()),
        ],
    );
}

/// The boot menu was switched; it has this many deployments now.
pub(crate) fn complete(summary: String, did_swap: bool, deployments: usize, boot_loader: &str) {
    message(
        COMPLETE,
        INFO,
        summary,
        &[
            ("OSTREE_BOOTLOADER", boot_loader.to_owned()),
            ("OSTREE_DID_BOOTSWAP", if did_swap { "yes" } else { "no" }.to_owned()),
            ("OSTREE_N_DEPLOYMENTS", deployments.to_string()),
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_explains_every_message() {
        let catalog = include_str!("../../../systemd-units/ostree.catalog");
        for id in [
            ETC_MERGED,
            ETC_CONFLICT,
            POLICY_NOT_REFRESHED,
            FINALIZING,
            COMPLETE,
            prepare_root::report::TARGET_MESSAGE_ID,
        ] {
            assert!(catalog.contains(&format!("\n-- {id}\nSubject: ")), "{id}");
        }
        assert_eq!(catalog.matches("\n-- ").count(), 6, "and none that is never sent");
    }
}
