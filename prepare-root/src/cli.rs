// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line of `ostree-prepare-root`.

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use formats::kernel_args::KernelArgs;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::apply::apply;
use crate::calls::Calls;
use crate::config::Config;
use crate::error::Error;
use crate::open::read_text;
use crate::plan::MountPlan;
use crate::resolve::Target;
use crate::{facts, fallback_target, list, report};

/// The text of `--help`, of which the manual page is made as well.
pub const HELP: &str = "\
Usage: ostree-prepare-root [OPTION] SYSROOT [CMDLINE]

Mounts the deployment that ostree= names over SYSROOT, the mount point of the
physical root. CMDLINE takes the place of /proc/cmdline.

Options:
  --plan         print what would be mounted, and mount nothing
  --plan=json    the same for a program
  --list         print the boot links and deployments in SYSROOT, and why one
                 of them could not be booted
  --help         print this text
  --version      print the version

Example: ostree-prepare-root --plan /sysroot

Exit status: 0; 1 when nothing was mounted, with the reason on standard error
and in the kernel's log.
";

const PLAN: &str = "--plan";
const PLAN_JSON: &str = "--plan=json";
const LIST: &str = "--list";
const OPTIONS: [&str; 3] = [PLAN, PLAN_JSON, LIST];

/// The task that the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Help,
    Version,
    List { sysroot: PathBuf },
    Plan { json: bool, sysroot: PathBuf, cmdline: Option<String> },
    Mount { sysroot: PathBuf, cmdline: Option<String> },
}

/// Runs the program with the arguments that follow its name.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match parse(arguments).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::failure(&error);
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Request, Error> {
    let mut option = None;
    let mut words = Vec::new();
    for argument in arguments {
        match argument.to_str() {
            Some("--help") => return Ok(Request::Help),
            Some("--version") => return Ok(Request::Version),
            Some(word) if OPTIONS.contains(&word) && option.is_some() => {
                return Err(Error::Usage(format!("{word} does not go with another option")));
            }
            Some(word) if OPTIONS.contains(&word) => option = Some(word.to_owned()),
            // After SYSROOT this is a kernel command line, which may begin with anything.
            Some(word) if word.starts_with("--") && words.is_empty() => {
                return Err(Error::Usage(format!("unknown option {word}")));
            }
            _ => words.push(argument),
        }
    }
    let mut words = words.into_iter();
    let sysroot =
        words.next().map(PathBuf::from).ok_or_else(|| Error::Usage("SYSROOT is missing".to_owned()))?;
    // A target is UTF-8; the rest of the line is not ours.
    let cmdline = words.next().map(|line| line.to_string_lossy().into_owned());
    if words.next().is_some() {
        return Err(Error::Usage("more than SYSROOT and CMDLINE".to_owned()));
    }
    Ok(match option.as_deref() {
        Some(PLAN) => Request::Plan { json: false, sysroot, cmdline },
        Some(PLAN_JSON) => Request::Plan { json: true, sysroot, cmdline },
        Some(LIST) => Request::List { sysroot },
        _ => Request::Mount { sysroot, cmdline },
    })
}

fn run(request: Request) -> Result<(), Error> {
    match request {
        Request::Help => print(HELP),
        Request::Version => print(concat!("ostree-prepare-root ", env!("CARGO_PKG_VERSION"), "\n")),
        Request::List { sysroot } => print(&list::list(open(&sysroot)?.as_fd())?),
        Request::Plan { json, sysroot, cmdline } => {
            let (plan, _) = plan(open(&sysroot)?.as_fd(), cmdline)?;
            print(&if json { plan.to_json() + "\n" } else { plan.to_string() })
        }
        Request::Mount { sysroot, cmdline } => mount(&sysroot, cmdline),
    }
}

/// Prints what was asked for. `print!` would panic where a reader has gone.
fn print(text: &str) -> Result<(), Error> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Output(Errno::from_io_error(&error).unwrap_or(Errno::IO)))
        }
        _ => Ok(()),
    }
}

