// SPDX-License-Identifier: MIT OR Apache-2.0
//! The QEMU driver: one guest, booted from a kernel and an initramfs, watched until it ends or runs out of time.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fn_error_context::context;

use crate::budget::Tier;
use crate::command::last_lines;
use crate::console::{printable, read_lossy};
use crate::firmware::Firmware;
use crate::guest::Credential;
use crate::qemu::option;
use crate::report::Report;
use crate::typist::{Answer, Typist};

/// Lines of the console that an error quotes.
const QUOTED_LINES: usize = 25;

/// How often a running guest is looked at.
const POLL: Duration = Duration::from_millis(50);

/// A guest to be. Its disks are changed by `boot_and_keep` and `boot_and_watch` alone: else what it writes is dropped when
/// it ends.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Scratch directory, kept with its logs when the boot fails.
    pub(crate) directory: PathBuf,
    /// The system that it starts.
    pub(crate) start: Start,
    /// Raw disk images with their serials, seen as `/dev/vda` and on.
    pub(crate) disks: Vec<(PathBuf, &'static str)>,
    /// System credentials.
    pub(crate) credentials: Vec<Credential>,
}

/// The ways in which a guest starts.
#[derive(Debug)]
pub(crate) enum Start {
    /// A kernel, without any boot loader.
    Kernel {
        /// The kernel image.
        kernel: PathBuf,
        /// Initial RAM disks, loaded behind one another.
        initrd: Vec<Vec<u8>>,
        /// The kernel command line.
        arguments: String,
    },
    /// The boot loader on the first disk.
    Loader {
        /// The firmware that starts it.
        firmware: Firmware,
        /// The answers that are typed at the console.
        answers: Vec<Answer>,
    },
}

/// The fate of a guest's writes to its disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    Kept,
    Dropped,
}

/// How a boot went.
#[derive(Debug)]
pub(crate) struct Boot {
    /// The report that the guest's script sent.
    pub(crate) report: Report,
    /// The text that the console showed, without escapes.
    pub(crate) console: String,
    /// From the start of QEMU to its end.
    pub(crate) duration: Duration,
}

impl Machine {
    /// Boots and waits for the end of the guest. A boot that runs out of time, or whose script did not reach its end,
    /// is an error that quotes the console and names the directory with the logs.
    pub(crate) fn boot(&self, tier: Tier, limit: Duration) -> Result<Boot> {
        self.completed(self.run(tier, limit, Writes::Dropped, |_| ())?)
    }

    /// As `boot_and_keep`; `watch` is called again and again with all that the guest's script sent so far.
    pub(crate) fn boot_and_watch(
        &self,
        tier: Tier,
        limit: Duration,
        watch: impl FnMut(&str),
    ) -> Result<Boot> {
        self.completed(self.run(tier, limit, Writes::Kept, watch)?)
    }

    /// As `boot`, but the disks are written to.
    pub(crate) fn boot_and_keep(&self, tier: Tier, limit: Duration) -> Result<Boot> {
        self.completed(self.run(tier, limit, Writes::Kept, |_| ())?)
    }

    fn completed(&self, boot: Boot) -> Result<Boot> {
        if !boot.report.complete {
            return Err(self.failure("the guest ended before its script did", &boot.console));
        }
        Ok(boot)
    }

    /// Boots a guest that is to end by itself without running its script.
    pub(crate) fn boot_in_vain(&self, tier: Tier, limit: Duration) -> Result<Boot> {
        let boot = self.run(tier, limit, Writes::Dropped, |_| ())?;
        if boot.report != Report::default() {
            return Err(self.failure("the guest was not to come so far", &boot.console));
        }
        Ok(boot)
    }

    fn run(&self, tier: Tier, limit: Duration, writes: Writes, mut watch: impl FnMut(&str)) -> Result<Boot> {
        let report_file = self.directory.join("report.txt");
        let console_file = self.directory.join("console.txt");
        for file in [&report_file, &console_file] {
            fs::write(file, "").with_context(|| format!("Creating {}", file.display()))?;
        }
        let mut typist = Typist::new(&self.directory, self.start.answers());
        let mut qemu = self.command(writes)?;
        qemu.arg("-chardev").arg(typist.chardev("console", &console_file));
        qemu.arg("-chardev").arg(option("file,id=report,path=", &report_file));
        qemu.args(["-serial", "chardev:console", "-device", "virtio-serial-pci"]);
        qemu.args(["-device", "virtserialport,chardev=report,name=report"]);
        let errors = fs::File::create(self.directory.join("qemu.txt")).context("Creating qemu.txt")?;
        qemu.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);

