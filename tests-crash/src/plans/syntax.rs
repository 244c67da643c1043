// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lines of `strace -f -y`, taken apart: a call with its arguments and its result. Calls that another process interrupted are
//! put together again.

use std::collections::HashMap;

/// A system call that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The thread that made it.
    pub thread: u32,
    /// Its name.
    pub name: String,
    /// As they are printed.
    pub arguments: Vec<String>,
    /// As it is printed: `0`, `3</path>`, `-1 ENOENT (…)`, or `?` for a process that ended in it.
    pub result: String,
}

impl Call {
    /// An argument; empty if there is none at this place.
    pub fn argument(&self, index: usize) -> &str {
        self.arguments.get(index).map(String::as_str).unwrap_or_default()
    }

    /// Whether the kernel refused it.
    pub fn has_failed(&self) -> bool {
        self.result.starts_with("-1")
    }

    /// Whether an argument contains a word, as a flag in a set of flags.
    pub fn has(&self, flag: &str) -> bool {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        self.arguments.iter().any(|text| text.split(|c| !is_part(c)).any(|word| word == flag))
    }
}

/// Reads `PID CALL` lines. Signals, ends of processes, and lines of another form are left out.
pub fn parse(text: &str) -> Vec<Call> {
    const UNFINISHED: &str = " <unfinished ...>";
    let mut begun: HashMap<u32, String> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.trim_start().split_once(' ') else { continue };
        let Ok(thread) = thread.parse() else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix(UNFINISHED) {
            begun.insert(thread, start.to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, end)) => begun.remove(&thread).map(|start| start + end),
            None => Some(rest.to_owned()),
        };
        calls.extend(whole.and_then(|whole| call(thread, &whole)));
    }
    calls
}

fn call(thread: u32, text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let is_name = !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    let (arguments, rest) = split(rest)?;
    let result = rest.trim_start().strip_prefix('=')?.trim_start();
    is_name.then(|| Call { thread, name: name.to_owned(), arguments, result: result.to_owned() })
}

/// The arguments up to the parenthesis that closes them, and what comes after it.
fn split(text: &str) -> Option<(Vec<String>, &str)> {
    let (mut arguments, mut current) = (Vec::new(), String::new());
    let (mut depth, mut quoted, mut in_path, mut escaped) = (0_usize, false, false, false);
    for (at, c) in text.char_indices() {
        let is_plain = !quoted && !in_path;
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if !in_path => quoted = !quoted,
            '>' if in_path => in_path = false,
            // A descriptor's path; elsewhere the sign means something else.
            '<' if is_plain && current.ends_with(|c: char| c.is_ascii_digit() || c == 'D') => in_path = true,
            '(' | '[' | '{' if is_plain => depth += 1,
            ')' if is_plain && depth == 0 => {
                if !current.trim().is_empty() {
                    arguments.push(current.trim().to_owned());
                }
                return Some((arguments, text.get(at + 1..)?));
            }
            ')' | ']' | '}' if is_plain => depth = depth.saturating_sub(1),
            ',' if is_plain && depth == 0 => {
                arguments.push(current.trim().to_owned());
                current.clear();
                continue;
            }
            _ => {}
        }
        current.push(c);
    }
    None
}

/// The text of a quoted argument; `None` for an argument of another kind.
pub fn quoted(argument: &str) -> Option<String> {
    let inner = argument.strip_prefix('"')?;
    let end = inner.rfind('"')?;
    Some(unescape(inner.get(..end)?))
}

/// The path of an argument or result that is a descriptor. A file without a name is told as `DIRECTORY/#INODE`.
pub fn path_of_descriptor(argument: &str) -> Option<String> {
    let (number, rest) = argument.split_once('<')?;
    let is_descriptor = number == "AT_FDCWD" || number.parse::<u32>().is_ok();
    let path = rest.get(..rest.rfind('>')?)?;
    is_descriptor.then(|| unescape(path.strip_suffix(" (deleted)").unwrap_or(path)))
}

/// Takes back what `strace` writes for bytes that are not plain text.
fn unescape(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.iter().take(3).take_while(|c| matches!(c, b'0'..=b'7')).count();
        let (number, after) = rest.split_at(digits);
        if let Ok(number) = u8::from_str_radix(&String::from_utf8_lossy(number), 8) {
            bytes.push(number);
            rest = after;
        } else if let [c, after @ ..] = rest {
            bytes.push(match c {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'v' => 0x0b,
                b'f' => 0x0c,
                other => *other,
            });
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_every_form() {
        let text = r#"12    clone3({flags=CLONE_VM|CLONE_FS, stack=0x7f1, tls=0x7f2} => {parent_tid=[20]}, 88) = 20
12    symlinkat("a, b)", 5</x/a\76b>, "n\303\244me\"") = 0
13    openat(AT_FDCWD</>, "f", O_RDONLY <unfinished ...>
12    +++ exited with 0 +++
13    --- SIGCHLD {si_signo=SIGCHLD} ---
13    <... openat resumed>)             = 4</f (deleted)>
nonsense
14    exit_group(0) = ?
"#;
        let calls = parse(text);
        let names: Vec<_> = calls.iter().map(|call| (call.thread, call.name.as_str())).collect();
        assert_eq!(names, [(12, "clone3"), (12, "symlinkat"), (13, "openat"), (14, "exit_group")]);
        let [clone, link, open, exit] = &calls[..] else { panic!("{calls:?}") };
        assert_eq!((clone.arguments.len(), clone.argument(1), clone.result.as_str()), (2, "88", "20"));
        assert!(clone.has("CLONE_FS") && !clone.has("CLONE"));
        assert_eq!(quoted(link.argument(0)).as_deref(), Some("a, b)"));
        assert_eq!(path_of_descriptor(link.argument(1)).as_deref(), Some("/x/a>b"));
        assert_eq!(quoted(link.argument(2)).as_deref(), Some("näme\""));
        assert_eq!(path_of_descriptor(&open.result).as_deref(), Some("/f"));
        assert_eq!(path_of_descriptor(open.argument(0)).as_deref(), Some("/"));
        assert_eq!((exit.argument(1), exit.result.as_str()), ("", "?"));
    }

    #[test]
    fn failures() {
        let text = "1 unlinkat(3</x>, \"a\", 0) = -1 ENOENT (No such file or directory)\n1 unlinkat(3</x>, \"b\", 0) = 0\n";
        let failed: Vec<bool> = parse(text).iter().map(Call::has_failed).collect();
        assert_eq!(failed, [true, false]);
    }

    #[test]
    fn a_descriptor_of_a_file_without_a_name() {
        assert_eq!(path_of_descriptor("12</d/#446>(deleted)").as_deref(), Some("/d/#446"));
        assert_eq!(path_of_descriptor("1<pipe:[3]>").as_deref(), Some("pipe:[3]"));
        assert_eq!(path_of_descriptor("0x7f1"), None);
        assert_eq!(path_of_descriptor("\"a<b>\""), None);
    }
}