fn mount(sysroot: &Path, cmdline: Option<String>) -> Result<(), Error> {
    // The working directory changes on the way.
    let absolute = std::path::absolute(sysroot).map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        Error::Sysroot(sysroot.to_owned(), errno)
    })?;
    let names = |component| matches!(component, Component::Normal(_) | Component::RootDir);
    if absolute == Path::new("/") || !absolute.components().all(names) {
        return Err(Error::Usage(format!("SYSROOT {} must be a mount point below /", sysroot.display())));
    }
    let sysroot_fd = open(sysroot)?;
    let (plan, target) = plan(sysroot_fd.as_fd(), cmdline)?;
    report::target(&plan);
    apply(&plan, &absolute, sysroot_fd.as_fd(), &target, &Calls::ALL)?;
    Ok(())
}

/// All steps before the first mount.
fn plan(sysroot: BorrowedFd<'_>, cmdline: Option<String>) -> Result<(MountPlan, Target), Error> {
    let calls = Calls::ALL;
    let root = open_directory(Path::new("/")).map_err(Error::Initramfs)?;
    let line = match cmdline {
        Some(line) => line,
        None => match read_text(root.as_fd(), "proc/cmdline", &calls) {
            Ok(Some(line)) => line,
            Ok(None) => return Err(Error::CommandLine(None)),
            Err(error) => return Err(Error::CommandLine(Some(error))),
        },
    };
    let arguments = KernelArgs::parse(&line);
    let mut config = Config::load_with(root.as_fd(), &calls)?;
    config.override_with(&arguments)?;
    config.check_supported()?;
    let kernel = rustix::system::uname();
    let target = fallback_target::find(sysroot, &arguments, &kernel.release().to_string_lossy())?;
    let facts = facts::gather(sysroot, &config, &target, &calls);
    let mut plan = MountPlan::new(&config, &target.deployment, &facts)?;
    plan.notes.extend(target.note.clone());
    Ok((plan, target))
}

fn open(sysroot: &Path) -> Result<OwnedFd, Error> {
    open_directory(sysroot).map_err(|errno| Error::Sysroot(sysroot.to_owned(), errno))
}

fn open_directory(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(words: &[&str]) -> Result<Request, String> {
        parse(words.iter().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_are_those_of_the_c_program_and_four_options() {
        let sysroot = || PathBuf::from("/sysroot");
        let line = || Some("--quiet ostree=/x".to_owned());
        for (words, expected) in [
            (vec!["/sysroot"], Request::Mount { sysroot: sysroot(), cmdline: None }),
            (vec!["/sysroot", "--quiet ostree=/x"], Request::Mount { sysroot: sysroot(), cmdline: line() }),
            (vec!["--plan", "/sysroot"], Request::Plan { json: false, sysroot: sysroot(), cmdline: None }),
            (
                vec!["--plan=json", "/sysroot", "x"],
                Request::Plan { json: true, sysroot: sysroot(), cmdline: Some("x".to_owned()) },
            ),
            (vec!["--list", "/sysroot"], Request::List { sysroot: sysroot() }),
            (vec!["--help"], Request::Help),
            (vec!["--version", "x"], Request::Version),
        ] {
            assert_eq!(request(&words), Ok(expected), "{words:?}");
        }
        for (words, message) in [
            (vec![], "SYSROOT is missing"),
            (vec!["--plan"], "SYSROOT is missing"),
            (vec!["--frob", "/"], "unknown option --frob"),
            (vec!["--plan", "--list", "/"], "--list does not go with another option"),
            (vec!["/", "b", "c"], "more than SYSROOT and CMDLINE"),
        ] {
            let error = request(&words).unwrap_err();
            assert!(error.starts_with(message), "{words:?}: {error}");
        }
    }
}
