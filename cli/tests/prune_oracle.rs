// SPDX-License-Identifier: MIT OR Apache-2.0
//! `prune`, `fsck` and times on the command line, before our `ostree` and before another one, which `OSTREE_PEER` names.
//! Without that variable every test is reported as ignored.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness of its own, where clippy sees no tests")]

mod world;

use std::path::Path;
use std::process::{Command, ExitCode, Output};

use test_world::run_trials;
use world::{World, beside};

fn main() -> ExitCode {
    run_trials(vec![
        beside("dates_are_those_of_gnu_date", dates_are_those_of_gnu_date),
        beside("times_that_no_commit_can_have", times_that_no_commit_can_have),
        beside("the_same_commits_are_pruned", the_same_commits_are_pruned),
        beside("tombstones_are_the_same", tombstones_are_the_same),
        beside("a_second_fsck_still_fails", a_second_fsck_still_fails),
        beside("bindings_lead_back", bindings_lead_back),
        beside("only_lost_parents_get_tombstones", only_lost_parents_get_tombstones),
    ])
}

fn ours() -> &'static Path {
    Path::new(world::OSTREE)
}

/// Runs `bash` on a script in which the program is `$O`.
fn shell(world: &World, program: &Path, script: &str) -> Output {
    Command::new("bash")
        .args(["-euc", script])
        .current_dir(world.path("."))
        .env("O", program)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "Europe/Berlin")
        .output()
        .unwrap()
}

/// Gives the output of a script, its errors too.
fn told(world: &World, program: &Path, script: &str) -> String {
    let output = shell(world, program, &format!("exec 2>&1\n{script}"));
    String::from_utf8(output.stdout).unwrap()
}

/// Phrases that both tools read alike, or both refuse.
const PHRASES: &[&str] = &[
    "0",
    "1",
    "12",
    "1985",
    "20261201",
    "@0",
    "@5",
    "@1.5",
    "@ 5",
    "5 days ago",
    "30 days ago",
    "1 day ago",
    "yesterday",
    "tomorrow",
    "today",
    "now",
    "noon",
    "midnight",
    "October 25 1985",
    "25 October 1985",
    "Oct 25 1985",
    "25 Oct",
    "Oct 25",
    "1985-10-25",
    "1985-10-25 01:21:00",
    "1985-10-25T01:21:00Z",
    "1985-10-25T01:21",
    "1985-10-25 01:21:00 +0100",
    "1985-10-25 01:21:00 +01:00",
    "1985-10-25 01:21:00 EST",
    "1985-10-25 01:21:00 PDT",
    "1985-10-25 01:21:00 CET",
    "1985-10-25 01:21 am",
    "1985-10-25 1:21 pm",
    "1985-10-25 1:21pm UTC",
    "10/25/1985",
    "10/25/85",
    "10/25",
    "85-10-25",
    "2026-02-30",
    "2026-02-29",
    "2024-02-29",
    "1985-10-25 25:00",
    "1985-10-25 23:59:60",
    "last monday",
    "next friday",
    "monday",
    "this thursday",
    "friday",
];

/// The time of a commit made with `--timestamp`, none where that is refused.
fn time(world: &World, program: &Path, phrase: &str) -> Option<i64> {
    let quoted = phrase.replace('\'', "'\\''");
    let commit =
        shell(world, program, &format!("$O --repo=repo commit --orphan --timestamp='{quoted}' tree"));
    if !commit.status.success() {
        let errors = String::from_utf8_lossy(&commit.stderr).into_owned();
        assert!(errors.contains("Could not parse"), "{phrase}: {errors}");
        return None;
    }
    let commit = String::from_utf8(commit.stdout).unwrap();
    let script = format!("$O --repo=repo show {} | sed -n 's/^Date: *//p'", commit.trim());
    let date = told(world, program, &script);
    let seconds = told(world, program, &format!("date -d '{}' +%s", date.trim()));
    Some(seconds.trim().parse().unwrap_or_else(|_| panic!("{phrase}: {date}")))
}

/// Dates, spans and zones; the local zone counts where none is given.
fn dates_are_those_of_gnu_date(peer: &Path) {
    let world = world::with_commit("archive");
    for phrase in PHRASES {
        match (time(&world, peer, phrase), time(&world, ours(), phrase)) {
            // The clock goes on between the two.
            (Some(theirs), Some(own)) => {
                assert!((theirs..=theirs + 30).contains(&own), "{phrase}: {theirs} {own}")
            }
            (theirs, own) => assert_eq!(own, theirs, "{phrase}"),
        }
    }
}

/// The C tools write commits that they cannot show again; we say no.
fn times_that_no_commit_can_have(peer: &Path) {
    let world = world::with_commit("archive");
    for phrase in ["@9223372036854775807", "@253402300800", "10000-01-02", "@9223372036854775808"] {
        assert_eq!(time(&world, ours(), phrase), None, "{phrase}");
    }
    let show = "$O --repo=repo show $($O --repo=repo commit --orphan --timestamp=@253402300800 tree)";
    assert!(told(&world, peer, show).contains("Invalid timestamp: 253402300800"));
    for phrase in ["@-1", "1900-01-01"] {
        assert_eq!(time(&world, ours(), phrase), None, "{phrase}");
    }
}

