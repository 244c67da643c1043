// SPDX-License-Identifier: MIT OR Apache-2.0
//! The damages.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use repair::Topic;

use crate::disk::Root;

pub(crate) struct Damage {
    pub(crate) name: &'static str,
    /// The topic of a problem that the check has to report.
    pub(crate) topic: Topic,
    pub(crate) make: fn(&Root),
    /// The menu after the repair.
    pub(crate) menu: Menu,
}

#[derive(Clone, Copy)]
pub(crate) enum Menu {
    Same,
    WithoutFirst,
    WithoutSecond,
}

const fn damage(name: &'static str, topic: Topic, make: fn(&Root)) -> Damage {
    Damage { name, topic, make, menu: Menu::Same }
}

pub(crate) const DAMAGES: &[Damage] = &[
    damage("the_loader_is_missing", Topic::Loader, |root| remove(root, "boot/loader")),
    damage("the_loader_leads_to_what_is_not_there", Topic::Loader, |root| {
        let other = if chosen(root) == 0 { "loader.1" } else { "loader.0" };
        let _ = fs::remove_dir_all(root.path(&format!("boot/{other}")));
        link(root, "boot/loader", other);
    }),
    damage("the_loader_is_a_link_to_elsewhere", Topic::Loader, |root| link(root, "boot/loader", "grub")),
    damage("the_loader_is_a_file", Topic::Loader, |root| {
        remove(root, "boot/loader");
        fs::write(root.path("boot/loader"), "x").unwrap();
    }),
    damage("the_loader_is_a_directory", Topic::Loader, |root| {
        remove(root, "boot/loader");
        fs::create_dir_all(root.path("boot/loader/entries")).unwrap();
    }),
    damage("the_loader_leads_to_an_empty_set", Topic::Loader, |root| {
        let (set, other) = (chosen(root), 1 - chosen(root));
        let _ = fs::remove_dir_all(root.path(&format!("boot/loader.{other}")));
        fs::create_dir_all(root.path(&format!("boot/loader.{other}/entries"))).unwrap();
        link(root, "boot/loader", &format!("loader.{other}"));
        assert!(root.path(&format!("boot/loader.{set}/entries")).exists());
    }),
    damage("the_outer_link_is_missing", Topic::Link, |root| {
        remove(root, &format!("ostree/boot.{}", chosen(root)));
    }),
    damage("the_outer_link_leads_to_what_is_not_there", Topic::Link, |root| {
        let outer = format!("ostree/boot.{}", chosen(root));
        let now = fs::read_link(root.path(&outer)).unwrap().display().to_string();
        let other =
            if now.ends_with('0') { now.replace(".0", ".1") } else { now[..now.len() - 1].to_owned() + "0" };
        link(root, &outer, &other);
    }),
    damage("the_outer_link_is_a_directory", Topic::Link, |root| {
        let outer = format!("ostree/boot.{}", chosen(root));
        remove(root, &outer);
        fs::create_dir(root.path(&outer)).unwrap();
    }),
    damage("the_root_has_only_the_other_set_of_links", Topic::Link, |root| {
        let (set, other) = (chosen(root), 1 - chosen(root));
        let now = fs::read_link(root.path(&format!("ostree/boot.{set}"))).unwrap().display().to_string();
        let new = format!("boot.{other}.{}", &now[now.len() - 1..]);
        fs::rename(root.path(&format!("ostree/{now}")), root.path(&format!("ostree/{new}"))).unwrap();
        remove(root, &format!("ostree/boot.{set}"));
        link(root, &format!("ostree/boot.{other}"), &new);
    }),
    damage("all_links_are_gone", Topic::Link, |root| {
        for entry in fs::read_dir(root.path("ostree")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.starts_with("boot.") {
                remove(root, &format!("ostree/{name}"));
            }
        }
    }),
    damage("all_links_and_the_refs_are_gone", Topic::Link, |root| {
        remove(root, "ostree/repo/refs/heads/ostree");
        remove(root, &format!("ostree/boot.{}", chosen(root)));
        for sub in [0, 1] {
            remove(root, &format!("ostree/boot.{}.{sub}", chosen(root)));
        }
    }),
    damage("an_inner_link_is_missing", Topic::Link, |root| {
        let link = inner_link(root, 0);
        fs::remove_file(&link).unwrap();
        fs::remove_dir(link.parent().unwrap()).unwrap();
    }),
    damage("an_inner_link_leads_to_no_deployment", Topic::Link, |root| {
        let link = inner_link(root, 1);
        fs::remove_file(&link).unwrap();
        symlink(format!("../../../deploy/testos/deploy/{}.0", "0".repeat(64)), link).unwrap();
    }),
    damage("an_inner_link_leads_out_of_the_root", Topic::Link, |root| {
        let link = inner_link(root, 0);
        fs::remove_file(&link).unwrap();
        symlink("/usr", link).unwrap();
    }),
    damage("an_entry_is_empty", Topic::Entry, |root| fs::write(entry(root, 1), "").unwrap()),
    damage("the_first_entry_is_empty", Topic::Entry, |root| fs::write(entry(root, 0), "").unwrap()),
    damage("an_entry_is_torn", Topic::Entry, |root| {
        let text = fs::read_to_string(entry(root, 0)).unwrap();
        let at = text.find("ostree=").unwrap() + 20;
        fs::write(entry(root, 0), &text[..at]).unwrap();
    }),
    damage("an_entry_is_zeroes", Topic::Entry, |root| fs::write(entry(root, 0), [0; 400]).unwrap()),
    damage("an_entry_has_lost_its_ostree_argument", Topic::Entry, |root| {
        edit(root, 0, |text| text.replace(" ostree=", " lost="));
    }),
    damage("an_entry_has_another_ostree_argument_in_front", Topic::Entry, |root| {
        edit(root, 0, |text| text.replace("ostree=", "\"ostree=/x y\" ostree="));
    }),
    damage("an_entry_has_another_ostree_argument_behind", Topic::Entry, |root| {
        edit(root, 1, |text| text.replace("\nlinux ", " \"ostree\"=/x\nlinux "));
    }),
    damage("an_entry_has_the_ostree_argument_of_the_other", Topic::Entry, |root| {
        let other = root.sysroot().load_lenient().unwrap().boot.entries[0].bootlink.to_string();
        edit(root, 1, |text| text.replace("\nlinux ", &format!(" ostree=\"{other}\"\nlinux ")));
    }),
    damage("an_entry_has_lost_its_kernel", Topic::Entry, |root| {
        edit(root, 1, |text| text.replace("\nlinux ", "\nx-linux "));
    }),
    damage("an_entry_names_another_kernel", Topic::Entry, |root| {
        edit(root, 1, |text| text.replace("vmlinuz-6.1.0", "vmlinuz-6.0.0"));
    }),
    damage("an_entry_names_the_other_set_of_links", Topic::Entry, |root| {
        let (set, other) = (chosen(root), 1 - chosen(root));
        for index in [0, 1] {
            edit(root, index, |text| text.replace(&format!("/boot.{set}/"), &format!("/boot.{other}/")));
        }
    }),
    damage("the_first_entry_is_missing", Topic::Entry, |root| fs::remove_file(entry(root, 0)).unwrap()),
    damage("the_second_entry_is_missing", Topic::Entry, |root| fs::remove_file(entry(root, 1)).unwrap()),
    damage("a_kernel_is_missing", Topic::BootFile, |root| fs::remove_file(file(root, 0, "linux")).unwrap()),
    damage("an_initrd_is_missing", Topic::BootFile, |root| fs::remove_file(file(root, 1, "initrd")).unwrap()),
    damage("a_kernel_is_torn", Topic::BootFile, |root| {
        // Not in place: it may be a link to the deployment's own.
        let path = file(root, 0, "linux");
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    damage("a_kernel_has_other_bytes", Topic::BootFile, |root| {
        let path = file(root, 0, "linux");
        let mut bytes = fs::read(&path).unwrap();
        bytes[100_000] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, &bytes).unwrap();
    }),
    damage("all_boot_files_are_gone", Topic::BootFile, |root| remove(root, "boot/ostree")),
    damage("kernel_entry_and_link_at_once", Topic::BootFile, |root| {
        fs::remove_file(file(root, 1, "linux")).unwrap();
        let link = inner_link(root, 0);
        fs::write(entry(root, 0), "").unwrap();
        fs::remove_file(link).unwrap();
        remove(root, "boot/loader");
    }),
    Damage {
        name: "the_first_deployment_is_gone",
        topic: Topic::Deployment,
        make: |root| remove(root, &root.menu()[0]),
        menu: Menu::WithoutFirst,
    },
    Damage {
        name: "the_second_deployment_has_lost_its_etc",
        topic: Topic::Deployment,
        make: |root| {
            let path = root.path(&root.menu()[1]);
            let dir = fs::File::open(&path).unwrap();
            let flags = rustix::fs::ioctl_getflags(&dir).unwrap();
            rustix::fs::ioctl_setflags(&dir, flags - rustix::fs::IFlags::IMMUTABLE).unwrap();
            durable::remove_tree(dir.as_fd(), "etc").unwrap();
        },
        menu: Menu::WithoutSecond,
    },
];

/// The chosen set.
fn chosen(root: &Root) -> u8 {
    let target = fs::read_link(root.path("boot/loader")).unwrap();
    if target.to_str() == Some("loader.0") { 0 } else { 1 }
}

fn remove(root: &Root, path: &str) {
    let (dir, name) = path.rsplit_once('/').unwrap();
    durable::remove_tree(fs::File::open(root.path(dir)).unwrap().as_fd(), name).unwrap();
}

fn link(root: &Root, path: &str, target: &str) {
    remove(root, path);
    symlink(target, root.path(path)).unwrap();
}

/// The file of an entry, counted from the default.
pub(crate) fn entry(root: &Root, index: usize) -> PathBuf {
    root.path(&format!("boot/loader.{}/entries/ostree-{}.conf", chosen(root), 2 - index))
}

fn edit(root: &Root, index: usize, edit: impl Fn(String) -> String) {
    let path = entry(root, index);
    fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
}

/// A boot file that an entry names.
pub(crate) fn file(root: &Root, index: usize, key: &str) -> PathBuf {
    let entry = &root.sysroot().load_lenient().unwrap().deployments[index].entry;
    root.path("boot").join(entry.get(key).unwrap().trim_start_matches('/'))
}

/// The link that an entry leads through, without links on its way.
fn inner_link(root: &Root, index: usize) -> PathBuf {
    let link = root.sysroot().load_lenient().unwrap().boot.entries[index].bootlink.to_string();
    let (outer, inner) = link.trim_start_matches("/ostree/").split_once('/').unwrap();
    root.path("ostree").join(fs::read_link(root.path("ostree").join(outer)).unwrap()).join(inner)
}
