// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::config::Layer;

const DEPLOYMENT: &str =
    "ostree/deploy/debian/deploy/11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa.0";
const VAR: &str = "ostree/deploy/debian/var";

fn deployment() -> Deployment {
    let path = DEPLOYMENT.parse().unwrap();
    Deployment { boot_link: "/ostree/boot.1/debian/22/0".to_owned(), path, device: 64, inode: 12 }
}

fn facts() -> Facts {
    Facts { sysroot_writable: true, has_stateroot_var: true, has_var_mount_point: true, ..Facts::default() }
}

fn plan(config: &str, facts: &Facts) -> Result<MountPlan, PlanError> {
    let config = Config::parse(&[Layer { path: "prepare-root.conf", text: config }]).unwrap();
    MountPlan::new(&config, &deployment(), facts)
}

fn lines(config: &str, facts: &Facts) -> Vec<String> {
    plan(config, facts).unwrap().mounts.iter().map(ToString::to_string).collect()
}

const READONLY: &str = "[sysroot]\nreadonly=true\n";

#[test]
fn a_writable_sysroot_needs_three_mounts() {
    let expected = [
        format!("/ from /{DEPLOYMENT}"),
        format!("/usr from /{DEPLOYMENT}/usr, read-only"),
        "/sysroot from the physical root".to_owned(),
    ];
    assert_eq!(lines("", &facts()), expected);
}

#[test]
fn a_readonly_sysroot_leaves_etc_and_var_writable() {
    let expected = [
        format!("/ from /{DEPLOYMENT}"),
        format!("/etc from /{DEPLOYMENT}/etc, writable"),
        format!("/usr from /{DEPLOYMENT}/usr, read-only"),
        "/sysroot from the physical root, read-only".to_owned(),
        format!("/sysroot/{VAR} from /{VAR}, writable"),
    ];
    assert_eq!(lines(READONLY, &facts()), expected);
    let legacy = Facts { repo_readonly: RepoReadonly::True, ..facts() };
    assert_eq!(lines("", &legacy), expected);
    assert_eq!(lines("[sysroot]\nreadonly=false\n", &legacy), expected, "as upstream: either file is enough");
}

#[test]
fn boot_is_that_of_the_physical_root_where_a_loader_starts_from_it() {
    let own = Facts { boot_on_sysroot: true, ..facts() };
    assert_eq!(lines("", &own)[2], "/boot from /boot");
    assert_eq!(lines(READONLY, &own)[3], "/boot from /boot, read-only");
}

#[test]
fn var_is_mounted_where_it_is_asked_for() {
    let asked = Facts { mount_var: true, ..facts() };
    assert_eq!(lines("", &asked).last(), Some(&format!("/var from /{VAR}, shared")));
    assert_eq!(lines(READONLY, &asked).last(), Some(&format!("/var from /{VAR}, writable, shared")));
}

#[test]
fn a_hotfix_replaces_the_readonly_usr() {
    let usr = |writable| {
        let facts = Facts { has_hotfix: true, sysroot_writable: writable, ..facts() };
        lines("", &facts).remove(1)
    };
    assert_eq!(usr(true), "/usr from the hotfix overlay");
    assert_eq!(usr(false), "/usr from the hotfix overlay, read-only");
}

#[test]
fn missing_directories_are_found_before_anything_is_mounted() {
    let no_var = Facts { has_stateroot_var: false, ..facts() };
    assert_eq!(plan(READONLY, &no_var), Err(PlanError::NoStaterootVar(VAR.to_owned())));
    assert!(plan("", &no_var).is_ok(), "nothing is mounted from it");
    let no_place = Facts { mount_var: true, has_var_mount_point: false, ..facts() };
    assert_eq!(plan("", &no_place), Err(PlanError::NoVarMountPoint(DEPLOYMENT.to_owned())));
}

#[test]
fn the_notes_say_what_is_not_as_configured() {
    let noted = |facts: &Facts| plan("[composefs]\nenabled=maybe\n", facts).unwrap().notes;
    assert_eq!(noted(&facts()), Vec::<String>::new());
    assert!(noted(&Facts { has_composefs_image: true, ..facts() })[0].contains("using the plain mode"));
    let legacy = Facts { repo_readonly: RepoReadonly::True, ..facts() };
    assert!(noted(&legacy)[0].contains("move it to prepare-root.conf"));
    let bad = Facts { repo_readonly: RepoReadonly::Unreadable("line 1".to_owned()), ..facts() };
    assert_eq!(noted(&bad), ["/ostree/repo/config is ignored: line 1"]);
}

#[test]
fn a_plan_is_json_for_programs_and_text_for_people() {
    let plan = plan(READONLY, &Facts { repo_readonly: RepoReadonly::True, ..facts() }).unwrap();
    let json: serde_json::Value = serde_json::from_str(&plan.to_json()).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["deployment"], format!("/{DEPLOYMENT}"));
    assert_eq!(json["inode"], 12);
    assert_eq!(json["sysroot-readonly"], true);
    assert_eq!(json["mounts"].as_array().unwrap().len(), plan.mounts.len());
    assert_eq!(json["mounts"][1]["at"], "/etc");
    assert_eq!(json["mounts"][1]["access"], "writable");
    assert_eq!(json["mounts"][3]["source"], "physical-root");
    assert_eq!(json["notes"].as_array().unwrap().len(), 1);

    let text = plan.to_string();
    assert!(text.contains(&format!("deployment: /{DEPLOYMENT} (device 64, inode 12)\n")), "{text}");
    assert!(text.contains("\n  /sysroot from the physical root, read-only\n"), "{text}");
}

#[test]
fn the_run_state_names_the_deployment() {
    let state = plan(READONLY, &facts()).unwrap().run_state();
    assert_eq!(state.backing_root, Some((64, 12)));
    assert_eq!(state.sysroot_readonly, Some(true));
    assert_eq!(state.root_transient, Some(false));
}
