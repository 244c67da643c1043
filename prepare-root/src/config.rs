// SPDX-License-Identifier: MIT OR Apache-2.0
//! `prepare-root.conf`: what the image wants its root to be.
//!
//! Files are layered key by key: what the image brings, then what was configured for this machine. (Upstream
//! lets the second file replace the first as a whole, so that setting one key drops all others.) The kernel
//! argument `ostree.prepare-root.composefs=` comes last.

use std::fmt;
use std::os::fd::BorrowedFd;

use formats::kernel_args::KernelArgs;
use formats::keyfile::{Keyfile, KeyfileError, ValueError};

use crate::calls::Calls;
use crate::open::{ReadError, read_text};

/// Where the layers lie, lowest first, below the root of the initramfs or of a tree that is to be deployed. The
/// second is where such a tree has what its initramfs has in `etc`.
pub const PATHS: [&str; 3] =
    ["usr/lib/ostree/prepare-root.conf", "usr/etc/ostree/prepare-root.conf", "etc/ostree/prepare-root.conf"];

/// The kernel argument that overrides `[composefs] enabled`.
pub const COMPOSEFS_ARGUMENT: &str = "ostree.prepare-root.composefs";

/// Where public keys are looked for unless `[composefs] keypath` says otherwise.
pub const DEFAULT_KEYPATH: &str = "/etc/ostree/initramfs-root-binding.key";

/// The wishes of `prepare-root.conf` and the kernel arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[sysroot] readonly`, where it is set; [`Config::sysroot_readonly`] has the default.
    pub readonly: Option<bool>,
    /// `[root] transient`: changes anywhere in `/` last until the next boot.
    pub root_transient: bool,
    /// `[root] transient-ro`: the same, for privileged programs in a mount namespace of their own.
    pub root_transient_ro: bool,
    /// `[etc] transient`: changes in `/etc` last until the next boot.
    pub etc_transient: bool,
    /// `[composefs] enabled`.
    pub composefs: Composefs,
    /// `[composefs] keypath`: public keys for [`Composefs::Signed`], a path in the initramfs.
    pub keypath: String,
}

/// `[composefs] enabled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Composefs {
    /// Mount the deployment's directory itself.
    No,
    /// Mount the composefs image where the deployment has one.
    Maybe,
    /// Mount the composefs image.
    Yes,
    /// As `Yes`, and fs-verity must be enabled on all that is read.
    Verity,
    /// As `Verity`, and the commit must be signed by one of the keys at `keypath`.
    Signed,
}

/// One file of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Its path, for messages.
    pub path: &'a str,
    /// Its content.
    pub text: &'a str,
}

/// Why there is no configuration.
#[derive(Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// A file cannot be read.
    Read(String, ReadError),
    /// A file is no key file.
    Syntax(String, KeyfileError),
    /// A value is not of its kind.
    Value(String, ValueError),
    /// `[root]` asks for both kinds of transient root.
    BothTransient,
    /// A word that is none of [`Composefs`]; the first field says where it stands.
    UnknownComposefs(String, String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "reading /{path}: {error}"),
            Self::Syntax(path, error) => write!(f, "/{path}: {error}"),
            Self::Value(path, error) => write!(f, "/{path}: {error}"),
            Self::BothTransient => f.write_str(
                "prepare-root.conf: root.transient and root.transient-ro exclude each other; keep one",
            ),
            Self::UnknownComposefs(place, word) => {
                write!(f, "{place}={word}: must be one of no, maybe, yes, verity, signed")
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// A wish that this version cannot grant. Booting without it would drop a protection that somebody chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// `composefs.enabled` is `yes`.
    Composefs,
    /// `composefs.enabled` is `verity`.
    Verity,
    /// `composefs.enabled` is `signed`.
    Signed,
    /// `root.transient`.
    TransientRoot,
    /// `root.transient-ro`.
    TransientRootReadOnly,
    /// `etc.transient`.
    TransientEtc,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wish, instead) = match self {
            Self::Composefs => ("composefs.enabled=yes", "no or maybe"),
            Self::Verity => ("composefs.enabled=verity", "no or maybe"),
            Self::Signed => ("composefs.enabled=signed", "no or maybe"),
            Self::TransientRoot => ("root.transient=true", "false"),
            Self::TransientRootReadOnly => ("root.transient-ro=true", "false"),
            Self::TransientEtc => ("etc.transient=true", "false"),
        };
        write!(f, "{wish} is not supported by this version; set it to {instead} in prepare-root.conf")
    }
}

impl std::error::Error for Unsupported {}

impl Config {
    /// Reads the layers below `root`: the root of the initramfs, or of a deployment. Absent files are empty ones.
    ///
    /// # Errors
    ///
    /// Names the file, and the line or the key.
    pub fn load(root: BorrowedFd<'_>) -> Result<Self, ConfigError> {
        Self::load_with(root, &Calls::ALL)
    }

