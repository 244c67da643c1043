// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel arguments that an image brings along: `usr/lib/ostree/kargs.d/NAME.conf`, an argument or several a line, `#` begins a comment.
//! The file that an argument comes from is its owner.
//!
//! A new deployment takes over the arguments of the one before. What its image asks for and the former image did not is added;
//! what the former image asked for and this one does not, goes. So what an administrator has added stays, and what he has removed
//! stays away until an image asks for something else.

use anyhow::{Context, Result};
use bootloader::ReadTree;
use formats::bootlink::DeploymentPath;
use formats::kernel_args::{EditError, KernelArgs};

use crate::commit_tree::CommitTree;
use crate::sysroot::Sysroot;

/// Their directory in a tree.
pub const DIR: &str = "usr/lib/ostree/kargs.d";

/// The arguments that an image asks for, each with the name of the file that does; in the order of the files' names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageKargs(Vec<(String, String)>);

impl ImageKargs {
    /// Adds those of a file.
    fn add(&mut self, owner: &str, text: &str) -> Result<(), EditError> {
        for arg in arguments(text)?.iter() {
            self.0.push((owner.to_owned(), arg.to_owned()));
        }
        Ok(())
    }

    /// Reads those of a commit.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or has a quote that is never closed.
    pub fn of(tree: &CommitTree<'_>) -> Result<Self> {
        let mut found = Self::default();
        let mut names = tree.names(DIR)?.unwrap_or_default();
        names.retain(|name| name.ends_with(".conf") && !name.starts_with('.'));
        names.sort();
        for name in names {
            let read = || format!("Reading /{DIR}/{name}");
            let text = tree.read_text(&format!("{DIR}/{name}")).with_context(read)?.unwrap_or_default();
            found.add(&name, &text).with_context(read)?;
        }
        Ok(found)
    }

    /// Owner and argument.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(owner, arg)| (owner.as_str(), arg.as_str()))
    }

    /// The arguments alone.
    pub fn args(&self) -> KernelArgs {
        let mut args = KernelArgs::default();
        self.iter().for_each(|(_, arg)| args.add_missing(arg));
        args
    }

    /// Replaces in `args` the arguments of the `former` image by those of this one.
    pub fn update(&self, former: &Self, args: &mut KernelArgs) {
        let (now, before) = (self.args(), former.args());
        for arg in before.iter().filter(|arg| !now.contains(arg)) {
            // Somebody may have removed it already, or given it another value.
            let _gone = args.delete_exactly(arg);
        }
        for arg in now.iter().filter(|arg| !before.contains(arg)) {
            args.add_missing(arg);
        }
    }
}

/// Parses the arguments that a file asks for.
///
/// # Errors
///
/// A quote is never closed.
pub fn arguments(text: &str) -> Result<KernelArgs, EditError> {
    let mut all = KernelArgs::default();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.try_for_each(|line| all.append(line))?;
    Ok(all)
}

/// The kernel arguments of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentKargs {
    /// All of them, `ostree=` included.
    pub all: KernelArgs,
    /// Those that its image asks for.
    pub image: ImageKargs,
}

impl Sysroot {
    /// Reads the kernel arguments of a deployment, by its place in the list.
    ///
    /// # Errors
    ///
    /// There is no such deployment, or the boot entries cannot be read.
    pub fn kernel_args(&self, index: usize) -> Result<DeploymentKargs> {
        let loaded = self.load_lenient()?;
        let index = loaded.check(index)?;
        let deployment = loaded.deployments.get(index).context("It is gone")?;
        // The arguments of the entry are shown and edited.
        let image = self.image_kargs(&deployment.path).unwrap_or_else(|error| {
            log::warn!("{error:#}; what that image asks for is not known");
            ImageKargs::default()
        });
        Ok(DeploymentKargs { all: deployment.kernel_args(), image })
    }

    /// Reads the arguments that the image of a deployment asks for.
    ///
    /// # Errors
    ///
    /// The commit cannot be read, or a file in it is malformed.
    pub fn image_kargs(&self, path: &DeploymentPath) -> Result<ImageKargs> {
        ImageKargs::of(&CommitTree::open(self.repo(), &path.checksum)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(files: &[(&str, &str)]) -> ImageKargs {
        let mut image = ImageKargs::default();
        files.iter().for_each(|(name, text)| image.add(name, text).unwrap());
        image
    }

    #[test]
    fn one_argument_a_line() {
        let image =
            image(&[("10-a.conf", "# c\n\nconsole=tty0 console=ttyS0\nquiet\n"), ("20-b.conf", "quiet")]);
        let listed: Vec<_> = image.iter().map(|(owner, arg)| format!("{owner} {arg}")).collect();
        assert_eq!(
            listed,
            ["10-a.conf console=tty0", "10-a.conf console=ttyS0", "10-a.conf quiet", "20-b.conf quiet"]
        );
        assert_eq!(image.args().to_string(), "console=tty0 console=ttyS0 quiet");
        assert_eq!(arguments("a=\"b c\" d\n").unwrap().iter().count(), 2);
        let error = arguments("a\n# \"\nv=\"x\nb\n").unwrap_err();
        assert_eq!(error, EditError::OpenQuote("v=\"x".to_owned()));
    }

    #[test]
    fn from_one_image_to_the_next() {
        for (former, now, args, expected) in [
            ("", "a=1", "root=x", "root=x a=1"),
            ("a=1", "a=1", "root=x", "root=x"),
            ("a=1", "a=2", "root=x a=1", "root=x a=2"),
            ("a=1", "", "root=x a=1 own", "root=x own"),
            ("a=1", "", "root=x a=3", "root=x a=3"),
            ("", "own", "own", "own"),
        ] {
            let mut args = KernelArgs::parse(args);
            image(&[("f", now)]).update(&image(&[("f", former)]), &mut args);
            assert_eq!(args.to_string(), expected, "{former} -> {now}");
        }
    }
}