/// Several branches, one of a remote, with histories of several depths and ages, one out of order, and two commits without a ref.
const HISTORY: &str = r#"
$O --repo=base init --mode=archive; mkdir -p t
c() { echo "$2 $3" >t/f; mkdir -p t/d$2; echo $3 >t/d$2/x; $O --repo=base commit $1 --timestamp=@$3 t >/dev/null; }
for i in 1 2 3 4 5; do c "-b ma" a ${i}00000000; done
for i in 2 4 6; do c "-b b/x" b ${i}00000001; done
for i in 1 3 5 7; do c "-b mc" c ${i}00000002; done
for i in 5 1 6 2; do c "-b md" d ${i}00000003; done
$O --repo=base refs --create=o:r mc^; $O --repo=base refs --create=old ma^^^; $O --repo=base refs --delete mc
c --orphan e 300000004; c --orphan e 800000004
"#;

const PRUNES: &[&str] = &[
    "--commit-only",
    "--commit-only --keep-younger-than=@550000000",
    "--commit-only --only-branch=ma --depth=0",
    "--commit-only --refs-only",
    "--commit-only --refs-only --depth=0",
    "--depth=-2",
    "--depth=0",
    "--depth=1",
    "--keep-younger-than=@0",
    "--keep-younger-than=@300000000",
    "--keep-younger-than=@300000000 --only-branch=old",
    "--keep-younger-than=@300000001",
    "--keep-younger-than=@550000000",
    "--keep-younger-than=@550000000 --depth=-1",
    "--keep-younger-than=@550000000 --depth=0",
    "--keep-younger-than=@550000000 --depth=1",
    "--keep-younger-than=@550000000 --depth=2",
    "--keep-younger-than=@900000000",
    "--only-branch=b/x --keep-younger-than=@550000000",
    "--only-branch=ma",
    "--only-branch=ma --depth=-2",
    "--only-branch=ma --depth=0",
    "--only-branch=ma --depth=1 --refs-only",
    "--only-branch=ma --only-branch=md --depth=0",
    "--only-branch=ma --refs-only",
    "--only-branch=md --refs-only --keep-younger-than=@550000000",
    "--only-branch=nope --depth=0",
    "--only-branch=o:r --depth=0",
    "--refs-only",
    "--refs-only --depth=-1",
    "--refs-only --depth=-2",
    "--refs-only --depth=0",
    "--refs-only --depth=1",
    "--refs-only --depth=2",
    "--refs-only --keep-younger-than=@300000000",
    "--refs-only --keep-younger-than=@550000000",
    "--refs-only --keep-younger-than=@550000000 --depth=1",
    "--refs-only --keep-younger-than=@900000000",
    "--retain-branch-depth=b/x=0 --keep-younger-than=@100000000",
    "--retain-branch-depth=b/x=1 --keep-younger-than=@100000000",
    "--retain-branch-depth=ma= --depth=0",
    "--retain-branch-depth=ma=-1 --depth=0",
    "--retain-branch-depth=ma=-1 --keep-younger-than=@900000000",
    "--retain-branch-depth=ma=-2",
    "--retain-branch-depth=ma=-2 --depth=0",
    "--retain-branch-depth=ma=0",
    "--retain-branch-depth=ma=0 --only-branch=md --depth=0",
    "--retain-branch-depth=ma=0 --refs-only --depth=1",
    "--retain-branch-depth=ma=1",
    "--retain-branch-depth=ma=1 --depth=0",
    "--retain-branch-depth=ma=1 --depth=2",
    "--retain-branch-depth=ma=1 --only-branch=ma --depth=0",
    "--retain-branch-depth=ma=1 --only-branch=md --depth=0",
    "--retain-branch-depth=ma=1 --only-branch=md --keep-younger-than=@900000000",
    "--retain-branch-depth=ma=1 --refs-only",
    "--retain-branch-depth=ma=2 --keep-younger-than=@550000000",
    "--retain-branch-depth=ma=2 --keep-younger-than=@550000000 --depth=1",
    "--retain-branch-depth=ma=2 --retain-branch-depth=md=1 --depth=0",
    "--retain-branch-depth=ma=99999999999 --depth=0",
    "--retain-branch-depth=nope=1 --depth=0",
    "--retain-branch-depth=o:r=1 --depth=0",
];

fn the_same_commits_are_pruned(peer: &Path) {
    let world = world::empty();
    assert_eq!(told(&world, peer, HISTORY), "");
    for options in PRUNES {
        for count in [" --no-prune", ""] {
            let prune = format!(
                "rm -rf w; cp -a base w; $O --repo=w prune {options}{count} || echo $?; cd w; find objects state -type f | sort"
            );
            assert_eq!(told(&world, ours(), &prune), told(&world, peer, &prune), "{options}{count}");
        }
    }
}

