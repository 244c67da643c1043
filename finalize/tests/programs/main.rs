// SPDX-License-Identifier: MIT OR Apache-2.0
//! The programs as units run them, in a system that believes it was booted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a case of this harness is no #[test] that clippy would know"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use test_world::namespace::{Case, Need};
use test_world::system::{self, Boot, RECORD, STAMP, deployment, list, stage};

const CASES: &[Case] = &[
    ("an_update_from_shutdown_to_a_good_boot", Need::Nothing, update),
    ("an_update_that_a_cut_has_stopped_is_finished_a_shutdown_later", Need::Nothing, cut),
    ("a_failure_makes_the_next_boot_tell_it", Need::Nothing, failure),
    ("what_failed_twice_is_given_up_loudly", Need::Nothing, given_up),
    ("who_is_killed_while_it_waits_is_told_at_the_next_boot", Need::Nothing, killed_waiting),
    ("hold_keeps_boot_in_use", Need::Nothing, hold),
    ("a_soft_reboot_is_ended", Need::Nothing, soft_reboot),
    ("a_system_that_is_not_ours_is_left_alone", Need::Nothing, not_booted),
    ("other_arguments_are_refused", Need::Nothing, arguments),
];

fn main() -> ExitCode {
    test_world::namespace::run(test_world::system::NAMESPACES, CASES)
}

const PROGRAMS: [(&str, &str); 3] = [
    ("ostree-finalize-staged", env!("CARGO_BIN_EXE_ostree-finalize-staged")),
    ("ostree-boot-complete", env!("CARGO_BIN_EXE_ostree-boot-complete")),
    ("ostree-boot-good", env!("CARGO_BIN_EXE_ostree-boot-good")),
];

/// A running system that has the programs.
fn boot() {
    let contents = PROGRAMS.map(|(name, path)| (name, fs::read(path).unwrap()));
    system::boot(system::installed(&Boot::Bound), &Boot::Bound);
    for (name, bytes) in contents {
        let path = Path::new(system::PROGRAMS).join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
}

/// Whether it succeeds, and what it says.
fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn update() {
    boot();
    let quiet = (true, String::new());
    assert_eq!(
        run("ostree-finalize-staged", &[]),
        (true, "No deployment staged for finalization\n".to_owned())
    );
    stage();
    fs::write("/etc/conf", "local").unwrap();
    for point in ["/sysroot", "/boot"] {
        system::mount(&["-o", "remount,bind,ro"], Path::new(point));
    }
    let (done, said) = run("ostree-finalize-staged", &[]);
    assert!(
        done && said.starts_with("Copying /etc changes: 1 modified, 0 removed, 0 added\nBootloader updated;"),
        "{said}"
    );
    assert_eq!(list(), ["2", "1*"]);
    assert_eq!(run("ostree-boot-complete", &[]), quiet);
    assert_eq!(run("ostree-boot-good", &[]), quiet);
    system::mount(&["-o", "remount,bind,rw"], Path::new("/boot"));
    fs::create_dir("/boot/loader.tmp").unwrap();
    assert_eq!(run("ostree-boot-good", &[]), (true, "Removed /boot/loader.tmp\n".to_owned()));
}

fn failure() {
    boot();
    let name = stage();
    fs::remove_dir_all(deployment(&name).join("usr/lib/modules")).unwrap();
    let (done, said) = run("ostree-finalize-staged", &[]);
    assert!(
        !done && said.starts_with("error: Finalizing staged deployment: ") && said.matches('\n').count() == 1,
        "{said}"
    );
    let reason = fs::read_to_string(STAMP).unwrap();
    let told =
        format!("error: ostree-finalize-staged.service failed on previous boot: {reason}; The update to ");
    let path = format!("/ostree/deploy/testos/deploy/{name}");
    let plan = format!(
        "seal    {path}\netc     {path}/etc from the tree's defaults\nremove  /ostree/staged-deployment\n\
         write   /run/ostree/finalize-failure\nremove  /boot/ostree/finalize-failure.stamp\n"
    );
    assert_eq!(run("ostree-boot-complete", &["--dry-run"]), (true, plan));
    let (done, said) = run("ostree-boot-complete", &[]);
    assert!(
        !done
            && said.starts_with(&told)
            && said.contains("is given up: ")
            && said.ends_with("VERSION/vmlinuz\n"),
        "{said}"
    );
    assert_eq!(run("ostree-boot-complete", &[]), (true, String::new()));
}

/// The power goes, and the system comes up again.
fn power_cut() {
    fs::remove_dir_all("/run/ostree").unwrap();
}

fn cut() {
    boot();
    let name = stage();
    power_cut();
    for point in ["/sysroot", "/boot"] {
        system::mount(&["-o", "remount,bind,ro"], Path::new(point));
    }
    let staged = format!(
        "The update to ostree/deploy/testos/deploy/{name} is staged again; shutdown makes attempt 1 of 2\n"
    );
    let plan = "make    /run/ostree\nwrite   /run/ostree/staged-deployment\n\
                run     systemctl start --no-block ostree-finalize-staged.service\n";
    assert_eq!(run("ostree-boot-complete", &["--dry-run"]), (true, plan.to_owned()));
    assert!(!Path::new("/run/ostree").exists());
    let (done, json) = run("ostree-boot-complete", &["--dry-run", "--json"]);
    assert!(done && json.contains("\"operation\": \"boot-complete\""), "{json}");
    assert!(!run("ostree-boot-complete", &["--json"]).0);
    assert_eq!(run("ostree-boot-complete", &[]), (true, staged));
    assert_eq!(list(), ["2s", "1*"]);
    assert_eq!(run("ostree-boot-complete", &["--dry-run"]), (true, String::new()));
    assert_eq!(run("ostree-boot-complete", &[]), (true, String::new()));
    let (done, said) = run("ostree-finalize-staged", &[]);
    assert!(done, "{said}");
    assert_eq!(list(), ["2", "1*"]);
    power_cut();
    assert_eq!(run("ostree-boot-complete", &[]), (true, String::new()));
}

fn given_up() {
    boot();
    stage();
    for again in [true, false] {
        fs::rename("/boot/loader", "/boot/elsewhere").unwrap();
        let (done, reason) = run("ostree-finalize-staged", &[]);
        assert!(!done, "{reason}");
        fs::rename("/boot/elsewhere", "/boot/loader").unwrap();
        power_cut();
        let (done, said) = run("ostree-boot-complete", &[]);
        assert!(!done && said.contains("failed on previous boot: Finalizing staged deployment"), "{said}");
        assert_eq!(said.contains("is staged again; shutdown makes attempt 2 of 2\n"), again, "{said}");
        assert_eq!(said.contains("is given up: 2 of 2 attempts have failed\n"), !again, "{said}");
        assert_eq!(list().len(), if again { 2 } else { 1 });
    }
    let notes = system::status().notes;
    assert!(notes.iter().any(|note| note.text.contains("2 of 2 attempts have failed")), "{notes:?}");
}

fn hold() {
    boot();
    let busy = || !Command::new("umount").arg("/boot").stderr(Stdio::null()).status().unwrap().success();
    let mut holder = Command::new("ostree-finalize-staged").arg("--hold").spawn().unwrap();
    let holds = || {
        let open = fs::read_dir(format!("/proc/{}/fd", holder.id())).unwrap();
        open.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == Path::new("/boot")))
    };
    while !holds() {
        std::thread::yield_now();
    }
    assert!(busy());
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(!busy());
}

