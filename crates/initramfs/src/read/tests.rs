// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use test_world::initramfs;

const IMAGE: (&str, &str) = (CONFIG[0], "[sysroot]\nreadonly=true\n");
const PREPARE: (&str, &str) = ("usr/lib/ostree/ostree-prepare-root", "program");

#[test]
fn what_is_in_it_is_found_however_it_is_compressed() {
    let key = ("etc/ostree/initramfs-root-binding.key", "key");
    let files = [IMAGE, PREPARE, key, (CONFIG[1], "[root]\n"), ("usr/bin/sh", "shell")];
    for compress in ["cat", "gzip -9n", "zstd -q -c", "zstd -q -19 -c --no-check", "gzip -n"] {
        let found = read(&initramfs(&files, compress)[..]).expect(compress);
        assert_eq!(found.config.keys().map(String::as_str).collect::<Vec<_>>(), [CONFIG[1], CONFIG[0]]);
        assert_eq!(found.layers().collect::<Vec<_>>(), [IMAGE, (CONFIG[1], "[root]\n")]);
        assert_eq!(found.keys.get(key.0), Some(&Checksum::of(b"key").to_string()));
        assert_eq!(found.program, Some(Checksum::of(b"program").to_string()));
    }
}

#[test]
fn damage_and_unknown_compression_are_errors() {
    for compress in ["xz -c", "lz4 -q -l -c", "head -c 300", "tr 7 8", "gzip -c | head -c 100"] {
        let bytes = initramfs(&[IMAGE, PREPARE], compress);
        assert!(read(&bytes[..]).is_err(), "{compress}: {:?}", read(&bytes[..]));
    }
    assert!(read(&b"initramfs"[..]).is_err());
}
