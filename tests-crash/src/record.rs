// SPDX-License-Identifier: MIT OR Apache-2.0
//! Recording every write, flush and discard of an operation, with no virtual machine: `qemu-storage-daemon` exports the
//! image through a `blklogwrites` filter as a file, loop devices make its partitions of that, and the real commands
//! work on them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::disk::{Attached, Layout};
use crate::image;
use crate::kit::Kit;
use crate::log::{Event, SECTOR, parse};
use crate::machine::Machine;
use crate::operation::Operation;
use crate::reference::Reference;
use crate::rules::{Problem, flagged};
use crate::session::Session;
use crate::trace::{self, Call};
use crate::workshop::Mount;

/// How often the time is written into the log.
const TICK: Duration = Duration::from_millis(3);
/// How long the daemon may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command that is recorded has failed by itself, with nothing to disturb it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// A recorded operation.
#[derive(Debug)]
pub struct Recording {
    /// The file systems.
    pub layout: Layout,
    /// The disk before the first event.
    pub base: PathBuf,
    /// The log with the data of the events.
    pub log: PathBuf,
    /// All that reached the disk.
    pub events: Vec<Event>,
    /// Before, and after each command.
    pub references: Vec<Reference>,
    /// The system calls of the commands.
    pub calls: Vec<Call>,
}

/// Runs an operation on a machine and records it; files go to `directory`.
#[context("Recording {}", operation.name)]
pub fn record(machine: &Machine, operation: &Operation, kit: &Kit, directory: &Path) -> Result<Recording> {
    let layout = machine.layout;
    let (disk, log) = (directory.join("disk.img"), directory.join("writes.log"));
    image::copy(&File::open(&machine.image)?, &File::create(&disk)?)?;
    let export = Export::start(layout, &disk, &log, directory)?;
    let attached = Attached::new(layout, &export.file)?;
    let mounted = attached.mount(&directory.join("root"))?;
    let mut references = vec![Reference::take("before", &mounted.root)?];
    let out = directory.join("out");
    let mut calls = Vec::new();
    {
        let mut session = match references.first() {
            Some(before) if operation.booted => Session::boot(kit, &mounted.root, &before.menu, &out)?,
            _ => Session::start(kit, &mounted.root, None, &out)?,
        };
        for (index, line) in operation.commands.iter().enumerate() {
            std::fs::write(out.join("command"), line)?;
            export.mark(&format!("begin {index}: {line}"))?;
            let done = session.run(&format!("{} sh /run/out/command", trace::prefix("/run/out/trace")))?;
            if done.status != 0 && !done.asks_for_reboot() {
                return Err(Refused(format!("{line}: {}", done.said)).into());
            }
            export.mark(&format!("end {index}"))?;
            calls.extend(trace::parse(&std::fs::read_to_string(out.join("trace"))?));
            references.push(Reference::take(line, &mounted.root)?);
        }
    }
    export.mark("unmounting")?;
    mounted.unmount()?;
    drop(attached);
    export.stop()?;
    std::fs::remove_file(&disk)?;
    let file = File::open(&log)?;
    let length = file.metadata()?.len();
    let events = parse(&file, length, layout.marker_sector(), layout.length() / SECTOR)?;
    Ok(Recording { layout, base: machine.image.clone(), log, events, references, calls })
}

impl Recording {
    /// Whether the file system that holds the running system was frozen, in which everything hangs that writes.
    pub(crate) fn freezes_the_root(&self, operation: &Operation) -> Option<Problem> {
        let freeze = self.calls.iter().find(|call| call.text.contains("FIFREEZE"))?;
        // With one file system it is known which one was frozen.
        (operation.booted && self.layout.boot.is_none())
            .then(|| flagged(format!("the running root was frozen: {}", freeze.text)))
    }
}

/// The running daemon.
#[derive(Debug)]
struct Export {
    daemon: Child,
    /// The image, through the filter.
    file: PathBuf,
    marker_sector: u64,
    /// Markers of one moment must not mix.
    writer: Arc<Mutex<File>>,
    ended: Arc<AtomicBool>,
    ticks: Option<JoinHandle<()>>,
}

impl Export {
    #[context("Exporting {} through a log of writes", disk.display())]
    fn start(layout: Layout, disk: &Path, log: &Path, directory: &Path) -> Result<Self> {
        let file = directory.join("export");
        File::create(log)?;
        File::create(&file)?;
        let node = |name: &str, path: &Path| {
            format!("driver=file,node-name={name},filename={},discard=unmap", path.display())
        };
        let filter =
            "driver=blklogwrites,node-name=logged,file=disk,log=log,log-sector-size=512,discard=unmap";
        let export =
            format!("type=fuse,id=export,node-name=logged,writable=on,mountpoint={}", file.display());
        let daemon = Command::new("qemu-storage-daemon")
            .args(["--blockdev", &node("disk", disk), "--blockdev", &node("log", log)])
            .args(["--blockdev", filter, "--export", &export])
            .stdin(Stdio::null())
            .spawn()
            .context("Running qemu-storage-daemon")?;
        let started = Instant::now();
        while file.metadata()?.len() != layout.length() {
            ensure!(started.elapsed() < PATIENCE, "qemu-storage-daemon does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        let writer = Arc::new(Mutex::new(OpenOptions::new().write(true).open(&file)?));
        let ended = Arc::new(AtomicBool::new(false));
        let marker_sector = layout.marker_sector();
        let mut this = Self { daemon, file, marker_sector, writer, ended, ticks: None };
        let (writer, ended) = (Arc::clone(&this.writer), Arc::clone(&this.ended));
        this.ticks = Some(std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let _ = write_marker(&writer, marker_sector, "tick");
                std::thread::sleep(TICK);
            }
        }));
        Ok(this)
    }

    /// Writes a note into the log.
    fn mark(&self, text: &str) -> Result<()> {
        write_marker(&self.writer, self.marker_sector, text).with_context(|| format!("Marking {text}"))
    }

    /// Ends the daemon, which completes the log.
    #[context("Ending qemu-storage-daemon")]
    fn stop(mut self) -> Result<()> {
        self.end();
        let started = Instant::now();
        while self.daemon.try_wait()?.is_none() {
            ensure!(started.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn end(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(ticks) = self.ticks.take() {
            let _ = ticks.join();
        }
        if let Some(process) = rustix::process::Pid::from_raw(self.daemon.id().cast_signed()) {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if !self.ended.load(Ordering::Relaxed) {
            self.end();
            drop(Mount::adopt(&self.file));
            let _ = self.daemon.kill();
            let _ = self.daemon.wait();
        }
    }
}

/// A marker is the time, and what happens then.
fn write_marker(file: &Mutex<File>, sector: u64, text: &str) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let mut bytes = format!("{now:.6} {text}").into_bytes();
    bytes.resize(SECTOR as usize, 0);
    let file = file.lock().map_err(|_| anyhow::anyhow!("another thread has failed"))?;
    Ok(file.write_all_at(&bytes, sector * SECTOR)?)
}
