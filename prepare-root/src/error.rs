// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that can keep a machine from booting here, each on one line.

use std::fmt;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::apply::ApplyError;
use crate::config::{ConfigError, Unsupported};
use crate::open::ReadError;
use crate::plan::PlanError;
use crate::resolve::TargetError;

/// Why the root was not prepared.
#[derive(Debug)]
pub enum Error {
    /// Wrong arguments.
    Usage(String),
    /// `/proc/cmdline` cannot be read.
    CommandLine(Option<ReadError>),
    /// The physical root cannot be opened.
    Sysroot(PathBuf, Errno),
    /// The root of the initramfs cannot be opened.
    Initramfs(Errno),
    /// The configuration cannot be used.
    Config(ConfigError),
    /// The configuration asks for what this version cannot do.
    Unsupported(Unsupported),
    /// The command line leads to no deployment.
    Target(TargetError),
    /// The mounts cannot be planned.
    Plan(PlanError),
    /// The mounts cannot be made.
    Apply(ApplyError),
    /// The deployments cannot be listed.
    List(PathBuf, Errno),
    /// The output cannot be printed.
    Output(Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => write!(f, "{error}; see --help"),
            Self::CommandLine(None) => f.write_str("reading /proc/cmdline: no such file; mount /proc first"),
            Self::CommandLine(Some(error)) => write!(f, "reading /proc/cmdline: {error}"),
            Self::Sysroot(path, errno) => write!(f, "opening the physical root {}: {errno}", path.display()),
            Self::Initramfs(errno) => write!(f, "opening /: {errno}"),
            Self::Config(error) => error.fmt(f),
            Self::Unsupported(error) => error.fmt(f),
            Self::Target(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::Apply(error) => error.fmt(f),
            Self::Output(errno) => write!(f, "writing to standard output: {errno}"),
            Self::List(path, errno) => write!(f, "listing {}: {errno}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

macro_rules! from {
    ($($variant:ident($error:ty)),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}

from!(Config(ConfigError), Unsupported(Unsupported), Target(TargetError), Plan(PlanError), Apply(ApplyError));
