// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often a change reads the state of the boot menu: once before it, and once after the switch.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::sync::atomic::{AtomicUsize, Ordering};

use log::{LevelFilter, Log, Metadata, Record};
use test_world::World;

/// Counts what the crate `bootloader` tells of each reading.
struct Counter(AtomicUsize);

static COUNTER: Counter = Counter(AtomicUsize::new(0));

impl Log for Counter {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.target().starts_with("bootloader")
            && record.args().to_string() == "Reading the boot entries"
        {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn flush(&self) {}
}

/// Gives how often the state is read meanwhile.
fn reads(change: impl FnOnce()) -> usize {
    let before = COUNTER.0.load(Ordering::SeqCst);
    change();
    COUNTER.0.load(Ordering::SeqCst) - before
}

#[test]
fn a_deployment_reads_the_boot_menu_twice() {
    test_world::needs_root!();
    log::set_logger(&COUNTER).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let world = World::new();
    world.commit("main", "1", |_| ());
    assert_eq!(reads(|| drop(world.deploy("main"))), 2, "the first one");
    for version in ["2", "3", "4"] {
        world.commit("main", version, |_| ());
        assert_eq!(reads(|| drop(world.deploy("main"))), 2, "{version}");
    }
    assert_eq!(world.menu().len(), 2, "the others were removed in between");
    assert_eq!(reads(|| drop(world.status())), 1, "the control");
}
