// SPDX-License-Identifier: MIT OR Apache-2.0
//! Damages between the boot loader and the deployments, each made on a real ext4, repaired, and looked at afterwards as the
//! initramfs does, and by the other `ostree` that `OSTREE_PEER` names.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

mod damages;
mod disk;
mod full;

use std::path::Path;
use std::process::{Command, ExitCode};

use damages::{DAMAGES, Damage, Menu};
use disk::Root;
use test_world::peer::NEWEST;
use test_world::{as_root, beside, run_trials_in_turn};

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for damage in DAMAGES {
        for separate in [false, true] {
            let place = if separate { "boot_of_its_own" } else { "boot_on_the_root" };
            let name = format!("{}_{place}", damage.name);
            trials.push(as_root(name, move || repaired(damage, separate, None)));
        }
        let name = format!("{}_then_the_other_ostree", damage.name);
        trials.push(beside(NEWEST, name, move |peer| repaired(damage, true, Some(peer))));
    }
    trials.extend(full::trials());
    run_trials_in_turn(trials)
}

/// Makes the damage, repairs it and looks.
fn repaired(damage: &Damage, separate: bool, peer: Option<&Path>) {
    let root = Root::with_two_deployments(separate);
    let before = root.menu();
    assert_eq!(before.len(), 2);
    let clean = repair::check_boot(&root.sysroot()).unwrap();
    assert!(clean.is_clean(), "before: {clean:#?}");
    (damage.make)(&root);

    let found = repair::check_boot(&root.sysroot()).unwrap();
    assert!(!found.is_clean(), "nothing was found");
    assert!(found.problems.iter().any(|problem| problem.topic == damage.topic), "{found:#?}");
    let left = root.repair().unwrap();
    assert!(left.is_clean(), "{found:#?} left {left:#?}");

    let wanted = match damage.menu {
        Menu::Same => before.clone(),
        Menu::WithoutFirst => before[1..].to_vec(),
        Menu::WithoutSecond => before[..1].to_vec(),
    };
    root.check_whole(&wanted);
    assert!(root.repair().unwrap().repair.is_empty(), "a second repair has something to do");
    if let Some(peer) = peer {
        let output =
            Command::new(peer).arg("admin").arg(root.sysroot_option()).arg("status").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let listed: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
        let names: Vec<&str> = wanted.iter().map(|path| path.rsplit('/').next().unwrap()).collect();
        let listed: Vec<&str> = listed.into_iter().filter(|word| word.len() > 64).collect();
        assert_eq!(listed, names, "{text}");
        // It can also go on from there.
        let output =
            Command::new(peer).arg("admin").arg(root.sysroot_option()).arg("cleanup").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        root.check_whole(&wanted);
    }
    // And so can we.
    root.world
        .commit("main", "3", |tree| std::fs::write(tree.join("usr/lib/modules/6.1.0/vmlinuz"), "3").unwrap());
    root.world.deploy("main");
    assert_eq!(root.menu().len(), 2.min(wanted.len() + 1));
}
