// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use proptest::prelude::*;

/// Written by Debian's ostree 2025.2: `admin deploy --stage --karg-append=foo`.
fn with_kernel_args() -> Vec<u8> {
    let pieces: &[&[u8]] = &[
        b"target\0\0name\0\0\0\x0053f3ee222a0e801af1d2288fa90c083ab70fc865a4e08db2",
        b"500216e1eb1de68d.0\0\0s\x05\0\0osname\0\0testos\0\0s\x07\0\0\0\0\0\0bootcsum\0\0\0\0\0\0\0\0",
        b"d83fa9255dad79548287ef025dea61d2d475752325cad1f9d03d78bd445632fd",
        b"\0\0s\x09Nb\xbc\0a{sv}\x07\0\0merge-deployment\0\0\0\0\0\0\0\0name\0\0\0\x008f52a6f9e5b57d4c",
        b"d0fd519dd24b9b7c94e243cb7e26a51f44fe4d757b24048d.0\0\0s\x05\0\0osname\0\0",
        b"testos\0\0s\x07\0\0\0\0\0\0bootcsum\0\0\0\0\0\0\0\x001b34abffdf65c510d7bd4efeae2c7279",
        b"4b7bd2a8d64154ad0dfad6082344d152\0\0s\x09Nb\xbc\0a{sv}\x11\0\0kargs\0\0\0root=LAB",
        b"EL=r\0rw\0ostree=/ostree/boot.1/testos/1b34abffdf65c510d7bd4efeae2",
        b"c72794b7bd2a8d64154ad0dfad6082344d152/0\0foo\0\x0d\x10pt\0as\x06\xce\0\xae\x014\x02",
    ];
    pieces.concat()
}

/// The same after `admin lock-finalization`, which leaves the keys in the order of a hash table.
fn locked() -> Vec<u8> {
    let pieces: &[&[u8]] = &[
        b"kargs\0\0\0root=LABEL=r\0rw\0ostree=/ostree/boot.1/testos/1b34abffdf6",
        b"5c510d7bd4efeae2c72794b7bd2a8d64154ad0dfad6082344d152/0\0foo\0\x0d\x10pt",
        b"\0as\x06\0\0\0\0locked\0\0\x01\0b\x07\0\0\0\0target\0\0name\0\0\0\x0053f3ee222a0e801af1d2288f",
        b"a90c083ab70fc865a4e08db2500216e1eb1de68d.0\0\0s\x05\0\0osname\0\0testos\0\0",
        b"s\x07\0\0\0\0\0\0bootcsum\0\0\0\0\0\0\0\0d83fa9255dad79548287ef025dea61d2d4757523",
        b"25cad1f9d03d78bd445632fd\0\0s\x09Nb\xbc\0a{sv}\x07\0\0merge-deployment\0\0\0\0\0\0\0\0",
        b"name\0\0\0\x008f52a6f9e5b57d4cd0fd519dd24b9b7c94e243cb7e26a51f44fe4d75",
        b"7b24048d.0\0\0s\x05\0\0osname\0\0testos\0\0s\x07\0\0\0\0\0\0bootcsum\0\0\0\0\0\0\0\x001b34abff",
        b"df65c510d7bd4efeae2c72794b7bd2a8d64154ad0dfad6082344d152\0\0s\x09Nb\xbc\0",
        b"a{sv}\x11\x84\0\x94\0f\x01F\x02",
    ];
    pieces.concat()
}

/// `admin deploy --stage --no-merge`.
fn without_merge() -> Vec<u8> {
    let pieces: &[&[u8]] = &[
        b"target\0\0name\0\0\0\x0053f3ee222a0e801af1d2288fa90c083ab70fc865a4e08db2",
        b"500216e1eb1de68d.1\0\0s\x05\0\0osname\0\0testos\0\0s\x07\0\0\0\0\0\0bootcsum\0\0\0\0\0\0\0\0",
        b"d83fa9255dad79548287ef025dea61d2d475752325cad1f9d03d78bd445632fd",
        b"\0\0s\x09Nb\xbc\0a{sv}\x07\xce",
    ];
    pieces.concat()
}

#[test]
fn the_bytes_are_those_of_the_c_program() {
    let staged = Staged::parse(&with_kernel_args()).unwrap();
    assert_eq!(staged.target.path.stateroot, "testos");
    assert_eq!(staged.target.path.deploy_serial, 0);
    assert!(staged.target.boot_checksum.to_string().starts_with("d83fa925"));
    assert!(staged.merge.as_ref().unwrap().path.checksum.to_string().starts_with("8f52a6f9"));
    let args = staged.kernel_args.as_ref().unwrap();
    assert_eq!((args.len(), args[0].as_str(), args[3].as_str()), (4, "root=LABEL=r", "foo"));
    assert!(!staged.locked);
    assert_eq!(staged.to_bytes(), with_kernel_args());
    let bare = Staged::parse(&without_merge()).unwrap();
    assert_eq!((&bare.merge, &bare.kernel_args), (&None, &None));
    assert_eq!(bare.to_bytes(), without_merge());
}