fn soft_reboot() {
    boot();
    fs::create_dir_all("/run/ostree").unwrap();
    fs::rename("/run/ostree-booted", "/run/ostree/nextroot-booted").unwrap();
    assert_eq!(run("ostree-boot-complete", &[]), (true, String::new()));
    assert!(!Path::new("/run/ostree/nextroot-booted").exists());
    assert_eq!(list(), ["1*"]);
}

fn not_booted() {
    boot();
    stage();
    fs::remove_file("/run/ostree-booted").unwrap();
    for (program, _) in PROGRAMS {
        assert_eq!(run(program, &[]), (true, String::new()));
    }
    assert!(Path::new(RECORD).exists());
}

fn arguments() {
    boot();
    for arguments in [&["--nonsense"][..], &["--hold", "x"]] {
        let (done, said) = run("ostree-finalize-staged", arguments);
        assert!(!done && said.contains("usage: "), "{said}");
    }
}

/// Killed by the unit's limit while somebody else has the lock: the next boot says so, and stages the update again.
fn killed_waiting() {
    boot();
    stage();
    let sysroot = system::open();
    let lock = sysroot.lock(|| ()).unwrap();
    let mut waiter = Command::new("ostree-finalize-staged").stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(waiter.stderr.as_mut().unwrap()), &mut said)
        .unwrap();
    assert!(said.contains("Waiting for the lock"), "{said}");
    waiter.kill().unwrap();
    waiter.wait().unwrap();
    drop(lock);
    power_cut();
    let (done, said) = run("ostree-boot-complete", &[]);
    assert!(
        !done && said.contains("failed on previous boot: ") && said.contains("waited for ostree/lock"),
        "{said}"
    );
    assert!(said.contains("is staged again; shutdown makes attempt 1 of 2\n"), "{said}");
    assert_eq!(list(), ["2s", "1*"]);
}
