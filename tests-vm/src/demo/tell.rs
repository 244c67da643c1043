// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the story is told: a title a step, what is typed, what it says, how long it took.
//!
//! Into a pipe go whole lines only. On a terminal a line at the end counts the seconds while nothing is said.

use std::io::Write;
use std::time::Instant;

use anyhow::{Result, bail};

/// Writes the story.
pub(super) struct Teller<W> {
    out: W,
    is_terminal: bool,
    steps: usize,
    step: usize,
}

impl<W: Write> Teller<W> {
    pub(super) fn new(out: W, is_terminal: bool, steps: usize) -> Self {
        Self { out, is_terminal, steps, step: 0 }
    }

    /// Says what begins, does it, and says how long it took.
    pub(super) fn step<T>(&mut self, title: &str, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.step += 1;
        let (step, steps, start) = (self.step, self.steps, Instant::now());
        self.line(&format!("\n==> {step}/{steps} {title}"));
        let value = work(self)?;
        self.line(&format!("    ({:.1} s)", start.elapsed().as_secs_f64()));
        Ok(value)
    }

    /// A line of the story itself.
    pub(super) fn say(&mut self, text: &str) {
        self.line(&format!("    {text}"));
    }

    /// To show what commands say, which come as sections of a report.
    pub(super) fn report(&mut self) -> Telling<'_, W> {
        Telling {
            teller: self,
            start: Instant::now(),
            lines: 0,
            seconds: 0,
            command: String::new(),
            failed: None,
        }
    }

    /// A story that nobody reads any more goes on.
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{}", text.trim_end());
        let _ = self.out.flush();
    }
}

/// A report that is shown while it comes in.
pub(super) struct Telling<'a, W> {
    teller: &'a mut Teller<W>,
    start: Instant,
    /// How many lines were seen.
    lines: usize,
    /// The number on the counting line; 0 where there is none.
    seconds: u64,
    /// The one that runs, or ran last.
    command: String,
    /// The first that failed.
    failed: Option<String>,
}

impl<W: Write> Telling<'_, W> {
    /// Shows what is new in all that has come so far.
    pub(super) fn show(&mut self, text: &str) {
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        let new: Vec<&str> = whole.lines().skip(self.lines).collect();
        self.lines += new.len();
        for line in &new {
            self.add(line);
        }
        if new.is_empty() {
            self.count(self.start.elapsed().as_secs());
        }
    }

    /// Shows one more line; markers become prompts or nothing.
    pub(super) fn add(&mut self, line: &str) {
        let line = line.trim_end_matches('\r');
        // Output without a newline at its end stands before the marker.
        let (said, marker) = match line.split_once("@@ ") {
            Some((said, marker)) => (said, Some(marker)),
            None => (line, None),
        };
        self.clear();
        if marker.is_none() || !said.is_empty() {
            self.teller.line(&format!("      {said}"));
        }
        let Some(marker) = marker else { return };
        if let Some(command) = marker.strip_prefix("section ") {
            self.command = command.to_owned();
            self.teller.line(&format!("    $ {command}"));
        } else if marker.strip_prefix("status ").is_some_and(|status| status != "0") {
            self.failed.get_or_insert(self.command.clone());
        }
    }

    /// An error if a command has failed: then the story is not true.
    pub(super) fn end(mut self) -> Result<()> {
        self.clear();
        match self.failed {
            Some(command) => bail!("`{command}` failed, see above"),
            None => Ok(()),
        }
    }

    fn count(&mut self, seconds: u64) {
        if self.teller.is_terminal && seconds > self.seconds {
            self.seconds = seconds;
            let _ = write!(self.teller.out, "\r    {seconds} s ");
            let _ = self.teller.out.flush();
        }
    }

    /// Takes the counting line away.
    fn clear(&mut self) {
        if self.teller.is_terminal && self.seconds > 0 {
            let _ = write!(self.teller.out, "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(is_terminal: bool, tell: impl FnOnce(&mut Teller<&mut Vec<u8>>)) -> String {
        let mut out = Vec::new();
        tell(&mut Teller::new(&mut out, is_terminal, 2));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn markers_become_prompts_and_whole_lines_are_shown_once() {
        let text = told(false, |teller| {
            let mut report = teller.report();
            for text in
                ["", "@@ begin\n@@ section ls /\nbi", "@@ begin\n@@ section ls /\nbin\r\n@@ status 0\n"]
            {
                report.show(text);
            }
            report.end().unwrap();
        });
        assert_eq!(text, "    $ ls /\n      bin\n");
    }

    #[test]
    fn the_first_command_that_failed_is_named() {
        let text =
            "@@ section a\n@@ status 0\n@@ section b\nno newline@@ status 3\n@@ section c\n@@ status 1\n";
        let shown = told(false, |teller| {
            let mut report = teller.report();
            report.show(text);
            assert!(report.end().unwrap_err().to_string().contains("`b` failed"));
        });
        assert!(shown.contains("      no newline\n    $ c\n"), "{shown}");
    }

    #[test]
    fn only_a_terminal_sees_seconds() {
        let count = |teller: &mut Teller<&mut Vec<u8>>| {
            let mut report = teller.report();
            report.count(7);
            report.count(7);
            report.add("x");
        };
        assert_eq!(told(false, count), "      x\n");
        assert_eq!(told(true, count), "\r    7 s \r\x1b[K      x\n");
    }

    #[test]
    fn steps_are_counted() {
        let text = told(false, |teller| {
            let work = |teller: &mut Teller<_>| {
                teller.say("done");
                Ok(())
            };
            teller.step("One", work).unwrap();
            teller.step("Two", |_| Ok(())).unwrap();
        });
        assert!(
            text.starts_with("\n==> 1/2 One\n    done\n    (") && text.contains("\n==> 2/2 Two\n"),
            "{text}"
        );
    }
}
