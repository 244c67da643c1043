// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of an update: the switch at shutdown, and what the next boot makes of it.
//!
//! ```text
//! shutdown     ostree-finalize-staged           the staged deployment becomes the default
//!              ostree-finalize-staged --hold    keeps /boot mounted until then
//! next boot    ostree-boot-complete             says why that failed, if it did, and stages it again
//! good boot    ostree-boot-good                 the switch is proven, and what was there before it is swept
//! ```
//!
//! The commands `ostree admin finalize-staged` and `ostree admin boot-complete`, which units of the C tools call,
//! are these functions, too. All do nothing on a system that was not booted through a deployment.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use deploy::{Finalized, Plan, Request, Resumed, Step};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use sysroot::{Options, Sysroot};

/// That it is there says that the system was booted through a deployment.
const BOOTED: &str = "/run/ostree-booted";

/// The state of the next boot, which becomes that of the boot when a soft reboot has ended; same form.
const NEXT_BOOTED: &str = "/run/ostree/nextroot-booted";

/// Switches to the staged deployment of the physical root at `path`, if there is one and it is not locked.
pub fn finalize_staged(path: &Path, options: &Options, out: &mut dyn Write) -> Result<()> {
    if !is_booted()? {
        return Ok(());
    }
    // Mounts that are read-only stay so for as long as there is nothing to write.
    let nothing = "No deployment staged for finalization";
    if !sysroot::is_anything_staged()? {
        return Ok(writeln!(out, "{nothing}")?);
    }
    let sysroot = Sysroot::open_for_change(path)?.with_options(options);
    let done = match deploy::finalize_staged(&sysroot, || eprintln!("Waiting for the lock of the sysroot"))? {
        Finalized::NothingStaged => return Ok(writeln!(out, "{nothing}")?),
        Finalized::Locked(path) => {
            return Ok(writeln!(
                out,
                "Not finalizing {path}; it is locked (`ostree admin lock-finalization`)"
            )?);
        }
        Finalized::Done(done) => done,
    };
    for warning in done.warnings() {
        eprintln!("warning: {warning}");
    }
    if let Some(summary) = done.etc_summary() {
        writeln!(out, "{summary}")?;
    }
    Ok(writeln!(out, "{}", done.switched.summary())?)
}

/// Keeps `/boot` of the physical root at `path` in use for as long as the process lives, so that an automount does
/// not expire.
pub fn hold(path: &Path) -> Result<Infallible> {
    let boot = path.join("boot");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let _held = rustix::fs::openat(CWD, &boot, flags, Mode::empty())
        .with_context(|| format!("Opening {}", boot.display()))?;
    loop {
        std::thread::park();
    }
}

