// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects that Debian's `ostree` 2025.2 wrote: each has the checksum of its name, is read, and is written again
//! byte for byte.

use formats::gvariant::Variant;
use formats::object::{ArchiveHeader, Commit, DirMeta, DirTree, FileHeader, FileMeta};
use formats::{Checksum, Hasher};

/// Name and bytes of every commit object of one commit.
const COMMIT: &[(&str, &str)] = &[(
    "c33dbf52eceeb6bc6d04683434a55c6118dd68e9e9e63a6eec2105bb21073a31",
    "\
         76657273696f6e0037000073080000006e00000000000000090000000000000000740200000000006f73747265\
         652e7265662d62696e64696e67000000000000780002006173130d2347530042000000000000006553f10029d9\
         57435c4ff0ac698b8c9cfeb1b675ddece2ff9e0a13adb87398dab81f977b6f2d9f8bca19e2fc5172dde1b765df\
         5c778f443bbe11a8eb3b0911956f9e381b784e4c4a4a4a",
)];

/// Name and bytes of every dirtree object of one commit.
const DIRTREE: &[(&str, &str)] = &[
    (
        "29d957435c4ff0ac698b8c9cfeb1b675ddece2ff9e0a13adb87398dab81f977b",
        "\
         68656c6c6f2e74787400c12862240e5a9f14eb00b9892ed872ccd36ccb84c92c6e853778ca8e24b680ba0a6c69\
         6e6b000964bea4a190244c36828f178418147a109e89a7c515c2ae08c5367584a9d8e0052b51646972006e340b\
         9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d12fca0527ffa57c9706dcd90471cb5f0\
         20aec6ec3d7d007d8efbc6eb75e3f1cb24044653",
    ),
    (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "\
         00",
    ),
];

/// Name and bytes of every dirmeta object of one commit.
const DIRMETA: &[(&str, &str)] = &[
    (
        "12fca0527ffa57c9706dcd90471cb5f020aec6ec3d7d007d8efbc6eb75e3f1cb",
        "\
         000003e800000005000045ed",
    ),
    (
        "6f2d9f8bca19e2fc5172dde1b765df5c778f443bbe11a8eb3b0911956f9e381b",
        "\
         000003e800000005000041ed",
    ),
];

/// Name and bytes of every filez object of one commit.
const FILEZ: &[(&str, &str)] = &[
    (
        "0964bea4a190244c36828f178418147a109e89a7c515c2ae08c5367584a9d8e0",
        "\
         00000023000000000000000000000000000003e8000000050000a1ff0000000068656c6c6f2e7478740022",
    ),
    (
        "c12862240e5a9f14eb00b9892ed872ccd36ccb84c92c6e853778ca8e24b680ba",
        "\
         0000002400000000000000000000000d000003e800000005000081a40000000000757365722e6b0076070919f3\
         48cdc9c95728cf2fca4951e40200",
    ),
];

/// The xattrs of the same files in a bare-user repository.
const OSTREEMETA: &[&str] = &["000003e8000000050000a1ff", "000003e800000005000081a4757365722e6b00760709"];

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    hex.as_bytes().chunks(2).filter_map(byte).collect()
}

#[test]
fn commits() {
    let [(name, hex)] = COMMIT else { panic!("one commit") };
    let data = bytes(hex);
    assert_eq!(Checksum::of(&data).to_string(), *name);
    let commit = Commit::parse(&data).unwrap();
    assert_eq!((commit.subject.as_str(), commit.body.as_str(), commit.timestamp), ("S", "B", 1_700_000_000));
    let text = "{'version': <'7'>, 'n': <uint64 9>, 'ostree.ref-binding': <['x']>}";
    assert_eq!(commit.metadata.view().unwrap().to_string(), text);
    assert_eq!(commit.serialize().unwrap(), data);
    assert!(DIRTREE.iter().any(|(name, _)| *name == commit.tree.to_string()));
    assert!(DIRMETA.iter().any(|(name, _)| *name == commit.meta.to_string()));
}

#[test]
fn trees() {
    for (name, hex) in DIRTREE {
        let data = bytes(hex);
        assert_eq!(Checksum::of(&data).to_string(), *name);
        assert_eq!(DirTree::parse(&data).unwrap().serialize().unwrap(), data);
    }
    // The empty one among them.
    assert!(DIRTREE.iter().any(|(_, hex)| *hex == "00"));
}

#[test]
fn directory_metadata() {
    let mut modes = Vec::new();
    for (name, hex) in DIRMETA {
        let data = bytes(hex);
        assert_eq!(Checksum::of(&data).to_string(), *name);
        let meta = DirMeta::parse(&data).unwrap();
        assert_eq!((meta.meta().uid, meta.meta().gid), (1000, 5));
        assert_eq!(meta.serialize(), data);
        modes.push(meta.meta().mode);
    }
    modes.sort_unstable();
    assert_eq!(modes, [0o040_755, 0o042_755]);
}

#[test]
fn files() {
    let mut links = 0;
    for (name, hex) in FILEZ {
        let data = bytes(hex);
        let len = ArchiveHeader::frame(data[..8].try_into().unwrap()).unwrap();
        let header = ArchiveHeader::parse(&data[8..8 + len]).unwrap();
        let mut framed = Vec::new();
        header.write_framed(&mut framed);
        assert_eq!(framed, data[..8 + len]);
        // The name is that of another header and the content.
        header.file.write_framed(&mut framed);
        let mut hasher = Hasher::new();
        hasher.update(&framed);
        match header.file.meta.is_symlink() {
            true => links += 1,
            false => hasher.update(b"Hello world!\n"),
        }
        assert_eq!(hasher.finish().to_string(), *name);
        assert_eq!(FileHeader::parse(&framed[8..]).unwrap(), header.file);
        assert!(OSTREEMETA.iter().any(|hex| bytes(hex) == header.file.meta.serialize()));
    }
    assert_eq!(links, 1);
    for hex in OSTREEMETA {
        assert_eq!(FileMeta::parse(&bytes(hex)).unwrap().serialize(), bytes(hex));
    }
}

#[test]
fn every_piece_of_an_object_is_an_error_or_another_object() {
    for (ty, objects) in
        [("(a{sv}aya(say)sstayay)", COMMIT), ("(a(say)a(sayay))", DIRTREE), ("(uuua(ayay))", DIRMETA)]
    {
        for (_, hex) in objects {
            let data = bytes(hex);
            for len in 0..data.len() {
                let piece = &data[..len];
                let normal = Variant::new(ty, piece).is_ok_and(|value| value.check_normal().is_ok());
                let read = match ty {
                    "(a(say)a(sayay))" => DirTree::parse(piece).is_ok(),
                    "(uuua(ayay))" => DirMeta::parse(piece).is_ok(),
                    _ => Commit::parse(piece).is_ok(),
                };
                assert!(normal || !read, "{ty}: {len} bytes");
            }
        }
    }
}
