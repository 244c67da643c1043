// SPDX-License-Identifier: MIT OR Apache-2.0
//! Remotes, pulls and upgrades of ours beside another `ostree`, which `OSTREE_PEER` names: the same output and the
//! same files on the disk. Without that variable every test is reported as ignored.
//!
//! Deployments are made immutable, so these tests run as root.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

mod world;

use std::path::Path;
use std::process::ExitCode;

use test_world::run_trials;
use world::{World, beside};

/// One step of a story; `@` stands for the directory of the world.
enum Step {
    /// A command that must succeed.
    Run(&'static str),
    /// One that must fail with the same line.
    Fails(&'static str),
    /// One that must fail, each in its own words.
    Refused(&'static str),
    /// Another file in the tree that is committed next.
    Grow(&'static str),
}
use Step::{Fails, Grow, Refused, Run};

const REMOTES: &[Step] = &[
    Run("--repo=dst init --mode=archive"),
    Run("--repo=dst remote add r file://@/src"),
    Fails("--repo=dst remote add r file://@/src"),
    Run("--repo=dst remote add --force r file:///else"),
    Run("--repo=dst remote add --if-not-exists r file:///other"),
    Refused("--repo=dst remote add --force --if-not-exists r x"),
    Fails("--repo=dst remote add r2 file:///src main --set=x"),
    Run(
        "--repo=dst remote add r2 file:///src main a/b --no-gpg-verify --set=foo=bar --set=x=true --contenturl=c",
    ),
    Run("--repo=dst remote add r3 mirrorlist=http://foo --no-sign-verify --collection-id=org.x.Y"),
    Run("--repo=dst remote add r4 http://foo --custom-backend=fp --set=gpg-verify=true --no-gpg-verify"),
    Run("--repo=dst remote add r5 file:///a\\b m;n --set=q=x\\y; --set=foo=1 --set=foo=2"),
    Fails("--repo=dst remote add bad/name http://foo"),
    Fails("--repo=dst remote add a:b http://foo"),
    Fails("--repo=dst remote add .b http://foo"),
    Run("--repo=dst remote list"),
    Run("--repo=dst remote list -u"),
    Run("--repo=dst remote show-url r2"),
    Fails("--repo=dst remote show-url nope"),
    Run("--repo=dst remote add m metalink=http://foo main"),
    Fails("--repo=dst remote show-url m"),
    Fails("--repo=dst remote delete nope"),
    Run("--repo=dst remote delete --if-exists nope"),
    Run("--repo=dst remote delete r"),
    Run("--repo=dst remote delete m"),
    Run("--repo=dst remote add again x"),
    Fails("--repo=dst remote refs nope"),
    Run("config --repo=dst set core.fsync false"),
];

const PULLS: &[Step] = &[
    Run("--repo=src init --mode=archive"),
    Run("--repo=src commit --branch=main --timestamp=@1000 tree"),
    Run("--repo=src commit --branch=a/b --timestamp=@1000 tree"),
    Grow("tree/more"),
    Run("--repo=src commit --branch=main --timestamp=@2000 tree"),
    Run("--repo=src commit --branch=free --no-bindings --timestamp=@3000 tree"),
    Run("--repo=src commit --branch=bound --timestamp=@3000 tree"),
    Run("--repo=src refs --create=unbound bound"),
    Run("--repo=dst init --mode=bare-user"),
    Run("--repo=dst remote add --no-gpg-verify n file://@/src"),
    Run("--repo=dst remote add --no-gpg-verify nb file://@/src main a/b"),
    Run("--repo=dst remote add --no-gpg-verify gone file://@/absent"),
    Run("--repo=dst remote add --no-gpg-verify web http://127.0.0.1:1/"),
    Run("--repo=dst remote add signed file://@/src"),
    Run("--repo=dst remote add --no-gpg-verify --set=unconfigured-state=Register unc file://@/src"),
    Fails("--repo=dst pull unc main"),
    Fails("--repo=dst pull nope main"),
    Fails("--repo=dst pull n nope"),
    Fails("--repo=dst pull n"),
    Fails("--repo=dst pull gone main"),
    Refused("--repo=dst pull web main"),
    Run("--repo=dst pull nb"),
    Refused("--repo=dst pull signed main"),
    Run("--repo=dst pull n:main"),
    Fails("--repo=dst pull n main --dry-run"),
    Run("--repo=dst pull n main --depth=-1"),
    Run("--repo=dst pull n main --untrusted"),
    Run("--repo=dst pull n free"),
    Fails("--repo=dst pull n unbound"),
    Fails("--repo=dst pull n a/b --timestamp-check-from-rev=n:main"),
    Run("--repo=dst pull n main -T"),
    Run("--repo=dst pull --url=file://@/src n a/b"),
    Fails("--repo=dst pull --url=file://@/src nope a/b"),
    Run("--repo=dst refs -r"),
    Run("--repo=sub init --mode=bare-user"),
    Run("--repo=sub remote add --no-gpg-verify n file://@/src"),
    Run("--repo=sub pull n main --subpath=/usr/bin"),
    Run("--repo=sub fsck"),
    Run("--repo=sub pull n main"),
    Run("--repo=sub fsck"),
    Run("--repo=only init --mode=archive"),
    Run("--repo=only remote add --no-gpg-verify n file://@/src"),
    Run("--repo=only pull n main --commit-metadata-only --depth=1"),
    Run("--repo=only pull n main --depth=1"),
    Run("--repo=mirror init --mode=archive"),
    Run("--repo=mirror remote add --no-gpg-verify n file://@/src"),
    Run("--repo=mirror pull --mirror n main a/b"),
    Run("--repo=mirror refs -r"),
];

const UPGRADES: &[Step] = &[
    Run("--repo=src init --mode=archive"),
    Run("--repo=src commit --branch=t/x --timestamp=@1000 tree"),
    Run("admin init-fs --modern root"),
    Run("admin --sysroot=root stateroot-init testos"),
    Run("remote add --sysroot=root --no-gpg-verify s file://@/src t/x"),
    Run("remote delete --sysroot=root s"),
    Run("remote add --sysroot=root --no-gpg-verify r file://@/src"),
    Run(
        "remote add --repo=root/ostree/repo --no-gpg-verify --set=unconfigured-state=Register unc file://@/src",
    ),
    Run("--repo=root/ostree/repo pull r t/x"),
    Fails("admin --sysroot=root upgrade --os=testos"),
    Fails("admin --sysroot=root switch --os=testos r:t/y"),
    Run("admin --sysroot=root deploy --os=testos --karg=rw r:t/x"),
    Fails("admin --sysroot=root upgrade"),
    Run("admin --sysroot=root upgrade --os=testos"),
    Run("--repo=src commit --branch=t/x --timestamp=@2000 tree"),
    Run("admin --sysroot=root upgrade --os=testos"),
    Run("admin --sysroot=root status"),
    Run("--repo=src commit --branch=t/x --timestamp=@1500 tree"),
    Fails("admin --sysroot=root upgrade --os=testos"),
    Run("--repo=root/ostree/repo refs -r"),
    Run("admin --sysroot=root upgrade --os=testos --allow-downgrade"),
    Run("--repo=src commit --branch=t/x --timestamp=@3000 tree"),
    Run("admin --sysroot=root upgrade --os=testos --pull-only"),
    Run("--repo=root/ostree/repo refs -r"),
    Run("admin --sysroot=root upgrade --os=testos --deploy-only"),
    Run("admin --sysroot=root upgrade --os=testos --deploy-only"),
    Fails("admin --sysroot=root upgrade --os=testos --deploy-only --pull-only"),
    Run("--repo=src commit --branch=t/y --timestamp=@3500 tree"),
    Run("admin --sysroot=root switch --os=testos t/y"),
    Fails("admin --sysroot=root switch --os=testos t/y"),
    Fails("admin --sysroot=root switch --os=testos nope:"),
    Fails("admin --sysroot=root switch --os=testos nope:t/y"),
    Fails("admin --sysroot=root switch --os=testos unc:t/y"),
    Fails("admin --sysroot=root switch --os=testos t/nope"),
    Run("admin --sysroot=root switch --os=testos r:t/x"),
    Run("admin --sysroot=root status"),
    Run("--repo=root/ostree/repo refs -r"),
    Run("--repo=src commit --branch=t/new --timestamp=@6000 tree"),
    Run(
        "--repo=src commit --branch=t/x --timestamp=@7000 --add-metadata-string=ostree.endoflife-rebase=t/new tree",
    ),
    Run("admin --sysroot=root upgrade --os=testos"),
    Run("admin --sysroot=root upgrade --os=testos"),
    Run("admin --sysroot=root status"),
    Fails("admin --sysroot=root set-origin n file://@/src t/y"),
    Run("admin --sysroot=root set-origin --index=0 n file://@/src t/y -s gpg-verify=false"),
    Run("admin --sysroot=root set-origin --index=1 n file:///other"),
    Fails("admin --sysroot=root set-origin --index=9 n file:///other"),
    Run("admin --sysroot=root upgrade --os=testos --allow-downgrade"),
    Run("admin --sysroot=root cleanup"),
    Run("--repo=root/ostree/repo fsck --quiet"),
];

fn main() -> ExitCode {
    let trial = |name: &str, story: &'static [Step]| beside(name, move |peer| same(peer, story));
    let trials = vec![trial("remotes", REMOTES), trial("pulls", PULLS), trial("upgrades", UPGRADES)];
    run_trials(trials)
}

fn same(peer: &Path, story: &[Step]) {
    let ours = tell(Path::new(env!("CARGO_BIN_EXE_ostree")), story);
    let theirs = tell(peer, story);
    for (index, (our, their)) in ours.0.iter().zip(&theirs.0).enumerate() {
        assert_eq!(our, their, "step {index}");
    }
    for (our, their) in ours.1.iter().zip(&theirs.1) {
        assert_eq!(our, their);
    }
    assert_eq!(ours.1.len(), theirs.1.len());
}

/// Gives the output of each step, and the state of the disk in the end.
fn tell(program: &Path, story: &[Step]) -> (Vec<String>, Vec<String>) {
    let world = world::empty();
    world.make_bootable_tree();
    std::fs::create_dir(world.path("root")).unwrap();
    let here = world.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    // GLib pads days with a blank of its own.
    let hide = |text: &str| text.replace(&here, "@").replace('\u{2007}', " ");
    let show = |words: &str| words.replace("@/", &format!("{here}/"));
    let mut said = Vec::new();
    for step in story {
        let text = match step {
            Run(words) => world.ok_as(program, &show(words)),
            Fails(words) => format!("{words}: {}", refused(&world, program, &show(words))),
            Refused(words) => {
                refused(&world, program, &show(words));
                (*words).to_owned()
            }
            Grow(path) => {
                world.write(path, "more");
                String::new()
            }
        };
        let freed = |line: &&str| !line.starts_with("Freed objects:") && !line.starts_with("Relabeling /var");
        said.push(hide(&text).lines().filter(freed).collect::<Vec<_>>().join("\n"));
    }
    let disk = disk(&world, &hide);
    (said, disk)
}

fn refused(world: &World, program: &Path, words: &str) -> String {
    let output = world.run_as(program, words);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{words}: {text}");
    let line = text.lines().last().unwrap();
    assert!(line.starts_with("error: "), "{words}: {text}");
    line.to_owned()
}

/// Everything but objects: deflate streams may differ, and the other one keeps, in `dst`, commits whose pull
/// was refused, as partial ones. Nor the room for going back on a full disk, which only ours keeps.
fn disk(world: &World, hide: &dyn Fn(&str) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    for name in ["dst", "sub", "only", "mirror", "root"] {
        if !world.path(name).exists() {
            continue;
        }
        for (path, mode, content) in world.snapshot(name) {
            let path = hide(path.to_str().unwrap());
            const SKIPPED: [&str; 5] =
                ["/tmp", "/.lock", ".ostree-selabeled", "/dst/state/", "/ostree/.reserve"];
            let skip = SKIPPED.iter().any(|part| path.contains(part));
            if !skip && !path.contains("/objects/") {
                lines.push(format!("{path} {mode:o} {}", hide(&String::from_utf8_lossy(&content))));
            }
        }
    }
    lines
}
