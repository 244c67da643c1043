// SPDX-License-Identifier: MIT OR Apache-2.0
//! Somebody at the console of a guest: waits for words, then types something. For menus of boot loaders.
//!
//! The console comes from QEMU's log of it. The line on which is typed brings it too, and has to be emptied: else the guest
//! stops at some hundred characters, when no more of them fit.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::console::{printable, read_lossy};
use crate::qemu::option;

/// Keys that are typed, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Words that the console shows, behind those of the answer before.
    pub(crate) to: &'static str,
    /// The keys that are typed then.
    pub(crate) keys: &'static str,
}

/// One who has answers to give.
pub(crate) struct Typist {
    socket: PathBuf,
    /// Open until the end: what the guest has not taken yet would be lost with it.
    line: Option<UnixStream>,
    left: Vec<Answer>,
    /// Up to where the console was read.
    read: usize,
    failure: Option<std::io::Error>,
}

impl Typist {
    /// With these answers, one after the other.
    pub(crate) fn new(directory: &Path, answers: &[Answer]) -> Self {
        let left = answers.iter().rev().copied().collect();
        Self { socket: directory.join("console"), line: None, left, read: 0, failure: None }
    }

    /// The character device of QEMU, all of whose output goes into the file `log`.
    pub(crate) fn chardev(&self, id: &str, log: &Path) -> OsString {
        if self.left.is_empty() {
            return option(&format!("file,id={id},path="), log);
        }
        let mut device = option(&format!("socket,id={id},server=on,wait=off,path="), &self.socket);
        device.push(option(",logfile=", log));
        device
    }

    /// Looks at the console, and answers if it is time.
    pub(crate) fn watch(&mut self, console: &Path) {
        self.failure = self.empty_line().err().or(self.failure.take());
        let Some(answer) = self.left.last().copied() else { return };
        let text = printable(&read_lossy(console));
        let Some(end) = answered_at(&text, self.read, answer.to) else { return };
        self.read = end;
        self.left.pop();
        self.failure = self.type_keys(answer.keys).err().or(self.failure.take());
    }

    fn type_keys(&mut self, keys: &str) -> std::io::Result<()> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => UnixStream::connect(&self.socket)?,
        };
        line.write_all(keys.as_bytes())?;
        self.line = Some(line);
        Ok(())
    }

    /// Takes what has come by the line, and forgets it.
    fn empty_line(&self) -> std::io::Result<()> {
        let Some(mut line) = self.line.as_ref() else { return Ok(()) };
        line.set_nonblocking(true)?;
        let mut bytes = [0; 4096];
        let end = loop {
            match line.read(&mut bytes) {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::ConnectionReset].contains(&error.kind()) => {
                    break Ok(());
                }
                Err(error) => break Err(error),
            }
        };
        line.set_nonblocking(false)?;
        end
    }

    /// Everything was asked and typed.
    pub(crate) fn end(self) -> Result<()> {
        if let Some(error) = self.failure {
            bail!("Typing at the console: {error}");
        }
        match self.left.last() {
            Some(answer) => bail!("the console has not shown {:?}", answer.to),
            None => Ok(()),
        }
    }
}

/// Where words end that are looked for from a place on.
fn answered_at(text: &str, from: usize, words: &str) -> Option<usize> {
    let at = text.get(from..)?.find(words)?;
    Some(from + at + words.len())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn each_answer_waits_for_its_own_words() {
        assert_eq!(answered_at("one two one", 0, "one"), Some(3));
        assert_eq!(answered_at("one two one", 3, "one"), Some(11));
        assert_eq!(answered_at("one two one", 11, "one"), None);
        assert_eq!(answered_at("one", 7, "one"), None);
    }

    #[test]
    fn what_was_not_asked_is_told() {
        let answers = [Answer { to: "first", keys: "a" }, Answer { to: "second", keys: "b" }];
        let text = Typist::new(Path::new("/nowhere"), &answers).end().unwrap_err().to_string();
        assert!(text.contains("first"), "{text}");
        assert!(Typist::new(Path::new("/nowhere"), &[]).end().is_ok());
    }

    #[test]
    fn what_the_console_says_does_not_fill_the_line() {
        let place = tempfile::tempdir().unwrap();
        let console = place.path().join("console.txt");
        std::fs::write(&console, "boot:").unwrap();
        let guest = UnixListener::bind(place.path().join("console")).unwrap();
        let mut typist = Typist::new(place.path(), &[Answer { to: "boot:", keys: "x\n" }]);
        typist.watch(&console);
        let (mut guest, _) = guest.accept().unwrap();
        guest.set_nonblocking(true).unwrap();
        for _ in 0..10_000 {
            guest.write_all(b"a").unwrap();
            typist.watch(&console);
        }
        let mut typed = [0; 2];
        guest.read_exact(&mut typed).unwrap();
        assert_eq!(&typed, b"x\n");
        // One that has hung up is no failure.
        drop(guest);
        typist.watch(&console);
        assert!(typist.end().is_ok());
    }

    #[test]
    fn nobody_to_type_to_is_a_failure() {
        let place = tempfile::tempdir().unwrap();
        let console = place.path().join("console.txt");
        std::fs::write(&console, "boot:").unwrap();
        let mut typist = Typist::new(place.path(), &[Answer { to: "boot:", keys: "x\n" }]);
        typist.watch(&console);
        assert!(typist.end().is_err());
    }
}
