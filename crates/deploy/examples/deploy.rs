// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plans a deployment, shows the plan, and applies it, in a temporary physical root: `cargo run --example deploy`.
//!
//! A deployment has the owners that its commit has, so this takes root.

use std::error::Error;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use deploy::{DeployOptions, Epoch, Request};
use formats::object::Commit;
use repo::commit::{TreeOptions, add_directory};
use repo::tree::Tree;
use sysroot::{Options, Sysroot};

fn main() -> Result<(), Box<dyn Error>> {
    if !rustix::process::geteuid().is_root() {
        println!("This takes root.");
        return Ok(());
    }
    let top = tempfile::tempdir()?;
    deploy::init_fs(top.path(), Epoch::Modern)?;
    // An immutable deployment would outlive the temporary directory.
    let options = Options { mutable_deployments: true, ..Options::default() };
    let sysroot = Sysroot::open(top.path())?.with_options(&options);
    let lock = sysroot.lock(|| println!("Waiting for the lock"))?;
    deploy::init_stateroot(&lock, "os")?;
    commit(&sysroot, "main")?;

    let options = DeployOptions { stateroot: Some("os".to_owned()), ..DeployOptions::new("main") };
    let plan = deploy::plan(&sysroot, &Request::Deploy(options))?;
    print!("{plan}");
    // Refused with `Changed` if anything that the plan relies on is different by now.
    deploy::apply(&lock, &plan)?;
    print!("{}", sysroot.status()?);
    let [deployment] = &sysroot.load()?.deployments[..] else { return Err("there is no deployment".into()) };
    assert_eq!(fs::read_to_string(top.path().join(deployment.path.to_string()).join("etc/motd"))?, "hello\n");
    Ok(())
}

/// Commits the smallest tree that can be booted.
fn commit(sysroot: &Sysroot, branch: &str) -> Result<(), Box<dyn Error>> {
    let files = tempfile::tempdir()?;
    let mount_points = ["sysroot", "var", "run", "proc", "sys", "dev", "boot"];
    for dir in mount_points.into_iter().chain(["usr/etc", "usr/lib/modules/6.1.0"]) {
        fs::create_dir_all(files.path().join(dir))?;
    }
    for (path, text) in [
        ("usr/lib/modules/6.1.0/vmlinuz", "kernel"),
        ("usr/lib/modules/6.1.0/initramfs.img", "initramfs"),
        ("usr/etc/motd", "hello\n"),
    ] {
        fs::write(files.path().join(path), text)?;
    }
    std::os::unix::fs::symlink("sysroot/ostree", files.path().join("ostree"))?;
    let mut transaction = sysroot.repo().begin()?;
    let mut tree = Tree::new();
    let dir = fs::File::open(files.path())?;
    add_directory(&mut transaction, &mut tree, dir.as_fd(), Path::new("."), &TreeOptions::default())?;
    let (tree, meta) = tree.write(&mut transaction)?;
    let checksum = transaction.write_commit(&Commit::new(tree, meta))?;
    transaction.set_ref(branch.parse()?, checksum);
    transaction.commit()?;
    Ok(())
}
