// SPDX-License-Identifier: MIT OR Apache-2.0
//! A system in which commands are run: after a reboot that did not take place, for the boot id is another one and the
//! machine believes that it was started a moment ago.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::kit::Kit;
use crate::menu::{Menu, MenuEntry};

/// The script that puts a session together.
const SCRIPT: &str = include_str!("../host/session.sh");
/// How a session says that a command has ended. No program of ours or theirs prints it.
const ENDED: &str = "\u{1}ended ";

/// A command that has ended.
#[derive(Debug, Clone)]
pub struct Done {
    /// Its exit status; more than 128 for a signal.
    pub status: i32,
    /// Its output, of both streams.
    pub said: String,
}

impl Done {
    /// Whether it was refused because the former switch is not known to be on the disk.
    pub fn asks_for_reboot(&self) -> bool {
        self.status != 0 && self.said.contains("eboot first")
    }
}

/// A shell in namespaces of its own; everything in it ends when this is dropped.
#[derive(Debug)]
pub struct Session {
    child: Child,
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Session {
    /// Starts one in the system whose physical root is mounted at `sysroot`. With `entry` the system was booted from that.
    /// `out` is a directory for its files, which it sees as `/run/out`.
    #[context("Starting a session in {}", sysroot.display())]
    pub fn start(kit: &Kit, sysroot: &Path, entry: Option<&MenuEntry>, out: &Path) -> Result<Self> {
        std::fs::create_dir_all(out)?;
        let arguments = entry.map(|entry| entry.arguments.as_str()).unwrap_or_default();
        std::fs::write(out.join("cmdline"), format!("{arguments}\n"))?;
        let uptime = std::fs::read_to_string("/proc/uptime")?;
        let seconds = uptime.split('.').next().unwrap_or("0");
        let mut child = Command::new("unshare")
            // An unmount outside counts here as well: each session begins with a copy of all mounts.
            .args(["--mount", "--propagation=slave", "--pid", "--fork", "--kill-child", "--time"])
            .arg(format!("--boottime=-{seconds}"))
            .args(["sh", "-c", SCRIPT, "session"])
            .arg(sysroot)
            .arg(entry.and_then(|entry| entry.deployment.as_deref()).unwrap_or_default())
            .args([kit.programs(), out, kit.peer_directory()])
            .env_remove("OSTREE_REPO")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("Running unshare")?;
        let commands = child.stdin.take();
        let replies = BufReader::new(child.stdout.take().context("No pipe")?);
        let mut this = Self { child, commands, replies };
        let first = this.run("true")?;
        ensure!(first.status == 0, "{}", first.said);
        Ok(this)
    }

    /// Starts one that was booted from the default of a menu.
    pub fn boot(kit: &Kit, sysroot: &Path, menu: &Menu, out: &Path) -> Result<Self> {
        let entry = menu.entries.first().context("There is nothing to boot")?;
        // A deployment of this second would count as one since the start, by the clocks.
        std::thread::sleep(Duration::from_millis(1100));
        Self::start(kit, sysroot, Some(entry), out)
    }

    /// Runs a line of shell, to its end.
    pub fn run(&mut self, line: &str) -> Result<Done> {
        let commands = self.commands.as_mut().context("The session has ended")?;
        // In a shell of its own, so that `exit` and a syntax error end that.
        let quoted = line.replace('\'', r"'\''");
        let request = format!("sh -c '{quoted}' </dev/null 2>&1; printf '\\n{ENDED}%s\\n' $?\n");
        commands
            .write_all(request.as_bytes())
            .and_then(|()| commands.flush())
            .context("Sending a command")?;
        let mut said = String::new();
        loop {
            let mut bytes = Vec::new();
            let read = self.replies.read_until(b'\n', &mut bytes).context("Reading what a command says")?;
            ensure!(read > 0, "the session ended: {said}");
            let text = String::from_utf8_lossy(&bytes);
            if let Some(status) = text.strip_prefix(ENDED) {
                let status = status.trim().parse().context("Reading an exit status")?;
                return Ok(Done { status, said: said.trim_end().to_owned() });
            }
            said.push_str(&text);
        }
    }

    /// Runs a line that must succeed, and gives what it printed.
    pub fn ok(&mut self, line: &str) -> Result<String> {
        let done = self.run(line)?;
        ensure!(done.status == 0, "{line}: exit status {}: {}", done.status, done.said);
        Ok(done.said)
    }

    /// The process of the namespaces' `unshare`, for whoever wants to kill what runs in them.
    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The end of its input is the end of the shell, and with it of all mounts.
        drop(self.commands.take());
        let _ = self.child.wait();
    }
}
