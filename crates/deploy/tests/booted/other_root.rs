// SPDX-License-Identifier: MIT OR Apache-2.0
//! Roots beside the one that runs: on the same device, below it, or at the same path.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use deploy::{DeployOptions, Epoch, Resumed, init_fs};
use formats::run_state::RunState;
use sysroot::Sysroot;

use test_world::namespace::{Case, Need};
use test_world::system::{RECORD, list, open, running, stage};

pub(crate) const CASES: &[Case] = &[
    ("an_image_below_the_running_root_is_a_root_of_its_own", Need::Nothing, image),
    ("an_empty_marker_means_the_root_itself", Need::Nothing, empty_marker),
    ("a_marker_of_another_root_makes_none_the_running_one", Need::Nothing, of_another),
    ("a_bind_mount_is_the_running_root_all_the_same", Need::Nothing, bind_mount),
];

const IMAGE: &str = "/sysroot/img";
const STATE: &str = "/run/ostree-booted";

/// A root in a directory of the running one, with the commits of its repository.
fn make_image() -> Sysroot {
    fs::create_dir(IMAGE).unwrap();
    init_fs(Path::new(IMAGE), Epoch::Modern).unwrap();
    let image = Sysroot::open(Path::new(IMAGE)).unwrap();
    deploy::init_stateroot(&image.lock(|| ()).unwrap(), "testos").unwrap();
    // A file is no stateroot.
    fs::write(format!("{IMAGE}/ostree/deploy/file"), "").unwrap();
    // Links of the objects, which are on the same device.
    let objects = format!("{IMAGE}/ostree/repo/objects");
    fs::remove_dir_all(&objects).unwrap();
    test_world::run(Command::new("cp").args(["-al", "/sysroot/ostree/repo/objects", &objects]));
    let image = Sysroot::open(Path::new(IMAGE)).unwrap();
    let main = open().repo().resolve_rev("main").unwrap();
    image.repo().set_ref(&"main".parse().unwrap(), &main).unwrap();
    image
}

fn is_running(path: &str) -> bool {
    Sysroot::open(Path::new(path)).unwrap().load().unwrap().is_running_system
}

fn image() {
    running();
    stage();
    let (record, kept) = (fs::read(RECORD).unwrap(), "/sysroot/ostree/staged-deployment");
    let image = make_image();
    let options = DeployOptions { stateroot: Some("testos".to_owned()), ..DeployOptions::new("main") };
    for _ in 0..3 {
        let lock = image.lock(|| ()).unwrap();
        deploy::deploy(&lock, &options).unwrap();
    }
    let names = fs::read_dir(format!("{IMAGE}/ostree/deploy/testos/deploy")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| !name.ends_with(".origin")).count(), 2, "{names:?}");
    assert!(!is_running(IMAGE) && is_running("/") && is_running("/sysroot"));
    // The staged deployment is not for it.
    let error =
        deploy::finalize_staged(&Sysroot::open_for_change(Path::new(IMAGE)).unwrap(), || ()).unwrap_err();
    assert!(format!("{error:#}").contains("was not booted from"), "{error:#}");
    let lock = image.lock(|| ()).unwrap();
    fs::rename(RECORD, "/run/record").unwrap();
    fs::copy(kept, format!("{IMAGE}/ostree/staged-deployment")).unwrap();
    assert_eq!(deploy::resume(&lock).unwrap(), Resumed::Nothing);
    fs::rename("/run/record", RECORD).unwrap();
    drop(lock);
    assert!(!Path::new(IMAGE).join("boot/ostree/finalize-failure.stamp").exists());
    assert_eq!(fs::read(RECORD).unwrap(), record);
    assert!(Path::new(kept).exists());
    assert_eq!(list(), ["2s", "1*"]);
}

/// As prepare-root of old releases of the C tools left it.
fn empty_marker() {
    running();
    make_image();
    fs::write(STATE, "").unwrap();
    assert_eq!(list(), ["1*"]);
    assert!(is_running("/") && is_running("/sysroot") && !is_running(IMAGE));
}

/// In a container, or below a root that is put together in another way, nothing here is what runs.
fn of_another() {
    running();
    let device = fs::metadata("/sysroot").unwrap().dev();
    let state = RunState { backing_root: Some((device, u64::MAX)), ..RunState::default() };
    fs::write(STATE, state.to_bytes()).unwrap();
    assert!(!is_running("/") && !is_running("/sysroot"));
    assert_eq!(list(), ["1"]);
}

fn bind_mount() {
    running();
    fs::create_dir("/run/elsewhere").unwrap();
    test_world::system::bind(Path::new("/sysroot"), Path::new("/run/elsewhere"));
    assert!(is_running("/run/elsewhere"));
}