    /// [`Self::load`] with a choice of kernel calls.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn load_with(root: BorrowedFd<'_>, calls: &Calls) -> Result<Self, ConfigError> {
        let read = |path| {
            let text = read_text(root, path, calls).map_err(|e| ConfigError::Read(str::to_owned(path), e))?;
            Ok((path, text.unwrap_or_default()))
        };
        let texts = PATHS.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let layers: Vec<Layer<'_>> = texts.iter().map(|(path, text)| Layer { path, text }).collect();
        Self::parse(&layers)
    }

    /// Reads layers, lowest first.
    ///
    /// # Errors
    ///
    /// Names the layer, and the line or the key.
    pub fn parse(layers: &[Layer<'_>]) -> Result<Self, ConfigError> {
        let parse = |layer: &Layer<'_>| {
            let file = Keyfile::parse(layer.text);
            let file = file.map_err(|error| ConfigError::Syntax(layer.path.to_owned(), error))?;
            Ok((layer.path.to_owned(), file))
        };
        let layers = Layers(layers.iter().map(parse).collect::<Result<_, _>>()?);

        let composefs = match layers.string("composefs", "enabled")? {
            None => Composefs::No,
            Some((path, word)) => Composefs::parse(&word)
                .ok_or_else(|| ConfigError::UnknownComposefs(format!("/{path}: composefs.enabled"), word))?,
        };
        let root_transient = layers.boolean("root", "transient")?.unwrap_or(false);
        let root_transient_ro = layers.boolean("root", "transient-ro")?.unwrap_or(false);
        if root_transient && root_transient_ro {
            return Err(ConfigError::BothTransient);
        }
        Ok(Self {
            readonly: layers.boolean("sysroot", "readonly")?,
            root_transient,
            root_transient_ro,
            etc_transient: layers.boolean("etc", "transient")?.unwrap_or(false),
            composefs,
            keypath: layers
                .string("composefs", "keypath")?
                .map_or_else(|| DEFAULT_KEYPATH.to_owned(), |(_, p)| p),
        })
    }

    /// Lets the kernel arguments override what the files say.
    ///
    /// # Errors
    ///
    /// An argument without a value, or with an unknown one.
    pub fn override_with(&mut self, arguments: &KernelArgs) -> Result<(), ConfigError> {
        if let Some(word) = arguments.first(COMPOSEFS_ARGUMENT) {
            let word = word.unwrap_or_default();
            let unknown = || ConfigError::UnknownComposefs(COMPOSEFS_ARGUMENT.to_owned(), word.to_owned());
            self.composefs = Composefs::parse(word).ok_or_else(unknown)?;
        }
        Ok(())
    }

    /// Whether the physical root shall be mounted read-only: by default where composefs is asked for.
    pub fn sysroot_readonly(&self) -> bool {
        self.readonly.unwrap_or(self.composefs.is_required())
    }

    /// Whether this version can do all that is asked for. A deploy checks it as well: a wish that cannot be
    /// granted shall not be found out at boot.
    ///
    /// # Errors
    ///
    /// The first wish that cannot be granted.
    pub fn check_supported(&self) -> Result<(), Unsupported> {
        match self.composefs {
            Composefs::No | Composefs::Maybe => {}
            Composefs::Yes => return Err(Unsupported::Composefs),
            Composefs::Verity => return Err(Unsupported::Verity),
            Composefs::Signed => return Err(Unsupported::Signed),
        }
        let wishes = [
            (self.root_transient, Unsupported::TransientRoot),
            (self.root_transient_ro, Unsupported::TransientRootReadOnly),
            (self.etc_transient, Unsupported::TransientEtc),
        ];
        wishes.into_iter().find(|(wished, _)| *wished).map_or(Ok(()), |(_, unsupported)| Err(unsupported))
    }
}

impl Composefs {
    /// Reads the word of the file or of the kernel argument.
    fn parse(word: &str) -> Option<Self> {
        match word {
            "no" | "false" | "0" => Some(Self::No),
            "maybe" => Some(Self::Maybe),
            "yes" | "true" | "1" => Some(Self::Yes),
            "verity" => Some(Self::Verity),
            "signed" => Some(Self::Signed),
            _ => None,
        }
    }

    /// Whether a boot without the composefs image is wrong.
    fn is_required(self) -> bool {
        !matches!(self, Self::No | Self::Maybe)
    }
}

/// The parsed files, lowest first. A key has the value of the last file that has the key.
struct Layers(Vec<(String, Keyfile)>);

impl Layers {
    fn string(&self, group: &str, key: &str) -> Result<Option<(&str, String)>, ConfigError> {
        self.get(group, key, Keyfile::string)
    }

    fn boolean(&self, group: &str, key: &str) -> Result<Option<bool>, ConfigError> {
        Ok(self.get(group, key, Keyfile::boolean)?.map(|(_, value)| value))
    }

    fn get<T>(
        &self,
        group: &str,
        key: &str,
        read: impl Fn(&Keyfile, &str, &str) -> Result<Option<T>, ValueError>,
    ) -> Result<Option<(&str, T)>, ConfigError> {
        let Some((path, file)) = self.0.iter().rfind(|(_, file)| file.raw(group, key).is_some()) else {
            return Ok(None);
        };
        let value = read(file, group, key).map_err(|error| ConfigError::Value(path.clone(), error))?;
        Ok(value.map(|value| (path.as_str(), value)))
    }
}

#[cfg(test)]
mod tests;
