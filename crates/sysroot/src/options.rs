// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wishes about a sysroot that are no part of its configuration: those that the C tools take from the environment, which the command line
//! reads and hands on.

use std::fmt;

use bootloader::{KernelError, KernelFiles, ReadTree};

/// How a sysroot is treated by this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `mutable-deployments`: deployments do not get the immutable flag.
    pub mutable_deployments: bool,
    /// `no-xattrs`: local changes are carried over to a new `/etc` without extended attributes.
    pub no_xattrs: bool,
    /// `no-dtb`: the device trees of a tree do not count.
    pub no_device_trees: bool,
    /// `test-fifreeze`: a switch starts the watchdog of a freeze, and fails before its commit.
    pub test_freeze: bool,
    /// `no-early-prune`: no deployment goes before the switch to make room in `/boot`.
    pub no_early_prune: bool,
    /// `bootloader-naming-1`: the file name of a boot entry has its stateroot, `ostree-2-debian.conf`.
    pub stateroot_in_names: bool,
    /// `no-preflight`: what a check before a deployment finds is no reason to refuse, as far as it can be ignored.
    pub no_preflight: bool,
    /// `OSTREE_GRUB2_EXEC`: the program that writes GRUB's configuration.
    pub grub_generator: Option<String>,
    /// `OSTREE_BOOT_PARTITION`: what stands before paths in GRUB's menu.
    pub grub_prefix: Option<String>,
    /// `OSTREE_DEBUG_GRUB2`: what a boot loader's tools print is shown.
    pub show_boot_tools: bool,
}

/// A word that means nothing here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord {
    /// The variable that it is in.
    pub variable: &'static str,
    /// It.
    pub word: String,
    /// Those that mean something.
    pub known: Vec<&'static str>,
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?} means nothing; known are {}", self.variable, self.word, self.known.join(", "))
    }
}

