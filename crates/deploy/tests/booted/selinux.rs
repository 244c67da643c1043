// SPDX-License-Identifier: MIT OR Apache-2.0
//! A local addition to the SELinux policy, and an update whose `semodule` cannot compile it: that stops no update, and is not kept
//! quiet about.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use deploy::{DeployOptions, Finalized, Selinux};
use sysroot::Topic;

use test_world::namespace::{Case, Need};
use test_world::system::{
    Boot, PROGRAMS, boot, deployment, finalize, installed, list, script, stage, status, try_finalize,
    try_stage,
};

pub(crate) const CASES: &[Case] = &[
    ("an_update_outlives_a_policy_that_cannot_be_compiled", Need::Nothing, optional),
    ("a_policy_that_must_be_compiled_stops_the_update", Need::Nothing, required),
    ("a_policy_is_compiled_again_where_it_has_additions", Need::Nothing, compiled),
];

/// A system without a policy, and an update that has one.
fn running() {
    let world = installed(&Boot::Bound);
    world.commit("main", "2", |tree| {
        let policy = tree.join("usr/etc/selinux/targeted");
        fs::create_dir_all(policy.join("contexts/files")).unwrap();
        fs::write(tree.join("usr/etc/selinux/config"), "SELINUX=enforcing\n").unwrap();
        fs::write(policy.join("contexts/files/file_contexts"), "/etc(/.*)? etc_t\n").unwrap();
        fs::create_dir_all(tree.join("usr/sbin")).unwrap();
        fs::write(tree.join("usr/sbin/semodule"), "").unwrap();
        symlink("usr/sbin", tree.join("sbin")).unwrap();
    });
    boot(world, &Boot::Bound);
}

/// Adds a policy module, as an administrator does.
fn add_module() {
    fs::create_dir_all("/etc/selinux/targeted/active/modules").unwrap();
    fs::write("/etc/selinux/targeted/active/modules/mine", "module").unwrap();
}

/// A `bwrap` that runs nothing, and ends like this when the policy is to be compiled.
fn fake(end: &str) {
    script(
        &Path::new(PROGRAMS).join("bwrap"),
        &format!(
            "echo \"$PWD: $@\" >> /run/bwrap.log\ncase \"$*\" in *--help*) echo '  -R, --refresh';; *) {end};; esac"
        ),
    );
}

fn log() -> String {
    fs::read_to_string("/run/bwrap.log").unwrap_or_default()
}

fn notes() -> Vec<String> {
    let notes = status().notes.into_iter().filter(|note| note.topic == Topic::SelinuxPolicy);
    notes.map(|note| note.text).collect()
}

fn optional() {
    running();
    add_module();
    fake("echo no memory >&2; exit 3");
    let name = stage();
    assert_eq!(log(), "", "the additions of a staged deployment come with the merge");
    let done = finalize();
    assert_eq!(list(), ["2", "1*"]);
    assert!(done.warnings().any(|warning| warning.contains("no memory")));
    assert!(log().ends_with("semodule -N --refresh\n"), "{}", log());
    let lines = notes();
    assert!(
        lines.len() == 1 && lines[0].contains("semodule -N --refresh: exit status: 3: no memory"),
        "{lines:?}"
    );
    assert!(deployment(&name).join("etc/selinux/targeted/active/modules/mine").exists());

    // Nor does it stop the next one.
    let name = stage();
    finalize();
    assert_eq!(list(), ["2", "1*"]);
    assert!(deployment(&name).join("etc/selinux/targeted/active/modules/mine").exists());
    // And what has gone well is not complained of.
    fake("exit 0");
    stage();
    finalize();
    assert_eq!(notes(), [""; 0]);
}

fn required() {
    running();
    add_module();
    fake("echo no memory >&2; exit 3");
    let config = "/sysroot/ostree/repo/config";
    let text = fs::read_to_string(config).unwrap();
    fs::write(config, format!("{text}\n[sysroot]\nselinux-refresh=required\n")).unwrap();
    stage();
    let error = format!("{:#}", try_finalize().unwrap_err());
    assert!(error.contains("selinux-refresh=required") && error.contains("no memory"), "{error}");
    assert!(list().ends_with(&["1*".to_owned()]));
    assert!(!list().contains(&"2".to_owned()), "{:?}", list());
}

fn compiled() {
    running();
    fake("exit 0");
    stage();
    finalize();
    assert_eq!(log(), "", "what nobody has changed is compiled already");
    fs::create_dir_all("/etc/selinux/targeted").unwrap();
    fs::write("/etc/selinux/targeted/setrans.conf", "").unwrap();
    stage();
    finalize();
    assert_eq!(log(), "", "there are no modules in /etc");
    add_module();
    let options = DeployOptions { selinux: Selinux::Ignore, ..DeployOptions::new("main") };
    let name = try_stage(&options, false).unwrap();
    assert!(matches!(try_finalize().unwrap(), Finalized::Done(_)));
    let log = log();
    assert_eq!(log.lines().count(), 2, "{log}");
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].ends_with("semodule --help") && lines[1].ends_with("semodule -N --refresh"), "{log}");
    let tree = deployment(&name);
    assert!(
        lines[1].starts_with(&format!("{}: --ro-bind usr /usr --bind etc /etc", tree.display())),
        "{log}"
    );
    assert_eq!(notes(), [""; 0]);
}