        tier.count();
        let start = Instant::now();
        let child = qemu.spawn().context("Running qemu-system-x86_64 (is it installed?)")?;
        let ended = wait(child, limit, || {
            typist.watch(&console_file);
            watch(&read_lossy(&report_file));
        })?;
        let duration = start.elapsed();
        let console = printable(&read_lossy(&console_file));
        typist.end().map_err(|error| self.failure(&format!("{error:#}"), &console))?;
        match ended {
            None => {
                Err(self.failure(&format!("the guest did not end within {} s", limit.as_secs()), &console))
            }
            Some(status) if !status.success() => {
                bail!("QEMU failed ({status}): {}", read_lossy(&self.directory.join("qemu.txt")).trim())
            }
            Some(_) => Ok(Boot { report: Report::parse(&read_lossy(&report_file)), console, duration }),
        }
    }

    fn failure(&self, what: &str, console: &str) -> anyhow::Error {
        let quote = last_lines(console, QUOTED_LINES);
        anyhow::anyhow!("{what}; logs in {}; the console's end:\n{quote}", self.directory.display())
    }

    /// Boots with the console on this terminal, until the guest ends or the user leaves.
    pub(crate) fn interact(&self) -> Result<()> {
        let mut qemu = self.command(Writes::Dropped)?;
        qemu.args(["-serial", "mon:stdio"]);
        let status = qemu.status().context("Running qemu-system-x86_64 (is it installed?)")?;
        if !status.success() {
            bail!("qemu-system-x86_64 failed ({status})");
        }
        Ok(())
    }

    #[context("Preparing the guest in {}", self.directory.display())]
    fn command(&self, writes: Writes) -> Result<Command> {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-machine", self.start.machine(), "-accel", "tcg,thread=multi", "-cpu", "max"]);
        qemu.args(["-smp", "1", "-m", "1024", "-nodefaults", "-no-reboot", "-display", "none"]);
        match &self.start {
            Start::Kernel { kernel, initrd, arguments } => {
                let file = self.directory.join("initrd");
                fs::write(&file, joined(initrd)).with_context(|| format!("Writing {}", file.display()))?;
                qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(&file).arg("-append").arg(arguments);
            }
            Start::Loader { firmware, .. } => firmware.options(&mut qemu, &self.directory)?,
        }
        let snapshot = if writes == Writes::Dropped { "on" } else { "off" };
        for (index, (image, serial)) in self.disks.iter().enumerate() {
            qemu.arg("-drive").arg(option(
                &format!("if=none,id=disk{index},format=raw,snapshot={snapshot},cache=unsafe,file="),
                image,
            ));
            qemu.arg("-device").arg(format!("virtio-blk-pci,drive=disk{index},serial={serial}"));
        }
        for (name, value) in &self.credentials {
            // Text after the file's name is the credential as the firmware tables carry it.
            let file = self.directory.join(format!("credential-{name}"));
            let text = format!("io.systemd.credential:{name}={value}");
            fs::write(&file, text).with_context(|| format!("Writing {}", file.display()))?;
            qemu.arg("-smbios").arg(option("type=11,path=", &file));
        }
        Ok(qemu)
    }
}

impl Start {
    /// Adds a word to the kernel command line that is given, if one is.
    pub(crate) fn add_argument(&mut self, argument: &str) {
        if let Self::Kernel { arguments, .. } = self {
            arguments.push(' ');
            arguments.push_str(argument);
        }
    }

    /// The machine of QEMU.
    fn machine(&self) -> &'static str {
        match self {
            Self::Kernel { .. } => "q35,sata=off,smbus=off,usb=off",
            Self::Loader { firmware, .. } => firmware.machine(),
        }
    }

    fn answers(&self) -> &[Answer] {
        match self {
            Self::Kernel { .. } => &[],
            Self::Loader { answers, .. } => answers,
        }
    }
}

/// Waits for the end of a child, or kills it when the time is over (`None`).
fn wait(mut child: Child, limit: Duration, mut watch: impl FnMut()) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        let ended = child.try_wait().context("Waiting for QEMU")?;
        watch();
        if ended.is_some() {
            return Ok(ended);
        }
        if start.elapsed() > limit {
            child.kill().context("Ending QEMU")?;
            child.wait().context("Waiting for QEMU")?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Archives one after another, each starting at a multiple of four bytes as the kernel wants it.
pub(crate) fn joined(archives: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::new();
    for archive in archives {
        all.resize(usize::next_multiple_of(all.len(), 4), 0);
        all.extend_from_slice(archive);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_aligned() {
        assert_eq!(joined(&[vec![1; 5], vec![2; 3]]), [1, 1, 1, 1, 1, 0, 0, 0, 2, 2, 2]);
    }

    #[test]
    fn a_child_out_of_time_is_ended() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let mut calls = 0;
        assert!(wait(child, Duration::from_millis(1), || calls += 1).unwrap().is_none());
        assert!(calls > 0);
    }
}
