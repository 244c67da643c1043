// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading GRUB's script as far as menus need it: words and quotes, settings, menu entries. Entries count whatever condition they
//! depend on.

use super::menu::{Item, Kind, choose};
use super::settings::Settings;
use crate::loader::beside::Beside;
use crate::loader::shown::{Shown, ShownEntry};

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

/// The part of a script that is read.
struct Reader<'a> {
    beside: &'a Beside,
    settings: Settings<'a>,
    items: Vec<Item>,
    entries: Vec<ShownEntry>,
    /// The blocks that are open.
    blocks: Vec<Block>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Entry,
    /// By its place among the items.
    Submenu(usize),
    /// Of a function, or something else whose commands are not run now.
    Other,
}

impl<'a> Reader<'a> {
    fn new(beside: &'a Beside) -> Self {
        let (items, entries, blocks) = (Vec::new(), Vec::new(), Vec::new());
        Self { beside, settings: Settings::new(beside), items, entries, blocks }
    }

    fn read(&mut self, text: &str, is_custom: bool) {
        for words in commands(text) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match self.settings.control(&words) {
                ["}"] => drop(self.blocks.pop()),
                ["menuentry", rest @ .., "{"] => {
                    self.item(rest, Kind::Entry(self.entries.len()));
                    let title = self.items.last().map(|item| item.title.clone()).unwrap_or_default();
                    self.entries.push(ShownEntry { title, ..ShownEntry::default() });
                    self.blocks.push(Block::Entry);
                }
                ["submenu", rest @ .., "{"] => {
                    let place = self.items.len();
                    self.item(rest, Kind::Submenu);
                    self.blocks.push(Block::Submenu(place));
                }
                [.., "{"] => self.blocks.push(Block::Other),
                ["source" | ".", path] if !is_custom && path.ends_with("/custom.cfg") => self.custom(),
                words if self.blocks.contains(&Block::Entry) => {
                    if let Some(entry) = self.entries.last_mut() {
                        entry.read(words);
                    }
                }
                words if self.blocks.is_empty() => self.settings.run(words),
                _ => {}
            }
        }
    }

    fn custom(&mut self) {
        if let Some(text) = self.beside.custom.as_deref().filter(|_| !self.settings.is_passed_over()) {
            self.read(text, true);
        }
    }

    fn item(&mut self, words: &[&str], kind: Kind) {
        let submenu = |block: &Block| if let Block::Submenu(place) = block { Some(*place) } else { None };
        let parent = self.blocks.iter().rev().find_map(submenu);
        self.items.push(Item { kind, parent, ..item(words) });
    }

    /// The file and the variable in it that the default is from.
    fn chosen_by(&self) -> Option<String> {
        let value = self.settings.get("default")?;
        let (name, file) = (value.from?, format!("/boot/{}/grubenv", self.beside.dir));
        Some(format!("{file} has {name}={}", value.text.replace('\n', " ")))
    }
}

/// The menu that a script makes.
pub(super) fn parse(text: &str, beside: &Beside) -> Shown {
    let mut reader = Reader::new(beside);
    reader.read(text, false);
    let chosen_by = reader.chosen_by();
    let default = reader.settings.get("default").unwrap_or_default().text;
    Shown { default: choose(&reader.items, &default), entries: reader.entries, chosen_by }
}

/// Which of the boot entries, given by title and file name, is the default: of a script that makes GRUB read them, and what says so, else
/// the first.
pub(crate) fn default_of_entries(
    beside: &Beside,
    names: &[(String, String)],
) -> (Option<usize>, Option<String>) {
    let script = beside.script.as_deref().unwrap_or_default();
    let mut reader = Reader::new(beside);
    // A file that somebody has left behind says nothing about another loader.
    if commands(script).iter().flatten().any(|word| word == "blscfg") {
        reader.read(script, false);
    }
    let default = reader.settings.get("default").unwrap_or_default().text;
    // Of versions that have `blscfg` some call an entry by its file name, some leave out `.conf`.
    let whole = default.ends_with(".conf");
    let item = |(place, (title, name)): (usize, &(String, String))| {
        let id = if whole { name } else { name.strip_suffix(".conf").unwrap_or(name) };
        Item { title: title.clone(), id: Some(id.to_owned()), kind: Kind::Entry(place), parent: None }
    };
    let items: Vec<Item> = names.iter().enumerate().map(item).collect();
    (choose(&items, &default), reader.chosen_by())
}

