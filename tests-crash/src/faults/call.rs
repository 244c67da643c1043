// SPDX-License-Identifier: MIT OR Apache-2.0
//! A system call as `strace -f -y` tells it, and what can go wrong with it.

use std::collections::HashMap;
use std::path::Path;

/// The failure that a system call is made to have instead of doing its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// It fails with this error.
    Error(&'static str),
    /// The process is killed when it makes the call.
    Kill,
}

impl Failure {
    /// As `strace --inject` wants it.
    pub(crate) fn expression(self) -> String {
        match self {
            Self::Error(name) => format!("error={name}"),
            Self::Kill => "signal=KILL".to_owned(),
        }
    }
}

/// A system call of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The process or thread, counted from the first one.
    pub thread: usize,
    /// Its name.
    pub name: String,
    /// Of the calls with this name, the how manieth of its thread: what `--inject` counts, from 1.
    pub number: usize,
    /// The path that `strace -P` compares: the name as the program gave it, else the path of the descriptor.
    pub given: String,
    /// Of the calls with this name about [`given`](Self::given), the how manieth of its thread, from 1.
    pub number_there: usize,
    /// The path it is about, as far as that is known; without the name if the call is about a descriptor.
    pub place: String,
    /// All of it.
    pub text: String,
}

/// Reads what `strace -f -y` wrote: `PID CALL`. Signals, ends and second halves of calls are left out.
pub fn parse(text: &str) -> Vec<Call> {
    let mut threads: Vec<&str> = Vec::new();
    let mut numbers: HashMap<(usize, String), usize> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.trim_start().split_once(' ') else { continue };
        let rest = rest.trim_start().trim_end_matches(" <unfinished ...>");
        let Some((name, arguments)) = rest.split_once('(') else { continue };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            continue;
        }
        let index = threads.iter().position(|known| *known == thread).unwrap_or_else(|| {
            threads.push(thread);
            threads.len() - 1
        });
        let mut count = |key: String| {
            let number = numbers.entry((index, key)).or_default();
            *number += 1;
            *number
        };
        let (given, place) = place(name, arguments);
        calls.push(Call {
            thread: index,
            name: name.to_owned(),
            number: count(name.to_owned()),
            number_there: count(format!("{name} {given}")),
            given,
            place,
            text: rest.to_owned(),
        });
    }
    calls
}

/// A call's path as it is given, and with that of its descriptor before it; the new one where there are two.
fn place(name: &str, arguments: &str) -> (String, String) {
    let before = match name {
        "linkat" | "renameat" | "renameat2" => 2,
        "link" | "rename" | "symlink" | "symlinkat" => 1,
        _ => 0,
    };
    let mut arguments = arguments.splitn(before + 1, ", ").last().unwrap_or_default().split(", ");
    let quoted = |text: &str| text.strip_prefix('"')?.split('"').next().map(str::to_owned);
    let first = arguments.next().unwrap_or_default();
    if let Some(path) = quoted(first) {
        return (path.clone(), path);
    }
    let of_descriptor = first.split_once('<').and_then(|(_, rest)| rest.rsplit_once('>'));
    let directory = of_descriptor.map(|(path, _)| path.to_owned()).unwrap_or_default();
    // These quote the bytes that are read and written.
    let has_name = !matches!(name, "read" | "write" | "pread64" | "pwrite64");
    match arguments.next().and_then(quoted).filter(|name| has_name && !name.is_empty()) {
        Some(name) if name.starts_with('/') => (name.clone(), name),
        Some(name) => (name.clone(), format!("{directory}/{name}")),
        None => (directory.clone(), directory),
    }
}

/// Paths that are not of the system under test: the kernel's, and the programs with what they load at their start.
const NOT_THE_DISK: [&str; 16] = [
    "/proc",
    "/sys",
    "/dev",
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/run/kit/ostree",
    "/run/kit/ostree-with-faults",
    "/run/kit/ostree-boot-complete",
    "/run/kit/ostree-boot-good",
    "/run/kit/systemctl",
    "/run/out",
];

