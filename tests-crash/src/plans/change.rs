// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of file systems: the calls of a trace that make one, with the paths as programs see them.
//!
//! A temporary name is told as the name that it is renamed to, or linked as: a file is written under its own name, whatever
//! it was called until then. So is a file that has no name at first.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::syntax::{Call, path_of_descriptor, quoted};

/// How a path is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// A name is made.
    Make,
    /// A name goes.
    Remove,
    /// The contents or the properties of a file or a directory change.
    Modify,
    /// A mount, for more than the process.
    Mount,
    /// A file system is frozen, thawed, or its journal is written back.
    Settle,
    /// A program is started.
    Run,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The system call.
    pub call: String,
    /// The kind of change.
    pub effect: Effect,
    /// The path, from the root of the process.
    pub path: String,
    /// The program that makes it, if that was started by the traced one.
    pub program: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} ({})", self.effect, self.path, self.call)?;
        self.program.iter().try_for_each(|program| write!(f, " by {program}"))
    }
}

/// The calls that change something, and those that tell who does: the list for `strace -e trace=`.
pub const TRACED: &str = "open,openat,openat2,creat,write,writev,pwrite64,pwritev,pwritev2,copy_file_range,sendfile,splice,\
    truncate,ftruncate,fallocate,mkdir,mkdirat,mknod,mknodat,link,linkat,symlink,symlinkat,rename,renameat,renameat2,\
    unlink,unlinkat,rmdir,chmod,fchmod,fchmodat,?fchmodat2,chown,lchown,fchown,fchownat,utime,utimes,utimensat,futimesat,\
    setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr,mount,umount2,move_mount,mount_setattr,fsmount,\
    ioctl,mmap,fcntl,dup,dup2,dup3,unshare,setns,chdir,fchdir,execve,execveat,clone,clone3,fork,vfork,io_uring_setup";

/// The beginning of names that are only there until the real one is.
const TEMPORARY: &str = ".ostree-tmp-";

/// The name that each file of a merge of `/etc` has until it is whole.
const OF_A_MERGE: &str = ".#ostree-etc-merge";

/// The processes, as far as a trace tells.
#[derive(Debug, Default)]
struct Processes {
    /// The programs that were started, by thread.
    programs: HashMap<u32, String>,
    /// Threads with mounts of their own.
    private: HashSet<u32>,
    /// Working directories.
    directories: HashMap<u32, String>,
    /// Paths of descriptors, for names in `/proc/self/fd`.
    descriptors: HashMap<String, String>,
    first: Option<u32>,
}

/// Finds the changes in a trace whose first program began in the directory `cwd`.
pub fn changes(calls: &[Call], cwd: &str) -> Vec<Change> {
    let mut processes = Processes::default();
    let mut names = Names::default();
    let mut found: Vec<(Change, usize)> = Vec::new();
    for call in calls.iter().filter(|call| !call.has_failed()) {
        if processes.first.is_none() {
            processes.first = Some(call.thread);
            processes.directories.insert(call.thread, cwd.to_owned());
        }
        processes.follow(call);
        let made = effects(call, &mut processes, &mut names);
        let program = processes.programs.get(&call.thread).cloned();
        for (effect, path) in made {
            let change = Change { call: call.name.clone(), effect, path, program: program.clone() };
            found.push((change, names.now()));
        }
    }
    let settle = |(change, time): (Change, usize)| Change { path: names.last(&change.path, time), ..change };
    found.into_iter().map(settle).filter(|change| is_file(&change.path)).collect()
}