/// The title is the first word that is no option; an id is given by `--id`, or, with old scripts, by
/// `$menuentry_id_option` or as a second word.
fn item(words: &[&str]) -> Item {
    const WITH_VALUE: [&str; 4] = ["--class", "--users", "--hotkey", "--source"];
    let (mut found, mut title) = (Item::default(), None);
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
    found.title = title.unwrap_or_default();
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
            set default='advanced>old'\n";
        let shown = parse(text, &Beside::default());
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

    fn beside(variables: &str, custom: Option<&str>) -> Beside {
        let block = format!("# GRUB Environment Block\n{variables}###");
        let environment = Some(formats::grubenv::Grubenv::parse(block.as_bytes()).unwrap());
        Beside { dir: "grub".to_owned(), environment, custom: custom.map(str::to_owned), script: None }
    }

    /// As `grub-mkconfig` writes it with `GRUB_DEFAULT=saved`, and Fedora's for boot entries.
    const SAVED: &str = "if [ -s $prefix/grubenv ]; then\n  set have_grubenv=true\n  load_env\nfi\n\
        if [ \"${next_entry}\" ] ; then\n   set default=\"${next_entry}\"\n   set next_entry=\n   save_env next_entry\n\
        set boot_once=true\nelse\n   set default=\"${saved_entry}\"\nfi\n\
        if [ x\"${feature_menuentry_id}\" = xy ]; then\n  menuentry_id_option=\"--id\"\nelse\n  menuentry_id_option=\"\"\nfi\n\
        if [ \"${prev_saved_entry}\" ]; then\n  set saved_entry=\"${prev_saved_entry}\"\n  save_env saved_entry\n\
        set prev_saved_entry=\n  save_env prev_saved_entry\n  set boot_once=true\nfi\n\
        function savedefault {\n  if [ -z \"${boot_once}\" ]; then\n    saved_entry=\"${chosen}\"\n    save_env saved_entry\n  fi\n}\n";
    const STATIC: &str = "if [ -f ${config_directory}/grubenv ]; then\n  load_env -f ${config_directory}/grubenv\n\
        elif [ -s $prefix/grubenv ]; then\n  load_env\nfi\nif [ -n \"${next_entry}\" ]; then\n  set default=\"${next_entry}\"\n\
        else\n  set default=\"${saved_entry}\"\nfi\n";
    const MENU: &str = "menuentry 'A' --id a {\n  set default=2\n  linux /a\n}\nmenuentry 'B' --id b {\n  linux /b\n}\n\
        menuentry 'C' --id c {\n  linux /c\n}\nif [ -f ${prefix}/custom.cfg ]; then\n  source ${prefix}/custom.cfg\nfi\n";

    /// Variables that are kept from one boot to the next decide as the script says, and nothing else does.
    #[test]
    fn the_environment_block_has_its_say() {
        let ours = super::super::render::HEADER;
        for (script, variables, custom, default, chosen_by) in [
            (ours, "", None, 0, None),
            (ours, "next_entry=b\n", None, 1, Some("next_entry=b")),
            (ours, "next_entry=\nsaved_entry=c\n", None, 0, None),
            (ours, "next_entry=gone\n", None, 0, Some("next_entry=gone")),
            (ours, "default=2\n", None, 2, Some("default=2")),
            (ours, "next_entry=b\n", Some("set default=c\n"), 2, None),
            (ours, "saved_entry=c\n", Some("set default=\"${saved_entry}\"\n"), 2, Some("saved_entry=c")),
            (ours, "", Some("menuentry 'Own' {\n linux /own\n}\nset default=3"), 3, None),
            (SAVED, "", None, 0, None),
            (SAVED, "saved_entry=B\n", None, 1, Some("saved_entry=B")),
            (SAVED, "saved_entry=B\nnext_entry=2\n", None, 2, Some("next_entry=2")),
            // An older `grub-reboot`: once what is saved, then what was saved before.
            (SAVED, "saved_entry=b\nprev_saved_entry=c\n", None, 1, Some("saved_entry=b")),
            (STATIC, "saved_entry=1\n", None, 1, Some("saved_entry=1")),
            (STATIC, "boot_success=1\n", None, 0, None),
            ("set default=1\nload_env next_entry\n", "default=2\n", None, 1, None),
            ("set default=1\nload_env -f /etc/other\n", "default=2\n", None, 1, None),
            ("set default=1\nif [ $grub_platform = efi ]; then\n  set default=2\nfi\n", "", None, 2, None),
            ("set default=1\nif [ ! -s $prefix/grubenv ]; then set default=2; fi\n", "", None, 1, None),
        ] {
            let shown = parse(&format!("{script}{MENU}"), &beside(variables, custom));
            let by = shown.chosen_by.as_deref().map(|by| by.strip_prefix("/boot/grub/grubenv has ").unwrap());
            assert_eq!((shown.default, by), (Some(default), chosen_by), "{script}{variables}{custom:?}");
        }
        let without = Beside::default();
        assert_eq!(parse(&format!("{SAVED}{MENU}"), &without).default, Some(0));
        assert_eq!(parse(&format!("{ours}{MENU}"), &without).entries.len(), 3);
    }

    #[test]
    fn an_entry_is_the_default_by_its_file_name() {
        let names =
            ["ostree-2.conf", "ostree-1+3-1.conf"].map(|name| (format!("Title {name}"), name.to_owned()));
        for (script, variables, default) in [
            (STATIC, "saved_entry=ostree-1+3-1\n", 1),
            (STATIC, "saved_entry=ostree-1+3-1.conf\n", 1),
            (STATIC, "next_entry=Title ostree-2.conf\nsaved_entry=1\n", 0),
            // No GRUB reads the entries here.
            ("", "saved_entry=1\n", 0),
        ] {
            let script = if script.is_empty() { SAVED.to_owned() } else { format!("{script}blscfg\n") };
            let beside = Beside { script: Some(script), ..beside(variables, None) };
            assert_eq!(default_of_entries(&beside, &names).0, Some(default), "{variables}");
        }
    }

    #[test]
    fn any_text_is_a_menu() {
        for text in ["}", "menuentry {", "menuentry 'x", "\\", "set", "menuentry a {\nlinux\n", "'", "\"\\"] {
            parse(text, &Beside::default());
        }
    }
}