/// Ends a soft reboot; stages an update again that the last shutdown did not finish, or gives it up; and fails with what the last
/// finalization failed with, once: so `systemctl --failed` shows it.
pub fn boot_complete(path: &Path, options: &Options, out: &mut dyn Write) -> Result<()> {
    if !is_booted()? && !exists(NEXT_BOOTED)? {
        return Ok(());
    }
    match rustix::fs::rename(NEXT_BOOTED, BOOTED) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error).with_context(|| format!("Renaming {NEXT_BOOTED} to {BOOTED}")),
    }
    let sysroot = Sysroot::open(path)?;
    let failed = sysroot.finalize_failure()?;
    let mut problems: Vec<String> = failed
        .iter()
        .map(|reason| {
            format!("ostree-finalize-staged.service failed on previous boot: {}", reason.trim_end())
        })
        .collect();
    if sysroot.has_unfinished_update()? {
        match resume(path, options) {
            Ok(Resumed::Nothing) => {}
            Ok(Resumed::Staged { path, attempt, of }) => {
                writeln!(
                    out,
                    "The update to {path} is staged again; shutdown makes attempt {attempt} of {of}"
                )?;
            }
            Ok(Resumed::Discarded { path, why, failed: true }) => {
                problems.push(format!("The update to {path} is given up: {why}"));
            }
            Ok(Resumed::Discarded { path, why, failed: false }) => {
                writeln!(out, "The update to {path} is not staged again: {why}")?;
            }
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    // The status says that it failed before it repeats why.
    let reason = failed.into_iter().chain(problems.iter().skip(1).cloned()).collect::<Vec<_>>().join("; ");
    let reason = if reason.is_empty() { problems.concat() } else { reason };
    if let Err(error) = deploy::keep_finalize_failure(&reason) {
        log::warn!("{error:#}");
    }
    let forgotten =
        Sysroot::open_for_change(path).and_then(|sysroot| deploy::forget_finalize_failure(&sysroot));
    if let Err(error) = forgotten {
        log::warn!("{error:#}");
    }
    bail!("{}", problems.join("; "))
}

/// Plans what [`boot_complete`] would do, without touching anything: an empty list where that is nothing.
///
/// # Errors
///
/// The records of the last shutdown, the deployments or the boot entries cannot be read.
pub fn plan_boot_complete(path: &Path, options: &Options) -> Result<Vec<Step>> {
    let ends_soft_reboot = exists(NEXT_BOOTED)?;
    if !is_booted()? && !ends_soft_reboot {
        return Ok(Vec::new());
    }
    let mut steps = Vec::new();
    if ends_soft_reboot {
        steps.push(Step::Rename { from: NEXT_BOOTED.to_owned(), to: BOOTED.to_owned() });
    }
    let sysroot = Sysroot::open(path)?.with_options(options);
    let failed = sysroot.finalize_failure()?.is_some();
    let resume = deploy::plan_resume(&sysroot)?;
    steps.extend(resume.steps);
    if failed || resume.fails {
        let dir = sysroot::finalize_failure::DIR;
        let makes_dir = Step::MakeDirectory { path: dir.to_owned() };
        if !exists(dir)? && !steps.contains(&makes_dir) {
            steps.push(makes_dir);
        }
        steps.push(Step::Write { path: format!("{dir}/{}", sysroot::finalize_failure::TOLD), text: None });
    }
    if failed {
        let stamp = sysroot::finalize_failure::STAMP;
        steps.push(Step::Remove { path: format!("/boot/ostree/{stamp}") });
    }
    Ok(steps)
}

/// `ostree-boot-complete` with its arguments: none, `--dry-run`, or `--dry-run --json`.
///
/// # Errors
///
/// As [`boot_complete`]; other arguments.
pub fn boot_complete_program(options: &Options, arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let (root, mut out) = (Path::new("/"), std::io::stdout());
    let arguments: Vec<OsString> = arguments.collect();
    let is_json = match &arguments[..] {
        [] => return boot_complete(root, options, &mut out),
        [dry_run] if dry_run == "--dry-run" => false,
        [dry_run, json] if dry_run == "--dry-run" && json == "--json" => true,
        _ => bail!("usage: ostree-boot-complete [--dry-run [--json]]"),
    };
    let steps = plan_boot_complete(root, options)?;
    if is_json {
        let plan = serde_json::json!({ "schema": 1, "operation": "boot-complete", "steps": steps });
        writeln!(out, "{}", serde_json::to_string_pretty(&plan)?)?;
    } else {
        steps.iter().try_for_each(|step| writeln!(out, "{step}"))?;
    }
    Ok(())
}

fn resume(path: &Path, options: &Options) -> Result<Resumed> {
    let sysroot = Sysroot::open_for_change(path)?.with_options(options);
    let lock = sysroot.lock(|| eprintln!("Waiting for the lock of the sysroot"))?;
    deploy::resume(&lock)
}

/// Proves the switch that led to this boot, and removes what nothing needs any more.
pub fn boot_good(path: &Path, options: &Options, out: &mut dyn Write) -> Result<()> {
    if !is_booted()? {
        return Ok(());
    }
    if deploy::is_settled(&Sysroot::open(path)?.with_options(options))? {
        return Ok(());
    }
    let sysroot = Sysroot::open_for_change(path)?.with_options(options);
    let lock = sysroot.lock(|| eprintln!("Waiting for the lock of the sysroot"))?;
    let good = deploy::boot_good(&lock)?;
    if let Some(reason) = good.unproven {
        writeln!(
            out,
            "Nothing is swept: a boot loader may see the old entries until the next reboot: {reason}"
        )?;
    }
    for path in &good.swept {
        writeln!(out, "Removed {path}")?;
    }
    for deployment in &good.cleaned.deployments {
        writeln!(out, "Removed {deployment}")?;
    }
    for left in &good.cleaned.left {
        eprintln!("warning: could not remove {left}");
    }
    Ok(())
}

/// Plans what [`boot_good`] would do; `None` where that is nothing.
///
/// # Errors
///
/// The change would be refused.
pub fn plan_boot_good(path: &Path, options: &Options) -> Result<Option<Plan>> {
    let sysroot = Sysroot::open(path)?.with_options(options);
    if !is_booted()? || deploy::is_settled(&sysroot)? {
        return Ok(None);
    }
    deploy::plan(&sysroot, &Request::BootGood).map(Some)
}

/// `ostree-boot-good` with its arguments: none, `--dry-run`, or `--dry-run --json`.
///
/// # Errors
///
/// As [`boot_good`]; other arguments.
pub fn boot_good_program(options: &Options, arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let (root, mut out) = (Path::new("/"), std::io::stdout());
    let arguments: Vec<OsString> = arguments.collect();
    let is_json = match &arguments[..] {
        [] => return boot_good(root, options, &mut out),
        [dry_run] if dry_run == "--dry-run" => false,
        [dry_run, json] if dry_run == "--dry-run" && json == "--json" => true,
        _ => bail!("usage: ostree-boot-good [--dry-run [--json]]"),
    };
    match plan_boot_good(root, options)? {
        Some(plan) if is_json => writeln!(out, "{}", serde_json::to_string_pretty(&plan)?)?,
        Some(plan) => write!(out, "{plan}")?,
        None => {}
    }
    Ok(())
}

/// `ostree-finalize-staged` with its arguments: none, or `--hold`.
pub fn finalize_staged_program(
    options: &Options,
    mut arguments: impl Iterator<Item = OsString>,
) -> Result<()> {
    match (arguments.next(), arguments.next()) {
        (None, _) => finalize_staged(Path::new("/"), options, &mut std::io::stdout()),
        (Some(hold_word), None) if hold_word == "--hold" => hold(Path::new("/")).map(|never| match never {}),
        _ => bail!("usage: ostree-finalize-staged [--hold]"),
    }
}

/// Runs a program with the options that `variable`, which reads the environment, asks for, and tells its error as one line.
pub fn exit(
    variable: impl Fn(&str) -> Option<String>,
    program: impl FnOnce(&Options) -> Result<()>,
) -> ExitCode {
    env_logger::Builder::new().filter_level(log::LevelFilter::Info).format_timestamp(None).init();
    let (options, unknown) = Options::of_variables(variable);
    unknown.iter().for_each(|word| log::warn!("{word}"));
    match program(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", format!("{error:#}").replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

/// An error is no "no": a staged deployment that is taken for none is not finalized.
fn is_booted() -> Result<bool> {
    exists(BOOTED)
}

fn exists(path: &str) -> Result<bool> {
    Path::new(path).try_exists().with_context(|| format!("Looking for {path}"))
}