impl Processes {
    fn follow(&mut self, call: &Call) {
        if let (Some((number, _)), Some(path)) =
            (call.result.split_once('<'), path_of_descriptor(&call.result))
        {
            self.descriptors.insert(number.to_owned(), path);
        }
        match call.name.as_str() {
            "clone" | "clone3" | "fork" | "vfork" => {
                let Ok(child) = call.result.split(' ').next().unwrap_or_default().parse::<u32>() else {
                    return;
                };
                if let Some(program) = self.programs.get(&call.thread).cloned() {
                    self.programs.insert(child, program);
                }
                if self.private.contains(&call.thread) {
                    self.private.insert(child);
                }
                if let Some(directory) = self.directories.get(&call.thread).cloned() {
                    self.directories.insert(child, directory);
                }
            }
            "unshare" if call.has("CLONE_NEWNS") => {
                self.private.insert(call.thread);
            }
            "chdir" => {
                let to = quoted(call.argument(0)).unwrap_or_default();
                let to = self.absolute(call.thread, &to);
                self.directories.insert(call.thread, to);
            }
            "fchdir" => {
                let to = path_of_descriptor(call.argument(0)).unwrap_or_default();
                self.directories.insert(call.thread, to);
            }
            _ => {}
        }
    }

    fn absolute(&self, thread: u32, path: &str) -> String {
        if let Some(rest) = path.strip_prefix("/proc/self/fd/") {
            let (number, name) =
                rest.split_once('/').map_or((rest, None), |(number, name)| (number, Some(name)));
            let directory = self.descriptors.get(number).map_or(path, String::as_str);
            return name.map_or_else(|| directory.to_owned(), |name| format!("{directory}/{name}"));
        }
        if path.starts_with('/') {
            return path.to_owned();
        }
        // A thread begins before the call that made it has ended.
        let known = self.directories.get(&thread).or_else(|| self.directories.get(&self.first?));
        format!("{}/{path}", known.map_or("?", |directory| directory.trim_end_matches('/')))
    }
}

/// The history of names.
#[derive(Debug, Default)]
struct Names {
    /// A name, the one that it became, and when: counted in names.
    moved: Vec<(String, String)>,
}

impl Names {
    fn now(&self) -> usize {
        self.moved.len()
    }

    fn becomes(&mut self, from: &str, to: &str) {
        self.moved.push((from.to_owned(), to.to_owned()));
    }

    /// The last name of something that is called `path` before the move with the number `time`.
    fn last(&self, path: &str, time: usize) -> String {
        let mut path = path.to_owned();
        // A temporary name is used once: the moves of one that come after `time`, else the one before, tell what it was for.
        for _ in 0..DEPTH {
            let later = || self.moved.get(time..).unwrap_or_default().iter();
            let of = |part: &str| {
                later().chain(self.moved.iter().rev()).find(|(from, _)| from == part).map(|(_, to)| to)
            };
            let Some((part, to)) = temporary_parts(&path).find_map(|part| Some((part, of(part)?))) else {
                break;
            };
            path = format!("{to}{}", path.get(part.len()..).unwrap_or_default());
        }
        path
    }
}

/// How often a name changes, at most: a temporary one in a temporary one, and the same again.
const DEPTH: usize = 8;

/// The beginnings of a path that end in a temporary component, the longest first.
fn temporary_parts(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    let mut parts: Vec<&str> =
        ends.filter_map(|end| path.get(..end)).filter(|part| last_is_temporary(part)).collect();
    parts.reverse();
    parts.into_iter()
}

