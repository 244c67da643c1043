// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program that uses the C library for long: `user.py`, run by the Python of the C tools' tree.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The program, which ends with its input.
pub(crate) struct User {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl User {
    /// Starts it; it has loaded the deployments then.
    pub(crate) fn start() -> Self {
        let mut child = Command::new("peer-python")
            .args(["-c", include_str!("user.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut user = Self { commands: child.stdin.take(), child, answers };
        assert_eq!(user.hear(), "ready");
        user
    }

    /// The next line that it says.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Its answer to a command.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        writeln!(self.commands.as_ref().unwrap(), "{command}").unwrap();
        self.hear()
    }

    /// Has it do something.
    pub(crate) fn order(&mut self, command: &str) {
        assert_eq!(self.ask(command), "done", "{command}");
    }
}

impl Drop for User {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ended = self.child.wait();
    }
}