/// A commit that is deleted leaves the same file and the same setting; a refusal leaves none, which the C tools get wrong.
fn tombstones_are_the_same(peer: &Path) {
    let world = world::empty();
    assert_eq!(told(&world, peer, HISTORY), "");
    let look = "find w/objects | sort; find w -name '*.tombstone-commit' -exec cat {} +; cat w/config";
    let deleted = format!(
        "rm -rf w; cp -a base w; M=$($O --repo=w rev-parse ma^); $O --repo=w prune --delete-commit=$M; {look}
        $O --repo=w prune --refs-only --depth=0; {look}"
    );
    assert_eq!(told(&world, ours(), &deleted), told(&world, peer, &deleted));
    for (commit, phrase) in [
        ("ma^", "Deleting object ma^.commit: "),
        ("$($O --repo=w rev-parse ma)", "' is referenced by 'ma'"),
        ("123", "Deleting object 123.commit: "),
        ("0000000000000000000000000000000000000000000000000000000000000000", "Deleting object 00000000"),
    ] {
        for program in [peer, ours()] {
            let script =
                format!("rm -rf w; cp -a base w; $O --repo=w prune --delete-commit={commit} || echo $?");
            let text = told(&world, program, &script);
            assert!(text.contains(phrase) && text.ends_with("1\n"), "{commit}: {text}");
        }
        assert!(commit.starts_with('0') || !world.read("w/config").contains("tombstone"), "{commit}");
    }
}

/// The marks of a check, and what later checks say while nothing has brought the objects back.
fn a_second_fsck_still_fails(peer: &Path) {
    let world = world::empty();
    let filter = "grep -v '^fsck objects'";
    let state = "for f in r/state/*.commitpartial; do echo $f; cat $f; done";
    for damage in ["rm r/objects/*/*.filez", "for f in r/objects/*/*.filez; do echo q >$f; done"] {
        let script = format!(
            "rm -rf r; mkdir -p t; echo x >t/a; $O --repo=r init --mode=archive; $O --repo=r commit -b m --timestamp=@1 t; {damage}
            set +e; ck() {{ $O --repo=r fsck \"$@\" >said; echo $?; {filter} said; }}
            ck -a --delete; {state}; ck; ck -q; {state}; $O --repo=r prune --no-prune"
        );
        let strip = |text: String| -> String {
            // Each has its own reason for a broken stream.
            text.lines()
                .map(|line| {
                    line.split("fsck content object")
                        .next()
                        .and_then(|line| line.split("; pull them again").next())
                        .unwrap()
                        .to_owned()
                        + "\n"
                })
                .collect()
        };
        let (own, theirs) = (strip(told(&world, ours(), &script)), strip(told(&world, peer, &script)));
        assert!(own.contains("error: 1 partial commits from fsck-detected corruption"), "{own}");
        assert_eq!(own, theirs);
    }
}

fn bindings_lead_back(peer: &Path) {
    let world = world::empty();
    for (refs, options) in [
        ("", "--verify-bindings"),
        ("", "--verify-back-refs"),
        ("$O --repo=r refs --create=other m", "--verify-bindings"),
        ("$O --repo=r refs --delete m", "--verify-back-refs"),
        ("$O --repo=r refs --delete m", "--verify-bindings"),
        ("$O --repo=r commit -b m --timestamp=@2 t", "--verify-back-refs"),
        ("$O --repo=r commit -b n --no-bindings t >/dev/null", "--verify-back-refs"),
    ] {
        let script = format!(
            "rm -rf r; mkdir -p t; echo x >t/a; $O --repo=r init; $O --repo=r commit -b m --timestamp=@1 t; {refs}
            set +e; $O --repo=r fsck {options} >said; echo $?; grep 'no errors' said"
        );
        assert_eq!(told(&world, ours(), &script), told(&world, peer, &script), "{refs} {options}");
    }
}

/// The C tools delete the commit whose parent is lost, even a branch's, and then the branch is broken. We write the tombstone of the
/// lost parent, as the option says, and delete nothing.
fn only_lost_parents_get_tombstones(peer: &Path) {
    let world = world::empty();
    let make = "rm -rf r; mkdir -p t; echo x >t/a; $O --repo=r init; $O --repo=r commit -b m --timestamp=@1 t >old
        $O --repo=r commit -b m --timestamp=@2 t >new; O1=$(cat old); rm r/objects/${O1:0:2}/${O1:2}.commit
        $O --repo=r fsck --add-tombstones | grep tombstone; set +e; $O --repo=r fsck -q >said; echo $?; grep -v '^fsck objects' said; $O --repo=r fsck --add-tombstones | grep tombstone";
    let own = told(&world, ours(), make);
    let (old, new) = (world.read("old"), world.read("new"));
    let rest = "0\nobject fsck of 1 commits completed successfully - no errors found.\n";
    assert_eq!(own, format!("Adding tombstone for commit {old}{rest}"));
    assert!(world.read("r/config").contains("tombstone-commits=true"));
    let theirs = told(&world, peer, make);
    assert!(theirs.starts_with(&format!("Adding tombstone for commit {new}")), "{theirs}");
    assert!(theirs.contains("Loading commit for ref m: No such metadata object"), "{theirs}");
}
