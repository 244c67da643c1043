// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command lines as the C tools read them: each row is run by our `ostree`, and by another one that `OSTREE_PEER` names.
//!
//! The rows run in their order in one directory, which has a repository `repo` and a sysroot `s`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness of its own, where clippy sees no tests")]

mod world;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use world::{OSTREE, World, beside};

/// The expected end of a command line.
#[derive(Debug, Clone, Copy)]
enum Expect {
    /// Success, with this in the output.
    Has(&'static str),
    /// Success, with exactly this as the output.
    Is(&'static str),
    /// Success, without a word.
    Silent,
    /// Exit status 1, with this phrase in the error.
    Fails(&'static str),
}

use Expect::{Fails, Has, Is, Silent};

/// Rows that hold for the C tools as well.
#[rustfmt::skip]
const ROWS: &[(&str, Expect)] = &[
    // The command, and options before and after it.
    ("--repo=repo refs", Is("a/x\na/y\nmain\n")),
    ("refs --repo=repo", Is("a/x\na/y\nmain\n")),
    ("refs --repo repo", Is("a/x\na/y\nmain\n")),
    ("refs --repo=repo a", Is("x\ny\n")),
    ("--repo=repo --list refs a", Is("a/x\na/y\n")),
    ("--repo=repo -r refs a/x --list", Has("a/x\t")),
    ("--repo=repo --print-metadata-key=version show main", Is("'1'\n")),
    ("--repo=repo --raw log main", Has("'version': <'1'>")),
    ("--print-metadata-key=version show --repo=repo main", Is("'1'\n")),
    ("--repo=repo -S rev-parse", Fails("ommit")),
    ("-v --repo=repo refs main", Is("main\n")),
    ("--repo=repo -C ls main /hello", Has(" /hello\n")),
    ("nosuch", Fails("Unknown command 'nosuch'")),
    ("-v nosuch", Fails("Unknown command 'nosuch'")),
    ("-v", Fails("No command specified")),
    ("--", Fails("No command specified")),
    ("-", Fails("No command specified")),
    // Unknown options.
    ("--x", Fails("Unknown option --x")),
    ("--x refs", Fails("Unknown option --x")),
    ("refs --x", Fails("Unknown option --x")),
    ("--repo=repo refs --lis a", Fails("Unknown option --lis")),
    ("--repo=repo refs --reVision", Fails("Unknown option --reVision")),
    ("--repo=repo refs --no-revision", Fails("Unknown option --no-revision")),
    ("-V refs", Fails("Unknown option -V")),
    ("--repo=repo refs -rx", Fails("Unknown option -rx")),
    ("--repo=repo ls -dZ main /hello", Fails("Unknown option -dZ")),
    ("--repo=repo ls -d- main /hello", Fails("Unknown option -d-")),
    ("--repo=repo ls --- main", Fails("Unknown option ---")),
    ("--repo=repo ls -= main", Fails("Unknown option -=")),
    ("--repo=repo ls --=x main", Fails("Unknown option --=x")),
    ("--print-metadata-key version show --repo=repo main", Fails("Unknown")),
    ("ls --bad -h", Fails("Unknown option --bad")),
    ("-vx", Fails("Unknown option -vx")),
    ("admin -x", Fails("Unknown option -x")),
    ("admin kargs --x", Fails("Unknown option --x")),
    ("remote --x list", Fails("Unknown option --x")),
    ("remote list --x", Fails("Unknown option --x")),
    // Values.
    ("refs --repo", Fails("Missing argument for --repo")),
    ("--repo=repo show --print-metadata-key", Fails("Missing argument for --print-metadata-key")),
    ("--repo=repo refs --create", Fails("Missing argument for --create")),
    ("--repo=repo init --mode", Fails("Missing argument for --mode")),
    ("--repo=repo prune --keep-younger-than", Fails("Missing argument for --keep-younger-than")),
    ("--repo=repo commit -b", Fails("Missing argument for -b")),
    ("--repo=repo commit tree -b", Fails("Missing argument for -b")),
    ("--repo=repo commit --branch", Fails("Missing argument for --branch")),
    ("--repo=repo show --print-metadata-key --raw main", Fails("No such metadata key '--raw'")),
    ("--repo=repo --print-metadata-key= show main", Fails("No such metadata key ''")),
    ("--repo=repo commit -b foo --subject -x tree", Has("\n")),
    ("--repo=repo show foo", Has("\n    -x\n")),
    ("--repo=repo commit -b foo -s --orphan tree", Has("\n")),
    ("--repo=repo show foo", Has("\n    --orphan\n")),
    ("--repo=repo commit -b foo -s -- tree", Has("\n")),
    ("--repo=repo show foo", Has("\n    --\n")),
    ("--repo=repo prune --depth -1 --refs-only --no-prune", Has("No unreachable objects")),
    ("--repo=repo prune --depth=-1 --no-prune", Has("No unreachable objects")),
    ("--repo=repo pull-local repo main --depth -1", Has("0 metadata")),
    ("--repo=repo config get --group core mode", Is("archive-z2\n")),
    ("--repo=repo config --group=core get mode", Is("archive-z2\n")),
    ("--repo=repo --group=core config get mode", Is("archive-z2\n")),
    // Numbers.
    ("--repo=repo prune --depth=x", Fails("Cannot parse integer value “x” for --depth")),
    ("--repo=repo prune --depth=", Fails("Cannot parse integer value “” for --depth")),
    ("--repo=repo prune --depth  --no-prune", Fails("Cannot parse integer value “” for --depth")),
    ("--repo=repo prune --depth=1x", Fails("Cannot parse integer value “1x” for --depth")),
    ("--repo=repo prune --depth=99999999999", Fails("Integer value “99999999999” for --depth out of range")),
    ("--repo=repo prune --depth=0x0 --refs-only --no-prune", Has("Would delete: ")),
    ("--repo=repo prune --depth=+0 --refs-only --no-prune", Has("Would delete: ")),
    ("--repo=repo commit -b foo --owner-uid=x tree", Fails("Cannot parse integer value “x” for --owner-uid")),
    ("--repo=repo commit -b foo --owner-uid=99999999999 tree", Fails("Integer value “99999999999” for --owner-uid out of range")),
    ("--repo=repo commit -b foo --owner-uid=0x10 tree", Has("\n")),
    ("--repo=repo ls foo /hello", Has("-00644 16 ")),
    ("--repo=repo commit -b foo --owner-uid=010 tree", Has("\n")),
    ("--repo=repo ls foo /hello", Has("-00644 8 ")),
    // Bundles.
    ("--repo=repo ls -dC main /hello", Has(" /hello\n")),
    ("--repo=repo ls -RC main /usr", Has("/usr/bin/x\n")),
    ("--repo=repo fsck -qa", Has("no errors found")),
    ("--repo=repo fsck -aq extra", Has("no errors found")),
    ("--repo=repo refs -rr --revision a/x --list", Has("a/x\t")),
    ("--repo=repo refs -r=1 a", Fails("Unknown option -r=1")),
    ("--repo=repo commit -bfoo tree", Fails("Unknown option -bfoo")),
    ("--repo=repo commit -bs foo S tree", Fails("Error parsing option -s")),
    ("--repo=repo commit -Ib foo tree", Has("\n")),
    ("--repo=repo commit -bI foo tree", Has("\n")),
    ("--repo=repo checkout -U=1 main co4", Fails("Unknown option -U=1")),
    ("--repo=repo checkout -HU main co3 --bogus", Fails("Unknown option --bogus")),
    ("--repo=repo checkout -UM main co1", Silent),
    // A flag with a value.
    ("--repo=repo ls main --recursive=1", Has("/usr/bin/x\n")),
    ("--repo=repo ls main --recursive=0", Has("/usr/bin/x\n")),
    ("--repo=repo refs --list=0 a", Is("a/x\na/y\n")),
    ("--repo=repo refs --list=false a", Is("a/x\na/y\n")),
    ("--repo=repo refs --list= a", Is("a/x\na/y\n")),
    ("--repo=repo checkout main --user-mode=no co5", Silent),
    ("--verbose=0 --repo=repo refs main", Is("main\n")),
    ("--version=0", Has("libostree:\n Version: '")),
    // Repetitions.
    ("--repo=none --repo=repo refs a", Is("x\ny\n")),
    ("--repo=repo refs a --repo=none", Fails("none")),
    ("--repo=repo prune --depth=x --depth=0 --no-prune", Fails("Cannot parse integer value “x” for --depth")),
    ("--repo=repo log --raw --raw main", Has("'version': <'1'>")),
    ("--repo=repo commit --branch foo --branch bar tree", Has("\n")),
    ("--repo=repo refs bar", Is("bar\n")),
    ("--repo=repo commit -b bar --add-metadata-string=k1=1 --add-metadata-string k2=2 tree", Has("\n")),
    ("--repo=repo show --list-metadata-keys bar", Is("k1\nk2\nostree.ref-binding\n")),
    // The end of options.
    ("--repo=repo refs -- a", Is("x\ny\n")),
    ("--repo=repo refs a --", Is("x\ny\n")),
    ("--repo=repo -- refs a", Is("x\ny\n")),
    ("--repo=repo show main -- --raw", Has("Version: 1")),
    ("--repo=repo show -- main", Has("Version: 1")),
    ("refs -- --repo=repo", Fails("Command requires a --repo argument")),
    ("--repo=repo ls main -- -- /hello", Fails("--")),
    ("--repo=repo config get -- core.mode", Is("archive-z2\n")),
    ("admin -- status", Fails("No \"admin\" subcommand specified")),
    ("remote -- list", Fails("No \"remote\" subcommand specified")),
    // Words that are missing, and words too many.
    ("--repo=repo show main extra", Has("Version: 1")),
    ("--repo=repo log main extra", Has("Version: 1")),
    ("--repo=repo prune --no-prune extra", Has("No unreachable objects")),
    ("--repo=repo commit -b bar tree tree2", Has("\n")),
    ("--repo=repo checkout main co6 extra", Silent),
    ("--repo=repo diff main^ main tree", Is("")),
    ("checksum tree/hello extra", Has("\n")),
    ("--repo=repo reset bar bar^ extra", Silent),
    ("--repo=repo remote list extra", Is("")),
    ("--repo=r2 init extra", Silent),
    ("--repo=repo config get core.mode extra", Fails("Too many arguments given")),
    ("--repo=repo config set core.x y z", Fails("Too many arguments given")),
    ("--repo=repo config", Fails("OPERATION must be specified")),
    ("--repo=repo config get", Fails("KEY must be specified")),
    ("--repo=repo config set core.x", Fails("KEY and VALUE must be specified")),
    ("--repo=repo config nosuch", Fails("Unknown operation nosuch")),
    ("--repo=repo show", Fails("An object argument is required")),
    ("--repo=repo log", Fails("A rev argument is required")),
    ("--repo=repo cat", Fails("A COMMIT and at least one PATH argument are required")),
    ("--repo=repo cat main", Fails("A COMMIT and at least one PATH argument are required")),
    ("--repo=repo ls", Fails("An COMMIT argument is required")),
    ("--repo=repo checkout", Fails("COMMIT must be specified")),
    ("checksum", Fails("A filename must be given")),
    ("--repo=repo diff", Fails("REV must be specified")),
    ("--repo=repo rev-parse", Fails("REV must be specified")),
    ("--repo=repo rev-parse -S main", Fails("Cannot specify arguments with --single")),
    ("--repo=repo reset main", Fails("A REF and COMMIT argument is required")),
    ("--repo=repo pull-local", Fails("DESTINATION must be specified")),
    ("--repo=repo pull", Fails("REMOTE must be specified")),
    // Several words.
    ("--repo=repo refs a main", Is("x\ny\nmain\n")),
    ("--repo=repo refs main -r --list a", Has("a/y\t")),
    ("--repo=repo refs main main", Is("main\nmain\n")),
    ("--repo=repo cat main /hello /hello", Is("hi\nhi\n")),
    ("--repo=repo ls main /hello /usr", Has("/usr/bin\n")),
    ("--repo=repo refs --create=n", Fails("You must specify a revision when creating a new ref")),
    ("--repo=repo refs --create=n main extra", Fails("You must specify only 1 existing ref when creating a new ref")),
    ("--repo=repo refs --delete", Fails("At least one PREFIX is required when deleting refs")),
    ("--repo=repo refs --delete a/x bar nope", Silent),
    ("--repo=repo refs a bar", Is("y\n")),
    ("--repo=repo refs --delete --list a", Silent),
    ("--repo=repo refs", Is("foo\nmain\n")),
    // Help and the version.
    ("--help", Has("checkout")),
    ("-h", Has("checkout")),
    ("-?", Has("checkout")),
    ("--help-all", Has("checkout")),
    ("-vh", Has("checkout")),
    ("nosuch --help", Has("checkout")),
    ("refs -h", Has("--revision")),
    ("refs -?", Has("--revision")),
    ("refs --help-all", Has("--revision")),
    ("--help refs", Has("--revision")),
    ("refs -rh", Has("--revision")),
    ("refs -hx", Has("--revision")),
    ("refs -xh", Fails("Unknown option -xh")),
    ("refs --help --x", Has("--revision")),
    ("refs --x --help", Fails("Unknown option --x")),
    ("refs --help=1", Fails("Unknown option --help=1")),
    ("refs --help-x", Fails("Unknown option --help-x")),
    ("admin --help deploy", Has("--karg-append")),
    ("admin deploy -h", Has("--karg-append")),
    ("remote -h add", Has("--no-gpg-verify")),
    ("static-delta --help", Has("static-delta")),
    ("--version", Has("libostree:\n Version: '2")),
    ("--version refs", Has("libostree:\n Version: '2")),
    ("--version nosuch", Has("libostree:\n Version: '2")),
    ("refs --version", Has("libostree:\n Version: '2")),
    ("show --version", Has("libostree:\n Version: '2")),
    ("refs --version --x", Fails("Unknown option --x")),
    ("admin --version", Has("  - inode64\n")),
    ("admin status --version", Has("  - inode64\n")),
    // Commands of commands.
    ("remote", Fails("No \"remote\" subcommand specified")),
    ("remote nosuch", Fails("Unknown \"remote\" subcommand 'nosuch'")),
    ("remote add --repo=repo --no-gpg-verify o1 file:///y", Silent),
    ("remote --repo=repo --set=k=v add o2 --set l=w file:///z b c", Silent),
    ("--repo=repo config get --group remote.o2 k", Fails("remote.o2")),
    ("--repo=repo --show-urls remote list", Is("o1  file:///y\no2  file:///z\n")),
    ("--repo=repo remote -u list", Is("o1  file:///y\no2  file:///z\n")),
    ("--repo=repo -u remote list", Is("o1  file:///y\no2  file:///z\n")),
    ("remote --repo=repo list", Is("o1\no2\n")),
    ("--repo=repo remote show-url o1 extra", Is("file:///y\n")),
    ("--repo=repo remote add", Fails("NAME and URL must be specified")),
    ("--repo=repo remote delete o1 extra", Silent),
    ("--repo=repo remote --if-exists delete o1", Silent),
    ("--repo=repo remote list", Is("o2\n")),
    ("--repo=repo --update summary", Silent),
    ("--repo=repo -u summary some words", Silent),
    ("--repo=repo --list-metadata-keys summary", Has("ostree.summary.mode\n")),
    ("--repo=repo summary -um a=1", Silent),
    ("admin", Fails("No \"admin\" subcommand specified")),
    ("admin nosuch", Fails("Unknown \"admin\" subcommand 'nosuch'")),
    ("admin -v", Fails("No \"admin\" subcommand specified")),
    ("admin instutil", Fails("No \"admin instutil\" subcommand specified")),
    ("admin instutil nosuch", Fails("Unknown \"admin instutil\" subcommand 'nosuch'")),
    ("admin kargs nosuch", Fails("Unknown \"admin kargs\" subcommand 'nosuch'")),
    ("admin init-fs", Fails("PATH must be specified")),
    ("admin init-fs s extra", Silent),
    ("admin --sysroot=s unlock extra", Fails("This command takes no extra arguments")),
    ("admin status --sysroot s", Has("No deployments.\n")),
    ("admin --sysroot=s status", Has("No deployments.\n")),
    ("--sysroot=s admin status", Has("No deployments.\n")),
    ("admin status extra --sysroot=s", Has("No deployments.\n")),
    ("admin os-init --sysroot=s", Fails("STATEROOT must be specified")),
    ("admin --sysroot=s os-init debian extra", Is("ostree/deploy/debian initialized as OSTree stateroot\n")),
    ("admin --sysroot=s deploy", Fails("REF/REV must be specified")),
    ("--os=debian --sysroot=s admin deploy nope", Fails("Refspec 'nope' not found")),
    ("admin --sysroot=s pin", Fails("INDEX must be specified")),
    ("admin --sysroot=s undeploy", Fails("INDEX must be specified")),
    ("admin --sysroot=s undeploy x", Fails("Invalid index: x")),
    ("admin --sysroot=s undeploy 0 extra", Fails("Out of range deployment index 0, expected < 0")),
    ("admin --sysroot=s set-default", Fails("INDEX must be specified")),
    ("admin --sysroot=s set-origin a", Fails("REMOTENAME and URL must be specified")),
    ("admin --sysroot=s switch", Fails("REFSPEC must be specified")),
    ("admin --sysroot=s upgrade --pull-only --deploy-only", Fails("Cannot simultaneously specify --pull-only and --deploy-only")),
    ("admin kargs --sysroot=s edit-in-place --append-if-missing=x", Fails("deployment")),
    ("admin --append-if-missing=x --sysroot=s kargs edit-in-place", Fails("deployment")),
    ("admin --sysroot=s --print-current-dir", Fails("Unable to find a deployment in sysroot")),
    ("admin status --print-current-dir --sysroot=s", Fails("Unable to find a deployment in sysroot")),
    ("admin lock-finalization --sysroot=s -u extra", Fails("No staged deployment")),
    // Options that are there under another name.
    ("--repo=repo commit -b foo --disable-fsync tree", Has("\n")),
    ("--repo=repo diff --fs-diff main^ main", Is("")),
    // Programs of their own, which get all words.
    ("--repo=x foo a --b", Is("--repo=x foo a --b\n")),
    ("-v foo --help", Is("-v foo --help\n")),
    ("--version foo", Is("--version foo\n")),
];

/// Rows that the C tools refuse, in which ours accepts more; and refusals.
#[rustfmt::skip]
const OURS: &[(&str, Expect)] = &[
    ("--repo repo refs main", Is("main\n")),
    ("admin --sysroot s status", Has("No deployments.\n")),
    ("--repo=repo commit --gpg-sign=k -b new tree", Fails("--gpg-sign is not supported yet: ")),
    ("--repo=repo commit -P -b new tree", Fails("--selinux-policy-from-base is not supported yet: ")),
    ("--repo=repo refs new", Is("")),
    ("static-delta generate --repo=repo --from=main main", Fails("static-delta generate is not supported yet: ")),
    ("--repo=repo summary --gpg-sign=X -u", Fails("--gpg-sign is not supported yet: ")),
    ("admin --sysroot=s status -V", Fails("--verify is not supported yet: ")),
    ("commit --gpg-sign=k --x", Fails("Unknown option --x")),
    ("sign", Fails("sign is not supported yet: ")),
];

/// Hidden commands and options of the C tools, and those of releases after the one that is asked.
const HIDDEN: &[(&str, &[&str])] = &[
    ("admin", &["--print-current-dir"]),
    ("admin boot-complete", &[]),
    ("admin finalize-staged", &["--hold"]),
    ("admin impl-prepare-soft-reboot", &[]),
    ("admin instutil", &[]),
    ("admin instutil grub2-generate", &[]),
    ("admin instutil selinux-ensure-labeled", &[]),
    ("admin instutil set-kargs", &["--import-proc-cmdline", "--merge", "--replace", "--append"]),
    ("admin kargs edit-in-place", &["--append-if-missing"]),
    ("admin prepare-soft-reboot", &["--reboot", "--reset"]),
    ("admin state-overlay", &[]),
    ("admin status", &["-J", "--json"]),
    ("checkout", &["-z", "--force-copy-zerosized"]),
    ("commit", &["--disable-fsync"]),
    ("pull", &["--append-user-agent"]),
    ("sign", &["--keys-file", "--keys-dir"]),
    ("static-delta generate", &["--keys-file"]),
];

fn main() -> ExitCode {
    let rows: Vec<_> = ROWS.iter().chain(OURS).copied().collect();
    let trials = vec![
        alone("rows", move || run_rows(Path::new(OSTREE), &rows)),
        beside("rows_of_the_peer", |peer| run_rows(peer, ROWS)),
        alone("hidden_ones_are_known", hidden_ones_are_known),
        beside("all_of_the_help_is_known", all_of_the_help_is_known),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn alone(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    test_world::alone(name, test)
}

/// A repository with a history and refs, an empty directory for a sysroot, and a program `ostree-foo`.
fn world(program: &Path) -> World {
    let world = world::empty();
    for dir in ["tree/usr/bin", "s", "bin"] {
        std::fs::create_dir_all(world.path(dir)).unwrap();
    }
    world.write("tree/hello", "hi\n");
    world.write("tree/usr/bin/x", "x\n");
    world.write("bin/ostree-foo", "#!/bin/sh\necho \"$@\"\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(world.path("bin/ostree-foo"), mode).unwrap();
    for words in [
        "--repo=repo init --mode=archive",
        "--repo=repo commit --branch=main --timestamp=2020-01-01 --subject=one tree",
        "--repo=repo commit --branch=main --timestamp=2020-01-02 --add-metadata-string=version=1 tree",
        "--repo=repo refs --create=a/x main",
        "--repo=repo refs --create=a/y main",
    ] {
        world.ok_as(program, words);
    }
    world
}

fn run_rows(program: &Path, rows: &[(&str, Expect)]) {
    let world = world(program);
    let path = format!("{}:{}", world.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut wrong = Vec::new();
    for (words, expected) in rows {
        let done = std::process::Command::new(program)
            .args(words.split(' '))
            .current_dir(world.path("."))
            .env("PATH", &path)
            .env("LC_ALL", "C.UTF-8")
            .env_remove("OSTREE_REPO")
            .env_remove("OSTREE_SYSROOT")
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let matches = match (done.status.code(), expected) {
            (Some(0), Has(text)) => out.contains(text),
            (Some(0), Is(text)) => out == *text,
            (Some(0), Silent) => out.is_empty(),
            (Some(1), Fails(text)) => err.contains(text),
            _ => false,
        };
        if !matches {
            let last = err.lines().last().unwrap_or_default();
            wrong.push(format!(
                "{words}\n  expected {expected:?}\n  got {:?} {out:?} {last:?}",
                done.status.code()
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// A fault if our `ostree` does not know the command, or the option of it.
///
/// Help is asked for as well, so that nothing is done.
fn check(world: &World, command: &str, option: Option<&str>) -> Option<String> {
    let words = match option {
        None => format!("{command} --help"),
        Some(long) if long.starts_with("--") => format!("{command} {long}=1 --help"),
        // One of the two is taken as a value, if it wants one.
        Some(short) => format!("{command} {short} --help --help"),
    };
    let done = world.run_as(Path::new(OSTREE), words.trim_start());
    let err = String::from_utf8_lossy(&done.stderr).into_owned();
    (!done.status.success() && (err.contains("Unknown") || err.contains("Unexpected")))
        .then(|| format!("{words}: {err}"))
}

fn hidden_ones_are_known() {
    let world = world::empty();
    let mut wrong = Vec::new();
    for (command, options) in HIDDEN {
        wrong.extend(check(&world, command, None));
        wrong.extend(options.iter().filter_map(|option| check(&world, command, Some(option))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn all_of_the_help_is_known(peer: &Path) {
    let world = world::empty();
    let (mut wrong, mut count) = (Vec::new(), 0);
    let mut commands = vec![String::new()];
    while let Some(command) = commands.pop() {
        let help = world.ok_as(peer, format!("{command} --help").trim_start());
        let mut lists_commands = false;
        for line in help.lines() {
            if !line.starts_with(' ') {
                lists_commands = line.contains("Commands:");
                continue;
            }
            let mut words = line.split_whitespace().map(|word| word.trim_end_matches(','));
            if lists_commands {
                let Some(name) = words.next() else { continue };
                let below = format!("{command} {name}").trim_start().to_owned();
                count += 1;
                wrong.extend(check(&world, &below, None));
                commands.push(below);
                continue;
            }
            for option in words.take_while(|word| word.starts_with('-')) {
                let option = option.split('=').next().unwrap_or_default();
                if matches!(option, "-h" | "--help") {
                    continue;
                }
                count += 1;
                wrong.extend(check(&world, &command, Some(option)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 380, "only {count} commands and options in the help");
}