impl Call {
    /// Whether this is about a file of the system, of `/run`, or of the repository that is pulled from.
    fn is_on_disk(&self) -> bool {
        let place = Path::new(&self.place);
        place.is_absolute() && !NOT_THE_DISK.iter().any(|other| place.starts_with(other))
    }

    fn has(&self, flag: &str) -> bool {
        self.text.contains(flag)
    }

    /// Lists the failures that the kernel could really give here, a kill last; none for a call that is not about files.
    ///
    /// Left out are memory (`mmap`, `brk`), processes and signals (`clone`, `execve`, `wait4`, `rt_sig…`, `exit`), time, random
    /// numbers, and what does not fail for an open file (`close`, `lseek`, `fadvise64`, `dup`). Being killed is tried at calls
    /// that change something: what is there between two of them is the same at each call.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        use Failure::{Error, Kill};
        let (reading, writing) = (vec![Error("EIO")], [Error("EIO"), Error("EROFS")]);
        if matches!(self.name.as_str(), "mount" | "umount2" | "unshare" | "open_tree" | "mount_setattr") {
            return vec![Error("EPERM"), Kill];
        }
        if !self.is_on_disk() {
            return Vec::new();
        }
        let and = |more: &[&'static str]| {
            let more = more.iter().map(|name| Error(name));
            writing.into_iter().chain(more).chain([Kill]).collect()
        };
        match self.name.as_str() {
            "open" | "openat" | "openat2" | "creat" => {
                let names: &[&str] = if self.has("O_CREAT") || self.has("O_TMPFILE") {
                    &["EMFILE", "EACCES", "ENOSPC"]
                } else if self.has("O_WRONLY") || self.has("O_RDWR") {
                    &["EMFILE", "EACCES"]
                } else {
                    return vec![Error("EIO"), Error("EMFILE"), Error("EACCES")];
                };
                and(names)
            }
            "mkdir" | "mkdirat" | "symlink" | "symlinkat" | "rename" | "renameat" | "renameat2" => {
                and(&["ENOSPC", "EACCES"])
            }
            "link" | "linkat" => and(&["ENOSPC", "EMLINK"]),
            "unlink" | "unlinkat" | "rmdir" => and(&["EACCES"]),
            "write" | "writev" | "pwrite64" | "pwritev" | "copy_file_range" | "fallocate" | "ftruncate" => {
                vec![Error("EIO"), Error("ENOSPC"), Kill]
            }
            "fsync" | "fdatasync" | "syncfs" | "ioctl" => vec![Error("EIO"), Kill],
            "fchmod" | "fchmodat" | "fchmodat2" | "fchown" | "fchownat" | "utimensat" => and(&[]),
            "setxattr" | "lsetxattr" | "fsetxattr" | "removexattr" | "fremovexattr" => and(&["ENOSPC"]),
            "flock" => vec![Error("ENOLCK")],
            "fcntl" if self.has("_SETLK") => vec![Error("ENOLCK")],
            "read" | "readv" | "pread64" | "preadv" | "getdents64" | "readlink" | "readlinkat" | "stat"
            | "lstat" | "fstat" | "newfstatat" | "statx" | "access" | "faccessat" | "faccessat2"
            | "getxattr" | "lgetxattr" | "fgetxattr" | "listxattr" | "llistxattr" | "flistxattr"
            | "statfs" | "fstatfs" | "chdir" | "fchdir" => reading,
            _ => Vec::new(),
        }
    }

    /// Returns the part that turns of a loop have in common: the call with its flags and paths, less numbers, checksums and random names.
    pub(crate) fn shape(&self) -> String {
        let flags = self.text.split(|c: char| !c.is_ascii_uppercase() && c != '_' && !c.is_ascii_digit());
        let flags: Vec<&str> = flags.filter(|word| word.contains('_')).collect();
        format!("{} {} {}", self.name, flags.join(" "), plain(&self.place))
    }
}

