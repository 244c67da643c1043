// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reader of `/proc/self/mountinfo` as a guest reported it.

/// One mount. Paths keep the kernel's octal escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The directory of the file system that is mounted here.
    pub(crate) root: String,
    /// Where it is mounted.
    pub(crate) mount_point: String,
    /// Options of this mount, such as `ro`.
    options: String,
    /// The file system's type.
    pub(crate) file_system: String,
}

impl Mount {
    /// Whether this mount refuses writes.
    pub(crate) fn read_only(&self) -> bool {
        self.options.split(',').any(|option| option == "ro")
    }
}

/// Reads a table; `None` where a line does not have the kernel's form.
pub(crate) fn parse(lines: &[String]) -> Option<Vec<Mount>> {
    lines.iter().map(|line| parse_line(line)).collect()
}

/// The mount that is seen at a path: the last one made there.
pub(crate) fn at<'a>(mounts: &'a [Mount], mount_point: &str) -> Option<&'a Mount> {
    mounts.iter().rev().find(|mount| mount.mount_point == mount_point)
}

fn parse_line(line: &str) -> Option<Mount> {
    // ID, parent, device, root, mount point, options, optional fields up to "-", type, source, super options
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    Some(Mount {
        root: left.next()?.to_owned(),
        mount_point: left.next()?.to_owned(),
        options: left.next()?.to_owned(),
        file_system: right.split(' ').next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read() {
        let lines = [
            "70 1 254:0 /ostree/deploy/a/deploy/c.0 / rw,relatime shared:1 - ext4 /dev/vda rw".to_owned(),
            "73 70 254:0 /ostree/x/usr /usr ro,relatime shared:4 master:2 - ext4 /dev/vda rw".to_owned(),
            "74 70 0:24 / /dev/shm rw,nosuid - tmpfs tmpfs rw,inode64".to_owned(),
        ];
        let mounts = parse(&lines).unwrap();
        assert_eq!(at(&mounts, "/").unwrap().root, "/ostree/deploy/a/deploy/c.0");
        assert!(at(&mounts, "/usr").unwrap().read_only());
        assert!(!at(&mounts, "/").unwrap().read_only());
        assert_eq!(at(&mounts, "/dev/shm").unwrap().file_system, "tmpfs");
        assert!(at(&mounts, "/home").is_none());
    }

    #[test]
    fn rubbish_is_refused() {
        assert!(parse(&["70 1 254:0 / /".to_owned()]).is_none());
        assert!(parse(&[String::new()]).is_none());
    }
}
