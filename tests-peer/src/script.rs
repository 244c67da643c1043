// SPDX-License-Identifier: MIT OR Apache-2.0
//! A case as a shell script, which shows the difference without this program.

use std::fmt::Write;

use crate::case::{Call, Case, Entry, Kind, Step};

/// The text of the script. `$O` is the program, `$P` the other one; statuses and output are printed.
pub fn of(case: &Case, told: &str) -> String {
    let mut text = String::from("# SPDX-License-Identifier: MIT OR Apache-2.0\n");
    for line in told.lines() {
        let line: String = line.chars().take(160).collect();
        _ = writeln!(text, "# {line}");
    }
    for step in &case.steps {
        match step {
            Step::Make(entries) => entries.iter().for_each(|entry| make(&mut text, entry)),
            Step::Run(call) => run(&mut text, call),
        }
    }
    text
}

fn make(text: &mut String, entry: &Entry) {
    let path = quoted(&format!("./{}", entry.path));
    _ = match &entry.kind {
        Kind::Directory => writeln!(text, "mkdir -p {path}"),
        Kind::Filled(size, number) => writeln!(text, "yes {number} | head -c {size} >{path}"),
        Kind::Text(content) => writeln!(text, "printf %s {} >{path}", quoted(content)),
        Kind::Link(target) => writeln!(text, "ln -sfn -- {} {path}", quoted(target)),
        Kind::Hard(target) => writeln!(text, "ln -f {} {path}", quoted(&format!("./{target}"))),
        Kind::Fifo => writeln!(text, "mkfifo {path}"),
    };
    for (name, value) in &entry.xattrs {
        _ = writeln!(text, "setfattr -h -n {name} -v {} {path}", quoted(value));
    }
    if matches!(entry.kind, Kind::Hard(_)) {
        return;
    }
    if entry.owner != (0, 0) {
        let (user, group) = entry.owner;
        _ = writeln!(text, "chown -h {user}:{group} {path}");
    }
    if !matches!(entry.kind, Kind::Link(_)) {
        _ = writeln!(text, "chmod {:04o} {path}", entry.mode);
    }
}

fn run(text: &mut String, call: &Call) {
    let program = if call.swapped { "$P" } else { "$O" };
    let words: Vec<String> = call.words().iter().map(|word| with_commits(&quoted(word))).collect();
    let n = call.number;
    _ = writeln!(text, "C{n}=$({program} {}); echo \"status $?\"; echo \"$C{n}\"", words.join(" "));
}

/// The quoted word with variables for the commits.
fn with_commits(word: &str) -> String {
    let mut out = String::new();
    for (at, part) in word.split("@C").enumerate() {
        if at == 0 {
            out.push_str(part);
        } else if let Some((number, rest)) = part.split_once('@') {
            _ = write!(out, "'\"$C{number}\"'{rest}");
        }
    }
    out.replace("''", "")
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@^".contains(c);
    if !word.is_empty() && word.chars().all(plain) && !word.contains("@C") {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_script() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("--mode=archive"), "--mode=archive");
        assert_eq!(with_commits(&quoted("--parent=@C12@^")), "'--parent='\"$C12\"'^'");
    }
}