/// The changes that a call makes, with the paths as they are then.
fn effects(call: &Call, processes: &mut Processes, names: &mut Names) -> Vec<(Effect, String)> {
    use Effect::{Make, Modify, Mount, Remove, Run, Settle};
    let thread = call.thread;
    let plain = |index: usize| {
        let given = quoted(call.argument(index)).unwrap_or_default();
        processes.absolute(thread, &given)
    };
    let at = |index: usize| {
        let directory = path_of_descriptor(call.argument(index)).unwrap_or_default();
        match quoted(call.argument(index + 1)) {
            Some(name) if name.starts_with('/') => processes.absolute(thread, &name),
            Some(name) if !name.is_empty() && name != "." => {
                format!("{}/{name}", directory.trim_end_matches('/'))
            }
            _ => directory,
        }
    };
    let descriptor = |index: usize| path_of_descriptor(call.argument(index)).unwrap_or_default();
    let one = |effect: Effect, path: String| vec![(effect, path)];
    match call.name.as_str() {
        "open" | "openat" | "openat2" | "creat" => opened(call),
        "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" | "ftruncate" | "fallocate" | "fchmod"
        | "fchown" | "fsetxattr" | "fremovexattr" | "sendfile" => one(Modify, descriptor(0)),
        "copy_file_range" | "splice" => one(Modify, descriptor(2)),
        "truncate" | "chmod" | "chown" | "lchown" | "utime" | "utimes" | "setxattr" | "lsetxattr"
        | "removexattr" | "lremovexattr" => one(Modify, plain(0)),
        "fchmodat" | "fchmodat2" | "fchownat" | "utimensat" | "futimesat" => one(Modify, at(0)),
        "mkdir" | "mknod" => one(Make, plain(0)),
        "mkdirat" | "mknodat" => one(Make, at(0)),
        "symlink" => one(Make, plain(1)),
        "symlinkat" => one(Make, at(1)),
        "link" | "linkat" => {
            let (from, to) = if call.name == "link" { (plain(0), plain(1)) } else { (at(0), at(2)) };
            if last_is_temporary(&from) {
                names.becomes(&from, &to);
            }
            one(Make, to)
        }
        "rename" | "renameat" | "renameat2" => {
            let (from, to) = if call.name == "rename" { (plain(0), plain(1)) } else { (at(0), at(2)) };
            if last_is_temporary(&from) {
                names.becomes(&from, &to);
                return one(Make, to);
            }
            if last_is_temporary(&to) {
                // Out of the way.
                names.becomes(&to, &from);
                return one(Remove, from);
            }
            if call.has("RENAME_EXCHANGE") {
                return vec![(Modify, from), (Modify, to)];
            }
            vec![(Remove, from), (Make, to)]
        }
        "unlink" | "rmdir" => one(Remove, plain(0)),
        "unlinkat" => one(Remove, at(0)),
        // In a namespace of its own only the process sees a mount; the properties of a file system all see.
        "mount" | "umount2" | "move_mount" | "mount_setattr"
            if !processes.private.contains(&thread) || call.has("MS_REMOUNT") && !call.has("MS_BIND") =>
        {
            let path = if call.name == "mount" { plain(1) } else { plain(0) };
            one(Mount, path)
        }
        "ioctl" => {
            let request = call.argument(1);
            if ["FS_IOC_SETFLAGS", "FS_IOC_FSSETXATTR", "FICLONE", "FICLONERANGE", "FS_IOC_ENABLE_VERITY"]
                .iter()
                .any(|name| request.contains(name))
            {
                return one(Modify, descriptor(0));
            }
            let settles = ["FIFREEZE", "FITHAW", "EXT4_IOC_CHECKPOINT", "0x662b", "0x66, 0x2b", "XFS_IOC"];
            if settles.iter().any(|name| request.contains(name)) {
                return one(Settle, descriptor(0));
            }
            Vec::new()
        }
        "mmap" if call.has("MAP_SHARED") && call.has("PROT_WRITE") => one(Modify, descriptor(4)),
        "execve" | "execveat" => {
            let program = if call.name == "execve" { plain(0) } else { at(0) };
            if processes.first == Some(thread) {
                return Vec::new();
            }
            processes.programs.insert(thread, program.clone());
            one(Run, program)
        }
        "io_uring_setup" => one(Modify, "calls that cannot be traced".to_owned()),
        _ => Vec::new(),
    }
    .into_iter()
    .filter(|(_, path)| is_file(path))
    .collect()
}

