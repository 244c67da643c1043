// SPDX-License-Identifier: MIT OR Apache-2.0
//! SYSLINUX and EXTLINUX, and U-Boot where it reads the same format.
//!
//! ```text
//! TIMEOUT 50                                   lines of others, as they are
//! LABEL memtest                                blocks of others, as they are
//! <tab>KERNEL /memtest
//! DEFAULT Debian GNU/Linux 13 (ostree:0)       ours from here
//! LABEL Debian GNU/Linux 13 (ostree:0)
//! <tab>KERNEL /ostree/debian-<boot checksum>/vmlinuz-6.12.1
//! <tab>INITRD /ostree/debian-<boot checksum>/initramfs-6.12.1.img
//! <tab>APPEND root=LABEL=root ostree=/ostree/boot.1/debian/<boot checksum>/0
//! ```
//!
//! A block whose kernel lies in `/ostree/` or `/boot/ostree/` is ours and made anew, and so is a `DEFAULT` with one of our
//! titles, or none. Another `DEFAULT` stays: somebody wants it.
//! <https://wiki.syslinux.org/wiki/index.php?title=Config>

use formats::bls::Entry;

use super::error::LoaderError;
use super::interface::{AfterSwitch, Installed, Loader, Reads};
use super::menu::{Menu, MenuItem};
use super::shown::{Shown, ShownEntry};
use crate::files::NewFile;

/// SYSLINUX or EXTLINUX with `syslinux/syslinux.cfg`.
#[derive(Debug, Clone, Copy)]
pub struct Syslinux;

/// U-Boot, or EXTLINUX, with `extlinux/extlinux.conf`.
#[derive(Debug, Clone, Copy)]
pub struct Extlinux;

impl Loader for Syslinux {
    fn name(&self) -> &'static str {
        "syslinux"
    }

    fn file(&self) -> Option<&'static str> {
        Some("syslinux.cfg")
    }

    fn render(&self, menu: &Menu<'_>) -> Result<Vec<NewFile>, LoaderError> {
        let block = |item: &MenuItem<'_>| {
            let initrds: Vec<String> = item.entry.initrd().into_iter().map(|path| menu.path(path)).collect();
            // Several are loaded one behind the other, separated by commas.
            let initrd = (!initrds.is_empty()).then(|| initrds.join(","));
            Ok(block(menu, item, initrd))
        };
        file("syslinux.cfg", menu, block)
    }

    fn parse(&self, text: &str) -> Shown {
        parse(text)
    }

    fn reads(&self, link: Option<&str>, text: &str) -> Reads {
        reads("syslinux.cfg", link, text)
    }

    fn after_switch(&self, installed: &Installed, _default: &Entry) -> Result<AfterSwitch, LoaderError> {
        let point = installed.entry_point.as_ref().filter(|_| installed.reads() == Reads::Replaceable);
        let link = |path: &str| AfterSwitch::Link {
            path: path.to_owned(),
            target: "../loader/syslinux.cfg".to_owned(),
        };
        Ok(point.map(|point| link(&point.path)).unwrap_or_default())
    }
}

impl Loader for Extlinux {
    fn name(&self) -> &'static str {
        "extlinux"
    }

    fn file(&self) -> Option<&'static str> {
        Some("extlinux.conf")
    }

    fn render(&self, menu: &Menu<'_>) -> Result<Vec<NewFile>, LoaderError> {
        let block = |item: &MenuItem<'_>| {
            let mut text = block(menu, item, menu.only_initrd(item, "extlinux")?);
            if let Some(path) = menu.path_of(item, "fdtdir") {
                text += &format!("\tFDTDIR {path}\n");
            }
            Ok(text)
        };
        file("extlinux.conf", menu, block)
    }

    fn parse(&self, text: &str) -> Shown {
        parse(text)
    }

    fn reads(&self, link: Option<&str>, text: &str) -> Reads {
        reads("extlinux.conf", link, text)
    }
}

/// The configuration as it is, without what is ours, and our entries behind it.
fn file(
    name: &str,
    menu: &Menu<'_>,
    block: impl Fn(&MenuItem<'_>) -> Result<String, LoaderError>,
) -> Result<Vec<NewFile>, LoaderError> {
    let (mut text, chosen) = without_ours(menu.config.unwrap_or_default());
    for (index, item) in menu.items.iter().enumerate() {
        if index == 0 && !chosen {
            text += &format!("DEFAULT {}\n", title(item));
        }
        text += &block(item)?;
    }
    Ok(vec![NewFile { path: name.to_owned(), text }])
}

fn title<'a>(item: &MenuItem<'a>) -> &'a str {
    item.entry.title().unwrap_or("(Untitled)")
}