/// A path with `#` for what differs from turn to turn.
fn plain(path: &str) -> String {
    let component = |name: &str| {
        let letters = name.bytes().filter(u8::is_ascii_hexdigit).count();
        if letters >= 32 || name.len() == 2 && letters == 2 {
            return "#".to_owned();
        }
        // A number is one sign, however long it is.
        let parts = name.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty());
        let mut parts: Vec<&str> = parts.collect();
        if name.ends_with(|c: char| c.is_ascii_digit()) {
            parts.push("");
        }
        parts.join("#")
    };
    path.split('/').map(component).collect::<Vec<String>>().join("/")
}

/// Which calls are tried: of those with the same shape the first, the middle and the last. Gives their indices, in order.
pub fn choose(calls: &[Call]) -> Vec<usize> {
    let mut shapes: HashMap<(usize, String), Vec<usize>> = HashMap::new();
    for (index, call) in calls.iter().enumerate().filter(|(_, call)| !call.failures().is_empty()) {
        shapes.entry((call.thread, call.shape())).or_default().push(index);
    }
    let mut chosen: Vec<usize> = shapes
        .into_values()
        .flat_map(|turns| {
            let of = |position: usize| turns.get(position).copied();
            [of(0), of(turns.len() / 2), of(turns.len().saturating_sub(1))]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
        })
        .collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "7 openat(AT_FDCWD</>, \"/sysroot\", O_RDONLY|O_CLOEXEC) = 3</sysroot>\n\
        7 openat(3</sysroot>, \"ostree/repo\", O_RDONLY) = 4</sysroot/ostree/repo>\n\
        8 read(4</sysroot/vmlinuz> <unfinished ...>\n\
        7 mkdirat(3</sysroot>, \"a1\", 0755) = 0\n\
        8 <... read resumed>, \"\", 1) = 0\n\
        7 mkdirat(3</sysroot>, \"a2\", 0755) = 0\n\
        7 mkdirat(3</sysroot>, \"a3\", 0755) = -1 EEXIST (File exists)\n\
        7 mkdirat(3</sysroot>, \"a4\", 0755) = 0\n\
        7 linkat(AT_FDCWD</>, \"/proc/self/fd/5\", 3</sysroot>, \"new\", AT_SYMLINK_FOLLOW) = 0\n\
        7 write(1<pipe:[3]>, \"x\", 1) = 1\n\
        7 +++ exited with 0 +++\n";

    #[test]
    fn calls_are_counted_by_thread() {
        let calls = parse(TRACE);
        let told: Vec<_> =
            calls.iter().map(|c| (c.thread, c.name.as_str(), c.number, c.place.as_str())).collect();
        assert_eq!(
            told,
            [
                (0, "openat", 1, "/sysroot"),
                (0, "openat", 2, "/sysroot/ostree/repo"),
                (1, "read", 1, "/sysroot/vmlinuz"),
                (0, "mkdirat", 1, "/sysroot/a1"),
                (0, "mkdirat", 2, "/sysroot/a2"),
                (0, "mkdirat", 3, "/sysroot/a3"),
                (0, "mkdirat", 4, "/sysroot/a4"),
                (0, "linkat", 1, "/sysroot/new"),
                (0, "write", 1, "pipe:[3]"),
            ]
        );
    }

    #[test]
    fn of_a_loop_three_turns_are_chosen() {
        assert_eq!(choose(&parse(TRACE)), [0, 1, 2, 3, 5, 6, 7]);
    }

    #[test]
    fn what_allocates_finds_the_disk_full() {
        let full = |line: &str| {
            parse(&format!("1 {line}\n"))
                .first()
                .is_some_and(|c| c.failures().contains(&Failure::Error("ENOSPC")))
        };
        assert!(full("openat(3</sysroot>, \"new\", O_WRONLY|O_CREAT|O_EXCL, 0644) = 4"));
        assert!(full("linkat(3</sysroot>, \"a\", 4</sysroot/b>, \"c\", 0) = 0"));
        assert!(!full("openat(3</sysroot>, \"old\", O_RDONLY) = 4"));
        assert!(!full("unlinkat(3</sysroot>, \"old\", 0) = 0"));
        assert!(!full("mkdirat(3</proc>, \"new\", 0755) = 0"));
    }
}