/// The changes that opening a file makes.
fn opened(call: &Call) -> Vec<(Effect, String)> {
    let makes = call.has("O_CREAT") || call.has("O_TMPFILE") || call.name == "creat";
    let writes = call.has("O_WRONLY") || call.has("O_RDWR") || call.has("O_TRUNC");
    let effect = match (makes, writes) {
        (true, _) => Effect::Make,
        (_, true) => Effect::Modify,
        _ => return Vec::new(),
    };
    // The kernel has followed all links.
    path_of_descriptor(&call.result).map(|path| (effect, path)).into_iter().collect()
}

/// Whether the last component of a path is a name that does not stay, or stands for none.
fn last_is_temporary(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let number = name.strip_prefix('#');
    let is_nameless =
        number.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()));
    name.starts_with(TEMPORARY) || name == OF_A_MERGE || is_nameless
}

/// Whether a path is one of a file system, and not of a pipe, a socket, a device or the kernel's own files.
fn is_file(path: &str) -> bool {
    let path = std::path::Path::new(path);
    path.is_absolute() && !["/proc", "/sys", "/dev"].iter().any(|top| path.starts_with(top))
}

#[cfg(test)]
mod tests {
    use super::super::syntax::parse;
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let lines: String = text.lines().map(|line| format!("7  {}\n", line.trim())).collect();
        changes(&parse(&lines), "/w").iter().map(Change::to_string).collect()
    }

    #[test]
    fn a_file_without_a_name_is_told_by_the_one_that_it_gets() {
        let changes = told(
            r#"openat(11</r/refs>, ".", O_WRONLY|O_CLOEXEC|O_TMPFILE, 0644) = 12</r/refs/#446>(deleted)
            fchmod(12</r/refs/#446>(deleted), 0644) = 0
            write(12</r/refs/#446>(deleted), "a, \"b\"\n", 7) = 7
            linkat(12</r/refs/#446>(deleted), "", 11</r/refs>, ".ostree-tmp-0-1", AT_EMPTY_PATH) = 0
            renameat(11</r/refs>, ".ostree-tmp-0-1", 11</r/refs>, "x") = 0"#,
        );
        let calls = ["Make /r/refs/x (openat)", "Modify /r/refs/x (fchmod)", "Modify /r/refs/x (write)"];
        let names = ["Make /r/refs/x (linkat)", "Make /r/refs/x (renameat)"];
        assert_eq!(changes, [&calls[..], &names[..]].concat());
    }

    #[test]
    fn the_same_temporary_name_is_used_for_one_file_after_the_other() {
        let copy = |name: &str| {
            format!(
                r##"openat(3</e>, ".#ostree-etc-merge", O_WRONLY|O_CREAT, 0600) = 4</e/.#ostree-etc-merge>
                renameat(3</e>, ".#ostree-etc-merge", 3</e>, "{name}") = 0
                "##
            )
        };
        let expected =
            ["Make /e/a (openat)", "Make /e/a (renameat)", "Make /e/b (openat)", "Make /e/b (renameat)"];
        assert_eq!(told(&(copy("a") + &copy("b"))), expected);
    }

    #[test]
    fn a_directory_in_a_directory_that_is_being_made() {
        let changes = told(
            r#"mkdirat(3</r>, ".ostree-tmp-0-1", 0700) = 0
            mkdirat(4</r/.ostree-tmp-0-1>, ".ostree-tmp-0-2", 0755) = 0
            renameat(4</r/.ostree-tmp-0-1>, ".ostree-tmp-0-2", 4</r/.ostree-tmp-0-1>, "var") = 0
            renameat2(3</r>, ".ostree-tmp-0-1", 3</r>, "os", RENAME_NOREPLACE) = 0"#,
        );
        let expected =
            ["/r/os (mkdirat)", "/r/os/var (mkdirat)", "/r/os/var (renameat)", "/r/os (renameat2)"];
        assert_eq!(changes, expected.map(|text| format!("Make {text}")));
    }

    #[test]
    fn names_that_change_places() {
        let changes = told(
            r#"renameat2(5</b>, "loader.tmp", 5</b>, "loader", RENAME_EXCHANGE) = 0
            renameat2(5</b>, ".ostree-tmp-0-1", 5</b>, "ostree", RENAME_EXCHANGE) = 0
            unlinkat(5</b>, ".ostree-tmp-0-1", AT_REMOVEDIR) = 0
            rename("a", "/b/c") = 0"#,
        );
        let expected = [
            "Modify /b/loader.tmp (renameat2)",
            "Modify /b/loader (renameat2)",
            "Make /b/ostree (renameat2)",
            "Remove /b/ostree (unlinkat)",
            "Remove /w/a (rename)",
            "Make /b/c (rename)",
        ];
        assert_eq!(changes, expected);
    }

    #[test]
    fn properties_and_file_systems() {
        let changes = told(
            r#"ioctl(9</d>, FS_IOC_GETFLAGS, [FS_EXTENT_FL]) = 0
            ioctl(9</d>, FS_IOC_SETFLAGS, [FS_IMMUTABLE_FL|FS_EXTENT_FL]) = 0
            ioctl(7</boot>, _IOC(_IOC_WRITE, 0x66, 0x2b, 0x4), 0x7ffd34ff9518) = 0
            ioctl(12</d/f>, BTRFS_IOC_CLONE or FICLONE, 11) = -1 EXDEV (Invalid cross-device link)
            utimensat(4</d>, ".", [UTIME_NOW, UTIME_NOW], 0) = 0
            utimensat(4</d>, NULL, [{tv_sec=0, tv_nsec=0}, {tv_sec=0, tv_nsec=0}], 0) = 0
            fsetxattr(4</d/f>, "user.x", "\0", 1, 0) = 0
            write(2<pipe:[3]>, "x", 1) = 1
            openat(AT_FDCWD</>, "/dev/null", O_RDWR) = 3</dev/null>
            openat(AT_FDCWD</>, "/x", O_RDONLY|O_CLOEXEC) = 3</x>"#,
        );
        let expected = [
            "Modify /d (ioctl)",
            "Settle /boot (ioctl)",
            "Modify /d (utimensat)",
            "Modify /d (utimensat)",
            "Modify /d/f (fsetxattr)",
        ];
        assert_eq!(changes, expected);
    }

    #[test]
    fn mounts_count_where_others_see_them() {
        let of_others = told(r#"mount("", "/sysroot", NULL, MS_REMOUNT, "") = 0"#);
        assert_eq!(of_others, ["Mount /sysroot (mount)"]);
        let own = told(
            r#"unshare(CLONE_NEWNS) = 0
            mount("", "/sysroot", NULL, MS_REMOUNT|MS_BIND, "") = 0
            mount("", "/sysroot", NULL, MS_REMOUNT, "") = 0"#,
        );
        // The last one is of the file system, whoever has it mounted.
        assert_eq!(own, ["Mount /sysroot (mount)"]);
    }

    #[test]
    fn changes_of_programs() {
        let text = "7 execve(\"/run/kit/ostree\", [\"ostree\"], 0x7ff /* 9 vars */) = 0\n\
                    7 vfork( <unfinished ...>\n\
                    8 execve(\"/usr/bin/tool\", [\"tool\", \"-o\"], 0x7ff /* 9 vars */ <unfinished ...>\n\
                    7 <... vfork resumed>) = 8\n\
                    8 <... execve resumed>) = 0\n\
                    8 mkdir(\"/x\", 0755) = 0\n\
                    8 +++ exited with 0 +++\n\
                    7 mkdir(\"/y\", 0755) = 0\n";
        let changes: Vec<String> = changes(&parse(text), "/").iter().map(Change::to_string).collect();
        let expected = [
            "Run /usr/bin/tool (execve) by /usr/bin/tool",
            "Make /x (mkdir) by /usr/bin/tool",
            "Make /y (mkdir)",
        ];
        assert_eq!(changes, expected);
    }
}
