// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading GRUB's script as far as menus need it: words and quotes, `set default`, menu entries. Conditions are not decided: entries in
//! them count, settings that depend on variables do not.

use crate::loader::{Shown, ShownEntry};

/// The commands of a script, each as its words; `{` and `}` that stand alone are commands of their own.
pub(super) fn commands(text: &str) -> Vec<Vec<String>> {
    let mut scanner = Scanner { chars: text.chars().peekable(), command: Vec::new(), all: Vec::new() };
    scanner.scan();
    scanner.all
}

struct Scanner<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    command: Vec<String>,
    all: Vec<Vec<String>>,
}

impl Scanner<'_> {
    fn scan(&mut self) {
        while let Some(&c) = self.chars.peek() {
            match c {
                '\n' | ';' => {
                    self.chars.next();
                    self.end();
                }
                '#' => while self.chars.next_if(|&c| c != '\n').is_some() {},
                _ if c.is_whitespace() => {
                    self.chars.next();
                }
                _ => match self.word().as_str() {
                    "{" => {
                        self.command.push("{".to_owned());
                        self.end();
                    }
                    "}" => {
                        self.end();
                        self.all.push(vec!["}".to_owned()]);
                    }
                    word => self.command.push(word.to_owned()),
                },
            }
        }
        self.end();
    }

    fn end(&mut self) {
        if !self.command.is_empty() {
            self.all.push(std::mem::take(&mut self.command));
        }
    }

    /// A word without its quotes; variables in it stay as they are.
    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.chars.next_if(|&c| !c.is_whitespace() && c != ';') {
            match c {
                '\'' => self.until('\'', &mut word),
                '"' => self.until('"', &mut word),
                '\\' => word.extend(self.chars.next().filter(|&c| c != '\n')),
                c => word.push(c),
            }
        }
        word
    }

    fn until(&mut self, quote: char, word: &mut String) {
        while let Some(c) = self.chars.next() {
            match c {
                _ if c == quote => return,
                '\\' if quote == '"' => word.extend(self.chars.next()),
                c => word.push(c),
            }
        }
    }
}

/// An entry, and the names by which it can be the default.
#[derive(Default)]
struct Found {
    shown: ShownEntry,
    id: Option<String>,
}

/// The menu that a script makes.
pub(super) fn parse(text: &str) -> Shown {
    let (mut entries, mut default): (Vec<Found>, Option<String>) = (Vec::new(), None);
    let (mut depth, mut open) = (0_usize, None);
    for words in commands(text) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["}"] => {
                depth = depth.saturating_sub(1);
                open = open.filter(|&at| depth >= at);
            }
            ["menuentry", rest @ .., "{"] => {
                depth += 1;
                open = Some(depth);
                entries.push(menu_entry(rest));
            }
            [.., "{"] => depth += 1,
            ["set", setting] | ["set", "--", setting] => {
                let value = setting.strip_prefix("default=").filter(|value| !value.contains('$'));
                default = value.map(str::to_owned).or(default);
            }
            _ if open.is_some() => {
                if let Some(entry) = entries.last_mut() {
                    entry.shown.read(&words);
                }
            }
            _ => {}
        }
    }
    let default = default.unwrap_or_else(|| "0".to_owned());
    let is_it = |entry: &Found| entry.id.as_ref() == Some(&default) || entry.shown.title == default;
    let default = match default.parse::<usize>() {
        Ok(index) => Some(index).filter(|&index| index < entries.len()),
        Err(_) => entries.iter().position(is_it),
    };
    Shown { entries: entries.into_iter().map(|found| found.shown).collect(), default }
}

/// The title is the first word that is no option; an id is given by `--id`, or, with old scripts, by
/// `$menuentry_id_option` or as a second word.
fn menu_entry(words: &[&str]) -> Found {
    const WITH_VALUE: [&str; 4] = ["--class", "--users", "--hotkey", "--source"];
    let (mut found, mut title) = (Found::default(), None);
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        match word {
            "--id" | "$menuentry_id_option" | "${menuentry_id_option}" => {
                found.id = words.next().map(|&id| id.to_owned());
            }
            _ if WITH_VALUE.contains(&word) => {
                words.next();
            }
            _ if word.starts_with("--") => {}
            _ if title.is_none() => title = Some(word.to_owned()),
            _ if found.id.is_none() => found.id = Some(word.to_owned()),
            _ => {}
        }
    }
    found.shown.title = title.unwrap_or_default();
    found
}

impl ShownEntry {
    fn read(&mut self, words: &[&str]) {
        let [command, rest @ ..] = words else { return };
        match (*command, rest) {
            ("linux" | "linux16" | "linuxefi", [kernel, args @ ..]) => {
                self.linux = Some((*kernel).to_owned());
                self.options = args.join(" ");
            }
            ("initrd" | "initrd16" | "initrdefi", files) => {
                self.initrd = files.iter().map(|&file| file.to_owned()).collect();
            }
            ("devicetree", [file]) => self.devicetree = Some((*file).to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_quotes() {
        let text =
            "set a='b c'; echo \"x \\\" y\" it\\'s # comment\nif [ -n \"${v}\" ]; then\n  x y\\\nz\nfi\n}";
        let expected: [&[&str]; 7] = [
            &["set", "a=b c"],
            &["echo", "x \" y", "it's"],
            &["if", "[", "-n", "${v}", "]"],
            &["then"],
            &["x", "yz"],
            &["fi"],
            &["}"],
        ];
        assert_eq!(commands(text), expected);
    }

    #[test]
    fn a_menu_as_distributions_make_it() {
        let text = "function f {\n  insmod x\n}\nset default=\"0\"\nif [ \"${next}\" ]; then set default=\"${next}\"; fi\n\
            menuentry 'Debian' --class gnu $menuentry_id_option 'simple-1' {\n\tload_video\n\
            \tif [ x$p = xxen ]; then insmod y; fi\n\tlinux\t/vmlinuz root=/dev/vda ro quiet\n\tinitrd\t/a /b\n}\n\
            submenu 'More' $menuentry_id_option 'advanced' {\n\tmenuentry 'Old' --id old {\n\t\tlinux16 /o ostree=/x\n\t}\n}\n\
            set default=old\n";
        let shown = parse(text);
        let summary: Vec<_> = shown
            .entries
            .iter()
            .map(|e| (e.title.as_str(), e.linux.as_deref(), e.initrd.len(), e.options.as_str(), e.is_ours()))
            .collect();
        assert_eq!(
            summary,
            [
                ("Debian", Some("/vmlinuz"), 2, "root=/dev/vda ro quiet", false),
                ("Old", Some("/o"), 0, "ostree=/x", true)
            ]
        );
        assert_eq!(shown.default, Some(1));
    }

    #[test]
    fn any_text_is_a_menu() {
        for text in ["}", "menuentry {", "menuentry 'x", "\\", "set", "menuentry a {\nlinux\n", "'", "\"\\"] {
            parse(text);
        }
    }
}