/// A word, and the wish that it stands for; none is without effect.
type Word = (&'static str, Option<fn(&mut Options) -> &mut bool>);

impl Options {
    const DEBUG: &str = "OSTREE_SYSROOT_DEBUG";
    const OPTS: &str = "OSTREE_SYSROOT_OPTS";

    const DEBUG_WORDS: [Word; 4] = [
        ("mutable-deployments", Some(|o| &mut o.mutable_deployments)),
        ("no-xattrs", Some(|o| &mut o.no_xattrs)),
        ("no-dtb", Some(|o| &mut o.no_device_trees)),
        ("test-fifreeze", Some(|o| &mut o.test_freeze)),
    ];

    const OPTS_WORDS: [Word; 4] = [
        // The C tools know it, and do nothing about it either.
        ("skip-sync", None),
        ("no-early-prune", Some(|o| &mut o.no_early_prune)),
        ("bootloader-naming-1", Some(|o| &mut o.stateroot_in_names)),
        ("no-preflight", Some(|o| &mut o.no_preflight)),
    ];

    /// The words that shape a deployment or its entry, so that the half of an update at shutdown must know them.
    const STAGED_WORDS: [Word; 3] = [
        ("no-xattrs", Some(|o| &mut o.no_xattrs)),
        ("no-dtb", Some(|o| &mut o.no_device_trees)),
        ("bootloader-naming-1", Some(|o| &mut o.stateroot_in_names)),
    ];

    /// Lists the words among these options that the record of a staged update keeps for the shutdown.
    pub fn staged_words(&self) -> Vec<String> {
        let mut options = self.clone();
        let mut is_set =
            |wish: &Option<fn(&mut Self) -> &mut bool>| wish.is_some_and(|wish| *wish(&mut options));
        let words = Self::STAGED_WORDS.iter().filter(|(_, wish)| is_set(wish));
        words.map(|(word, _)| (*word).to_owned()).collect()
    }

    /// Adds the options that an update was staged with, as its record has them. A word that is not known is passed over.
    pub fn with_staged_words(&self, words: &[String]) -> Self {
        let mut options = self.clone();
        for (word, wish) in Self::STAGED_WORDS {
            if let Some(wish) = wish.filter(|_| words.iter().any(|other| other == word)) {
                *wish(&mut options) = true;
            }
        }
        options
    }

    /// Finds the boot files of a tree, as far as the options let them count.
    ///
    /// # Errors
    ///
    /// The tree has no kernel, or several that do not fit together, or cannot be read.
    pub fn kernel_files(&self, tree: impl ReadTree) -> Result<KernelFiles, KernelError> {
        let mut files = KernelFiles::find(tree)?;
        if self.no_device_trees {
            files.drop_device_trees();
        }
        Ok(files)
    }

    /// Reads the wishes in the variables that `variable` gives the values of, and the words in them that mean nothing.
    pub fn of_variables(variable: impl Fn(&str) -> Option<String>) -> (Self, Vec<UnknownWord>) {
        let mut options = Self {
            grub_generator: variable("OSTREE_GRUB2_EXEC").filter(|program| !program.is_empty()),
            grub_prefix: variable("OSTREE_BOOT_PARTITION"),
            show_boot_tools: variable("OSTREE_DEBUG_GRUB2").is_some(),
            ..Self::default()
        };
        let words = |name| variable(name).unwrap_or_default();
        let unknown = options.take_words(&words(Self::DEBUG), &words(Self::OPTS));
        (options, unknown)
    }

    /// Takes the words of the two variables, which are read as GLib does: `:`, `;`, `,` and blanks between them, in upper or lower
    /// case, `_` for `-`. Gives those that mean nothing.
    fn take_words(&mut self, debug: &str, opts: &str) -> Vec<UnknownWord> {
        let mut unknown = self.take(Self::DEBUG, debug, &Self::DEBUG_WORDS);
        unknown.extend(self.take(Self::OPTS, opts, &Self::OPTS_WORDS));
        unknown
    }

    fn take(&mut self, variable: &'static str, text: &str, words: &[Word]) -> Vec<UnknownWord> {
        let mut unknown = Vec::new();
        for word in text.split([':', ';', ',', ' ', '\t']).filter(|word| !word.is_empty()) {
            let name = word.to_ascii_lowercase().replace('_', "-");
            match words.iter().find(|(known, _)| *known == name) {
                Some((_, Some(wish))) => *wish(self) = true,
                Some((_, None)) => {}
                None => {
                    let known = words.iter().map(|(known, _)| *known).collect();
                    unknown.push(UnknownWord { variable, word: word.to_owned(), known });
                }
            }
        }
        unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_glib_does() {
        let mut options = Options::default();
        let unknown = options
            .take_words("mutable-deployments:NO_XATTRS;;no-dtb", "skip-sync,no-early-prune \tno_preflight");
        assert_eq!(unknown, []);
        let expected = Options {
            mutable_deployments: true,
            no_xattrs: true,
            no_device_trees: true,
            no_early_prune: true,
            no_preflight: true,
            ..Options::default()
        };
        assert_eq!(options, expected);
        options.take_words("test-fifreeze", "bootloader-naming-1");
        assert!(options.test_freeze && options.stateroot_in_names);
    }

    #[test]
    fn a_staged_update_keeps_the_words_that_shape_it() {
        let mut options = Options::default();
        options.take_words("no-dtb:no-xattrs:mutable-deployments", "bootloader-naming-1,no-preflight");
        let words = options.staged_words();
        assert_eq!(words, ["no-xattrs", "no-dtb", "bootloader-naming-1"]);
        let unknown = [words, vec!["of-tomorrow".to_owned()]].concat();
        let expected = Options {
            no_xattrs: true,
            no_device_trees: true,
            stateroot_in_names: true,
            test_freeze: true,
            ..Options::default()
        };
        let shutdown = Options { test_freeze: true, ..Options::default() };
        assert_eq!(shutdown.with_staged_words(&unknown), expected);
        assert!(shutdown.staged_words().is_empty());
    }

    #[test]
    fn variables_are_those_of_the_c_tools() {
        let variable = |name: &str| match name {
            "OSTREE_SYSROOT_DEBUG" => Some("no-dtb".to_owned()),
            "OSTREE_SYSROOT_OPTS" => Some("skip-sync what".to_owned()),
            "OSTREE_GRUB2_EXEC" | "OSTREE_BOOT_PARTITION" | "OSTREE_DEBUG_GRUB2" => Some(String::new()),
            _ => None,
        };
        let (options, unknown) = Options::of_variables(variable);
        assert_eq!(unknown.len(), 1);
        let grub_prefix = Some(String::new());
        let expected =
            Options { no_device_trees: true, grub_prefix, show_boot_tools: true, ..Options::default() };
        assert_eq!(options, expected);
    }

    #[test]
    fn a_word_that_means_nothing_is_told() {
        let mut options = Options::default();
        // Each variable has its own.
        let unknown = options.take_words("no-preflight,all", "no-dtb");
        assert_eq!(options, Options::default());
        let told: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        let debug = "means nothing; known are mutable-deployments, no-xattrs, no-dtb, test-fifreeze";
        assert_eq!(told[0], format!("OSTREE_SYSROOT_DEBUG: \"no-preflight\" {debug}"));
        assert_eq!(told[1], format!("OSTREE_SYSROOT_DEBUG: \"all\" {debug}"));
        assert!(told[2].starts_with("OSTREE_SYSROOT_OPTS: \"no-dtb\" means nothing; known are skip-sync, "));
    }
}
