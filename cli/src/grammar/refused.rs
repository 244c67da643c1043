// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands and options of the C tools that are not there yet: each is known, and refused by its own name.
//!
//! They become part of clap's definition, hidden, so that a command line with them is read as the C tools read it. Nothing
//! runs when one of them is given.

use std::fmt;

use clap::{Arg, ArgAction, Command};

/// Commands and options with one reason why they are refused.
struct Group {
    /// Completes "… is not supported yet: "; says what to do instead.
    reason: &'static str,
    /// `COMMAND`, or `COMMAND [-x] --option[=VALUE]`.
    names: &'static [&'static str],
}

const REFUSED: &[Group] = &[
    Group {
        reason: "signatures cannot be made; leave it out, and sign with another ostree afterwards",
        names: &[
            "sign",
            "gpg-sign",
            "commit --gpg-sign=KEY-ID",
            "commit --gpg-homedir=HOMEDIR",
            "commit --sign=KEY-ID",
            "summary --gpg-sign=KEY-ID",
            "summary --gpg-homedir=HOMEDIR",
            "summary --sign=KEY-ID",
            "summary --sign-type=NAME",
            "commit --sign-from-file=PATH",
            "commit --sign-type=NAME",
        ],
    },
    Group {
        reason: "signatures cannot be checked",
        names: &[
            "admin status -V --verify",
            "pull-local --gpg-verify",
            "pull-local --gpg-verify-summary",
            "remote add --sign-verify=KEYTYPE=[inline|file]:PUBKEY",
            "remote add --gpg-import=FILE",
            "remote gpg-import",
            "remote gpg-list-keys",
            "show --gpg-homedir=HOMEDIR",
            "show --gpg-verify-remote=REMOTE",
        ],
    },
    Group {
        reason: "static deltas cannot be made or read; pull the commits themselves",
        names: &[
            "static-delta",
            "static-delta list",
            "static-delta show",
            "static-delta delete",
            "static-delta generate",
            "static-delta apply-offline",
            "static-delta verify",
            "static-delta indexes",
            "static-delta reindex",
            "prune --static-deltas-only",
        ],
    },
    Group {
        reason: "static deltas cannot be read; pull without it",
        names: &["pull --require-static-deltas", "pull-local --require-static-deltas"],
    },
    Group {
        reason: "there are no HTTP remotes yet that would get cookies; use a file:// remote",
        names: &["remote add-cookie", "remote delete-cookie", "remote list-cookies"],
    },
    Group {
        reason: "pull without it, or pull-local from that repository first",
        names: &["pull -L --localcache-repo=REPO"],
    },
    Group {
        reason: "collections of refs are stored, not searched; name the remote, and pull or pull-local from it",
        names: &["find-remotes", "create-usb", "refs -c --collections"],
    },
    Group { reason: "archives are not written; check the commit out and run tar on it", names: &["export"] },
    Group {
        reason: "archives are not read; unpack them and use --tree=dir=",
        names: &["commit --tar-autocreate-parents", "commit --tar-pathname-filter=REGEX,REPLACEMENT"],
    },
    Group {
        reason: "files are committed with the labels that they have; label the tree first, for example with setfiles",
        names: &[
            "commit --selinux-policy=PATH",
            "commit -P --selinux-policy-from-base",
            "commit --selinux-labeling-epoch=EPOCH",
        ],
    },
    Group {
        reason: "files get the labels of the commit; check out without it and label with setfiles",
        names: &["checkout --selinux-policy=PATH", "checkout --selinux-prefix=PREFIX"],
    },
    Group {
        reason: "composefs images cannot be made; leave it out",
        names: &[
            "checkout --composefs",
            "checkout --composefs-noverity",
            "commit --generate-composefs-metadata",
        ],
    },
    Group { reason: "write the message to a file and use --body-file", names: &["commit -e --editor"] },
    Group {
        reason: "no sizes of objects are stored with a commit; leave it out",
        names: &["commit --generate-sizes", "show --print-sizes"],
    },
    Group {
        reason: "commits are compared with commits only; commit the directory first and leave it out",
        names: &["diff --no-xattrs", "diff --owner-uid=UID", "diff --owner-gid=GID"],
    },
    Group { reason: "use `ostree ls -RC` of both commits and compare", names: &["diff --stats"] },
    Group { reason: "use --raw, or --print-metadata-key", names: &["show --print-variant-type=TYPE"] },
    Group {
        reason: "boot the new deployment with --reboot or `systemctl reboot`",
        names: &[
            "admin switch -k --kexec",
            "admin upgrade -k --kexec",
            "admin prepare-soft-reboot",
            "admin impl-prepare-soft-reboot",
        ],
    },
];

/// A command or an option that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    name: String,
    reason: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not supported yet: {}", self.name, self.reason)
    }
}

/// A line of the table in its parts.
#[derive(Debug, Clone, Copy)]
struct Row {
    command: &'static str,
    short: Option<char>,
    long: Option<&'static str>,
    value: Option<&'static str>,
    reason: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    REFUSED.iter().flat_map(|group| group.names.iter().map(|name| Row::parse(name, group.reason)))
}

