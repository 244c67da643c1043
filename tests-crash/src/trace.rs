// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which system call is behind which write: what `strace` saw, and the recorder's ticks in the log, have one clock.

/// The system calls that change names, bring something to the disk, or switch something.
const CALLS: &str = "fsync,fdatasync,sync,syncfs,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,\
                     rmdir,mkdir,mkdirat,ioctl,fallocate,ftruncate,copy_file_range,execve,mount,umount2";

/// How long a command line prefix is that traces what follows into `file`.
pub(crate) fn prefix(file: &str) -> String {
    format!("strace -f -qq -ttt --seccomp-bpf -e signal=none -e trace={CALLS} -o {file}")
}

/// A system call and when it was made, in seconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// When it began.
    pub time: f64,
    /// As `strace` writes it.
    pub text: String,
}

/// Reads what `strace -f -ttt` wrote: `PID TIME CALL`. Lines of another form are left out.
pub fn parse(text: &str) -> Vec<Call> {
    let line = |line: &str| {
        let (_, rest) = line.trim_start().split_once(' ')?;
        let (time, call) = rest.trim_start().split_once(' ')?;
        let is_failure = call.contains(" = -1 ") || call.starts_with("ioctl(") && call.contains("TCGETS");
        (!is_failure).then_some(())?;
        Some(Call { time: time.parse().ok()?, text: call.to_owned() })
    };
    text.lines().filter_map(line).collect()
}

impl Call {
    /// Whether this is the switch of the link that boot loaders read, or of the links behind an entry.
    pub fn is_commit(&self) -> bool {
        // The last name is the new one.
        let name = self.text.split('"').skip(1).step_by(2).last().unwrap_or_default();
        let name = name.rsplit('/').next().unwrap_or_default();
        let makes = self.text.starts_with("rename") || self.text.starts_with("symlink");
        makes && ["loader", "boot.0", "boot.1"].contains(&name)
    }

    /// Whether this removes what a former set of entries consists of.
    pub fn is_sweep(&self) -> bool {
        let removes = self.text.starts_with("unlink") || self.text.starts_with("rmdir");
        removes
            && ["\"loader.", "\"boot.", "\"entries\"", "\"vmlinuz", "\"ostree-"]
                .iter()
                .any(|name| self.text.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_strace() {
        let text = "12  1700000000.000001 renameat2(5, \"loader.tmp\", 5, \"loader\", RENAME_EXCHANGE) = 0\n\
                    12  1700000000.100000 unlinkat(7, \"loader.tmp\", 0) = 0\n\
                    12  1700000000.200000 fsync(3) = -1 EIO (Input/output error)\n\
                    12  1700000000.300000 renameat(3, \"boot.1.tmp\", 3, \"boot.1\") = 0\n\
                    nonsense\n";
        let calls = parse(text);
        let marks: Vec<_> = calls.iter().map(|call| (call.is_commit(), call.is_sweep())).collect();
        assert_eq!(marks, [(true, false), (false, true), (true, false)]);
    }
}
