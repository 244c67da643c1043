// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grammar of QEMU's options.

use std::ffi::OsString;
use std::path::Path;

/// An option of QEMU that ends in a file name, in which a comma is written twice.
pub(crate) fn option(prefix: &str, file: &Path) -> OsString {
    let mut option = OsString::from(prefix);
    option.push(file.to_string_lossy().replace(',', ",,"));
    option
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_file_names_are_doubled() {
        assert_eq!(option("path=", Path::new("/a,b")), "path=/a,,b");
    }
}