impl Row {
    fn parse(text: &'static str, reason: &'static str) -> Self {
        let (command, option) = match text.find(" -") {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let (mut short, mut long, mut value) = (None, None, None);
        for word in option.split_whitespace() {
            match word.strip_prefix("--") {
                Some(name) => {
                    let parts = name.split_once('=');
                    long = Some(parts.map_or(name, |(name, _)| name));
                    value = parts.map(|(_, value)| value);
                }
                None => short = word.chars().nth(1),
            }
        }
        Self { command, short, long, value, reason }
    }

    fn arg(self) -> Option<Arg> {
        let long = self.long?;
        let arg = Arg::new(long).long(long).short(self.short).hide(true);
        let arg = arg.help(format!("Not supported yet: {}", self.reason));
        Some(match self.value {
            Some(value) => arg.value_name(value).action(ArgAction::Append),
            None => arg.action(ArgAction::SetTrue),
        })
    }
}

/// The refusal of a command, if it is refused.
pub(super) fn command(path: &[String]) -> Option<Refusal> {
    let path = path.join(" ");
    let row = rows().find(|row| row.long.is_none() && row.command == path)?;
    Some(Refusal { name: path, reason: row.reason })
}

/// The refusal of an option of a command, if it is refused.
pub(super) fn option(path: &[String], arg: &Arg) -> Option<Refusal> {
    let (path, long) = (path.join(" "), arg.get_long()?);
    let row = rows().find(|row| row.long == Some(long) && row.command == path)?;
    Some(Refusal { name: format!("--{long}"), reason: row.reason })
}

/// Adds the commands and options that are refused, so that they are known; they stay out of lists.
pub(crate) fn add(root: Command) -> Command {
    rows().fold(root, |root, row| {
        let mut path: Vec<&str> = row.command.split(' ').collect();
        match row.arg() {
            Some(arg) => change(root, &path, |command| command.arg(arg)),
            None => {
                let name = path.pop().unwrap_or_default();
                let about = format!("Not supported yet: {}", row.reason);
                let command = Command::new(name).about(about).hide(true);
                change(root, &path, |above| above.subcommand(command))
            }
        }
    })
}

/// Lists at the end of each help which commands and options are refused.
pub(crate) fn describe(root: Command) -> Command {
    let mut sections: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
    for row in rows() {
        let mut path: Vec<&str> = row.command.split(' ').collect();
        let name = match row.long {
            Some(long) => format!("--{long}"),
            None => path.pop().unwrap_or_default().to_owned(),
        };
        match sections.iter_mut().find(|(of, _)| *of == path) {
            Some((_, names)) => names.push(name),
            None => sections.push((path, vec![name])),
        }
    }
    sections.into_iter().fold(root, |root, (path, mut names)| {
        names.sort_unstable();
        change(root, &path, |command| {
            let before = command.get_after_help().map(|text| format!("{text}\n\n")).unwrap_or_default();
            command.after_help(format!("{before}Not supported yet, refused by name: {}", names.join(", ")))
        })
    })
}

/// Shows what is hidden.
pub(crate) fn unhide(command: Command) -> Command {
    let command = command.mut_args(|arg| if arg.is_positional() { arg } else { arg.hide(false) });
    command.mut_subcommands(|command| unhide(command.hide(false)))
}

/// Changes the command at `path`. A path that does not exist changes nothing.
fn change(command: Command, path: &[&str], how: impl FnOnce(Command) -> Command) -> Command {
    let Some((first, rest)) = path.split_first() else { return how(command) };
    if command.find_subcommand(first).is_none() {
        return command;
    }
    command.mut_subcommand(first, |below| change(below, rest, how))
}

/// Command lines with each command and option that is refused, and the name that the refusal tells.
#[cfg(test)]
pub(super) fn lines() -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for row in rows() {
        let Some(long) = row.long else {
            lines.push((row.command.to_owned(), row.command.to_owned()));
            continue;
        };
        let name = format!("--{long}");
        lines.push((format!("{} {name}=x", row.command), name.clone()));
        lines.extend(row.short.map(|short| (format!("{} -{short} x", row.command), name)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::Arguments;

    fn find<'a>(root: &'a Command, path: &str) -> Option<&'a Command> {
        path.split(' ').try_fold(root, |command, name| command.find_subcommand(name))
    }

    #[test]
    fn nothing_is_refused_that_is_there() {
        let (own, all) = (Arguments::command(), add(Arguments::command()));
        for row in rows() {
            let known = find(&all, row.command).unwrap_or_else(|| panic!("no command {}", row.command));
            let Some(long) = row.long else {
                assert!(find(&own, row.command).is_none(), "{} is there", row.command);
                continue;
            };
            let own = find(&own, row.command).unwrap_or_else(|| panic!("no command {}", row.command));
            for arg in own.get_arguments() {
                assert_ne!(arg.get_long(), Some(long), "{}", row.command);
                assert!(row.short.is_none() || arg.get_short() != row.short, "{} {long}", row.command);
            }
            assert_eq!(
                known.get_arguments().filter(|arg| arg.get_long() == Some(long)).count(),
                1,
                "{} {long} is there twice",
                row.command
            );
        }
    }

    #[test]
    fn the_whole_definition_is_sound() {
        add(Arguments::command()).debug_assert();
        unhide(describe(add(Arguments::command()))).debug_assert();
    }

    #[test]
    fn help_lists_them() {
        let mut root = describe(add(Arguments::command()));
        let help = root.render_help().to_string();
        assert!(help.contains("refused by name: create-usb, export, find-remotes, gpg-sign, sign"), "{help}");
        assert!(!help.contains("  static-delta "), "{help}");
        let commit = root.find_subcommand_mut("commit").unwrap().render_help().to_string();
        assert!(commit.contains("--gpg-sign") && commit.contains("Example"), "{commit}");
    }
}