fn block(menu: &Menu<'_>, item: &MenuItem<'_>, initrd: Option<String>) -> String {
    let mut text = format!("LABEL {}\n", title(item));
    let options = item.entry.options();
    let fields = [
        ("KERNEL", menu.path_of(item, "linux")),
        ("INITRD", initrd),
        ("DEVICETREE", menu.path_of(item, "devicetree")),
        ("APPEND", (!options.is_empty()).then_some(options)),
    ];
    for (key, value) in fields {
        if let Some(value) = value {
            text += &format!("\t{key} {value}\n");
        }
    }
    text
}

/// A line as SYSLINUX reads it: the keyword without regard to case, and the rest.
fn keyword(line: &str) -> (String, &str) {
    let line = line.trim();
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    (word.to_ascii_uppercase(), rest.trim_start())
}

/// The lines of others, and whether they choose a default.
fn without_ours(config: &str) -> (String, bool) {
    let (mut kept, mut chosen) = (String::new(), false);
    // The block that is being read, and whether its kernel is ours.
    let mut pending: Option<(String, bool)> = None;
    let flush = |pending: &mut Option<(String, bool)>, kept: &mut String| {
        if let Some((lines, false)) = pending.take() {
            kept.push_str(&lines);
        }
    };
    for line in config.lines() {
        let (word, rest) = keyword(line);
        if word == "LABEL" {
            flush(&mut pending, &mut kept);
            pending = Some((format!("{line}\n"), false));
            continue;
        }
        match &mut pending {
            Some((lines, ours)) if line.starts_with(['\t', ' ']) => {
                *ours |= matches!(word.as_str(), "KERNEL" | "LINUX") && is_ours(rest);
                lines.push_str(line);
                lines.push('\n');
                continue;
            }
            _ => flush(&mut pending, &mut kept),
        }
        if matches!(word.as_str(), "DEFAULT" | "ONTIMEOUT") && is_our_title(rest) {
            continue;
        }
        chosen |= word == "DEFAULT";
        kept.push_str(line);
        kept.push('\n');
    }
    flush(&mut pending, &mut kept);
    (kept, chosen)
}

fn is_ours(kernel: &str) -> bool {
    kernel.starts_with("/ostree/") || kernel.starts_with("/boot/ostree/")
}

/// Titles end in `(ostree:0)` or `(ostree:STATEROOT:0)`; before 2014 they began with `ostree:`.
fn is_our_title(title: &str) -> bool {
    title.contains("(ostree") || title.starts_with("ostree:")
}

fn parse(text: &str) -> Shown {
    let (mut shown, mut default) = (Shown::default(), None);
    for line in text.lines() {
        let (word, rest) = keyword(line);
        if word == "LABEL" {
            shown.entries.push(ShownEntry { title: rest.to_owned(), ..ShownEntry::default() });
        }
        let Some(entry) = shown.entries.last_mut() else {
            default = if word == "DEFAULT" { Some(rest) } else { default };
            continue;
        };
        match word.as_str() {
            // It holds wherever it stands, and the last one wins.
            "DEFAULT" => default = Some(rest),
            "KERNEL" | "LINUX" => entry.linux = Some(rest.to_owned()),
            "INITRD" => entry.initrd = rest.split(',').map(str::to_owned).collect(),
            "DEVICETREE" | "FDT" => entry.devicetree = Some(rest.to_owned()),
            "APPEND" => entry.options = rest.to_owned(),
            _ => {}
        }
    }
    shown.default = default.and_then(|title| shown.entries.iter().position(|entry| entry.title == title));
    shown
}

/// A link to our file, or a line that goes on there.
fn reads(file: &str, link: Option<&str>, text: &str) -> Reads {
    let ours = format!("loader/{file}");
    let goes_on = |line| {
        let (word, rest) = keyword(line);
        matches!(word.as_str(), "INCLUDE" | "CONFIG") && rest.ends_with(&ours)
    };
    if link.is_some_and(|target| target.ends_with(&ours)) || text.lines().any(goes_on) {
        Reads::OurFile
    } else {
        // All that it says comes along into our file.
        Reads::Replaceable
    }
}
