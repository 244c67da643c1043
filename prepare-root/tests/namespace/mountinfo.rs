// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mounts of this process, from `/proc/self/mountinfo`.

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mounted {
    /// Mount point.
    pub(crate) at: String,
    /// Directory of the file system that is mounted there.
    pub(crate) root: String,
    /// Options of the mount itself.
    pub(crate) options: Vec<String>,
    /// Whether it has a peer group.
    pub(crate) shared: bool,
}

impl Mounted {
    pub(crate) fn readonly(&self) -> bool {
        self.options.iter().any(|option| option == "ro")
    }
}

/// The mounts at and below `prefix`, sorted by mount point, with `prefix` cut off.
pub(crate) fn below(prefix: &str) -> Vec<Mounted> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut mounts: Vec<Mounted> = text.lines().filter_map(|line| parse(line, prefix)).collect();
    mounts.sort();
    mounts
}

fn parse(line: &str, prefix: &str) -> Option<Mounted> {
    let fields: Vec<&str> = line.split(' ').collect();
    let at = fields[4].strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
    Some(Mounted {
        at: at.to_owned(),
        root: fields[3].to_owned(),
        options: fields[5].split(',').map(str::to_owned).collect(),
        shared: fields[6..].iter().any(|field| field.starts_with("shared:")),
    })
}