#[test]
fn a_lock_is_one_key_more() {
    let mut staged = Staged::parse(&with_kernel_args()).unwrap();
    staged.locked = true;
    assert_eq!(Staged::parse(&locked()).unwrap(), staged);
    assert_eq!(Staged::parse(&staged.to_bytes()).unwrap(), staged);
}

#[test]
fn keys_of_newer_programs_are_kept() {
    let mut dict = DictBuilder::from_variant(Variant::new("a{sv}", &without_merge()).unwrap()).unwrap();
    dict.insert("colour", "green");
    let staged = Staged::parse(dict.build().data()).unwrap();
    assert_eq!(staged.to_bytes(), dict.build().into_data());
}

#[test]
fn options_are_one_key_more() {
    let mut staged = Staged::parse(&without_merge()).unwrap();
    assert!(staged.options.is_empty());
    staged.options = vec!["no-dtb".to_owned(), "bootloader-naming-1".to_owned()];
    let bytes = staged.to_bytes();
    assert_eq!(Staged::parse(&bytes).unwrap(), staged);
    let mut dict = DictBuilder::from_variant(Variant::new("a{sv}", &without_merge()).unwrap()).unwrap();
    dict.insert("options", Value::strings(&staged.options));
    assert_eq!(bytes, dict.build().into_data());
}

#[test]
fn what_makes_no_sense_is_named() {
    let with = |change: &dyn Fn(&mut DictBuilder)| {
        let mut target = DictBuilder::new();
        target.insert("name", Value::string(&format!("{}.0", "ab".repeat(32))));
        target.insert("osname", "os").insert("bootcsum", Value::string(&"cd".repeat(32)));
        change(&mut target);
        let mut dict = DictBuilder::new();
        dict.insert("target", target.build());
        Staged::parse(dict.build().data())
    };
    with(&|_| ()).unwrap();
    for (key, value) in [("name", "x.0"), ("name", "../../etc"), ("osname", ".."), ("bootcsum", "short")] {
        let error = with(&|target| _ = target.insert(key, value)).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains(value), "{error}");
    }
    assert!(with(&|target| _ = target.remove("name")).unwrap_err().to_string().contains("no \"name\""));
    assert!(with(&|target| _ = target.insert("name", true)).is_err());
    assert_eq!(Staged::parse(b"").unwrap_err(), StagedError::Missing("target"));
}

fn any_place() -> impl Strategy<Value = Place> {
    ("[a-z]{1,8}", any::<[u8; 4]>(), any::<u32>()).prop_map(|(stateroot, bytes, deploy_serial)| Place {
        path: DeploymentPath { stateroot, checksum: Checksum::of(&bytes), deploy_serial },
        boot_checksum: Checksum::of(&bytes[..2]),
    })
}

fn any_staged() -> impl Strategy<Value = Staged> {
    let word = || "[^\\x00]{0,20}";
    let args = proptest::option::of(proptest::collection::vec(word(), 0..5));
    let extra = proptest::collection::vec(("[a-z-]{1,9}", word()), 0..3);
    let initrds = proptest::collection::vec(any::<u8>(), 0..3);
    let words = || proptest::collection::vec(word(), 0..3);
    let place = (words(), any::<bool>(), words(), words());
    (any_place(), any::<bool>(), proptest::option::of(any_place()), args, initrds, extra, place).prop_map(
        |(target, locked, merge, kernel_args, initrds, extra, (retain, not_as_default, ignore, options))| {
            Staged {
                retain,
                ignore,
                options,
                not_as_default,
                locked,
                merge,
                kernel_args,
                overlay_initrds: initrds.iter().map(|byte| Checksum::of(&[*byte])).collect(),
                extra,
                ..Staged::new(target)
            }
        },
    )
}

proptest! {
    #[test]
    fn every_record_is_read_back(staged in any_staged()) {
        let bytes = staged.to_bytes();
        let normal = Variant::new("a{sv}", &bytes).unwrap().check_normal();
        prop_assert!(normal.is_ok());
        prop_assert_eq!(Staged::parse(&bytes).unwrap(), staged);
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Staged::parse(&bytes);
    }
}

#[test]
fn what_is_kept_reads_the_same() {
    let path: DeploymentPath = format!("ostree/deploy/os/deploy/{}.1", "ab".repeat(32)).parse().unwrap();
    let target = Place { path: path.clone(), boot_checksum: Checksum::of(b"") };
    let staged = Staged { locked: true, kernel_args: Some(vec!["a".to_owned()]), ..Staged::new(target) };
    let kept = Kept { staged, attempts: 1, changed: (1 << 40, 999), deployments: vec![path] };
    let bytes = kept.to_bytes();
    assert_eq!(Kept::parse(&bytes), Ok(kept.clone()));
    assert!(matches!(Kept::parse(&kept.staged.to_bytes()), Err(StagedError::Missing("attempts"))));
    for length in 0..bytes.len() {
        let _refused = Kept::parse(&bytes[..length]);
    }
}
