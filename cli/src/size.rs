// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sizes as GLib prints them.

/// `285 bytes`, `1.2 kB`: powers of 1000, a no-break space between.
pub(crate) fn format(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} {}", if bytes == 1 { "byte" } else { "bytes" });
    }
    let mut size = bytes as f64;
    let mut unit = "bytes";
    for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        if size < 1000.0 {
            break;
        }
        (size, unit) = (size / 1000.0, next);
    }
    format!("{size:.1}\u{a0}{unit}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1234, "1.2\u{a0}kB"),
            (5_000_000, "5.0\u{a0}MB"),
        ] {
            assert_eq!(super::format(bytes), text);
        }
    }
}
