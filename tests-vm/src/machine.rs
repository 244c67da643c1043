// SPDX-License-Identifier: MIT OR Apache-2.0
//! The QEMU driver: one guest, booted from a kernel and an initramfs, watched until it ends or runs out of time.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fn_error_context::context;

use crate::budget::Tier;
use crate::command::last_lines;
use crate::firmware::Firmware;
use crate::guest::Credential;
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
    /// What it starts.
    pub(crate) start: Start,
    /// Raw disk images with their serials, seen as `/dev/vda` and on.
    pub(crate) disks: Vec<(PathBuf, &'static str)>,
    /// System credentials.
    pub(crate) credentials: Vec<Credential>,
}

/// What a guest starts.
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
        /// What starts that.
        firmware: Firmware,
        /// What is typed at the console.
        answers: Vec<Answer>,
    },
}

/// What becomes of a guest's writes to its disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    Kept,
    Dropped,
}

/// How a boot went.
#[derive(Debug)]
pub(crate) struct Boot {
    /// What the guest's script sent.
    pub(crate) report: Report,
    /// What the console showed, without escapes.
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
fn joined(archives: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::new();
    for archive in archives {
        all.resize(usize::next_multiple_of(all.len(), 4), 0);
        all.extend_from_slice(archive);
    }
    all
}

/// An option of QEMU that ends in a file name, in which a comma is written twice.
pub(crate) fn option(prefix: &str, file: &Path) -> OsString {
    let mut option = OsString::from(prefix);
    option.push(file.to_string_lossy().replace(',', ",,"));
    option
}

pub(crate) fn read_lossy(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned()
}

/// A console's text without escape sequences and other control characters.
pub(crate) fn printable(console: &str) -> String {
    let mut text = String::new();
    let mut characters = console.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            if characters.next_if_eq(&'[').is_some() {
                while characters.next().is_some_and(|next| !('@'..='~').contains(&next)) {}
            } else {
                characters.next();
            }
        } else if character == '\n' || !character.is_control() {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_taken_out_of_a_console() {
        assert_eq!(printable("\u{1b}[0;32mOK\u{1b}[0m \u{1b}(Bdone\r\n\u{1b}"), "OK Bdone\n");
        assert_eq!(printable("\u{1b}["), "");
    }

    #[test]
    fn archives_are_aligned() {
        assert_eq!(joined(&[vec![1; 5], vec![2; 3]]), [1, 1, 1, 1, 1, 0, 0, 0, 2, 2, 2]);
    }

    #[test]
    fn commas_in_file_names_are_doubled() {
        assert_eq!(option("path=", Path::new("/a,b")), "path=/a,,b");
    }

    #[test]
    fn a_child_out_of_time_is_ended() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let mut calls = 0;
        assert!(wait(child, Duration::from_millis(1), || calls += 1).unwrap().is_none());
        assert!(calls > 0);
    }
}
