// SPDX-License-Identifier: MIT OR Apache-2.0
//! The codec against the `gvariant` crate, against fixed bytes and against bytes of nobody.

use formats::gvariant::{DictBuilder, Error, SequenceWriter, Value, Variant};
use gvariant::{Marker, Structure, gv};
use proptest::prelude::*;

/// Text forms that GLib prints as they stand, with the bytes that GLib serialises them to.
const FIXED: &[(&str, &str, &[u8])] = &[
    ("uint32 4242", "u", &[0x92, 0x10, 0, 0]),
    ("'x'", "s", b"x\0"),
    ("\"it's\"", "s", b"it's\0"),
    ("b'x'", "ay", b"x\0"),
    ("@ay []", "ay", b""),
    ("[byte 0x01, 0x00, 0x02]", "ay", &[1, 0, 2]),
    ("@as []", "as", b""),
    ("['a', 'bc']", "as", b"a\0bc\0\x02\x05"),
    ("@a{sv} {}", "a{sv}", b""),
    ("{'k': <true>}", "a{sv}", b"k\0\0\0\0\0\0\0\x01\0b\x02\x0c"),
    ("(1,)", "(i)", &[1, 0, 0, 0]),
    ("()", "()", &[0]),
    ("('a', byte 0x07)", "(sy)", b"a\0\x07\x02"),
    ("@ms nothing", "ms", b""),
    ("@ms 'a'", "ms", b"a\0\0"),
    ("@mmi just nothing", "mmi", &[0]),
    ("<uint64 5>", "v", b"\x05\0\0\0\0\0\0\0\0t"),
    ("1.5", "d", &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f]),
    ("100.0", "d", &[0, 0, 0, 0, 0, 0, 0x59, 0x40]),
    ("'\\n\\u0001é'", "s", b"\n\x01\xc3\xa9\0"),
];

#[test]
fn fixed_values_read_print_and_build() {
    for (text, ty, bytes) in FIXED {
        let value = Variant::new(ty, bytes).unwrap();
        value.check_normal().unwrap();
        assert_eq!(value.to_text(true).unwrap(), *text);
        assert_eq!(Value::parse_text(text).unwrap().data(), *bytes, "{text}");
    }
}

#[test]
fn an_empty_directory_tree_is_one_byte() {
    let array = |ty: &str| Value::array(ty, &[]).unwrap();
    assert_eq!(Value::tuple(&[array("(say)"), array("(sayay)")]).data(), [0]);
    // A file that was cut off must not read as an empty directory.
    let cut = Variant::new("(a(say)a(sayay))", b"").unwrap();
    assert!(cut.child(0).is_err() && cut.check_normal().is_err());
}

#[test]
fn texts_that_are_no_values_are_refused() {
    for (ty, text) in [
        ("s", "'zero \0 byte'"),
        ("s", "'\\u+041'"),
        ("o", "objectpath 'no/slash'"),
        ("o", "@o '/a//b'"),
        ("o", "@o '/a/'"),
        ("g", "signature 'a'"),
        ("g", "@g '(s'"),
    ] {
        assert!(Value::parse_text(text).is_err(), "{text:?}");
        let content = text.split('\'').nth(1).unwrap();
        if ty != "s" {
            assert!(
                Variant::new(ty, format!("{content}\0").as_bytes()).unwrap().as_str().is_err(),
                "{text:?}"
            );
        }
    }
    for text in ["objectpath '/'", "objectpath '/a/b_1'", "signature ''", "signature 'a{sv}(ii)s'"] {
        let value = Value::parse_text(text).unwrap();
        assert_eq!(value.view().unwrap().to_text(true).unwrap(), text);
    }
}

#[test]
fn entries_keep_their_order() {
    let mut dict = DictBuilder::new();
    dict.insert("z", "1").insert("a", 2u32).insert("z", "3");
    let built = dict.build();
    assert_eq!(built.view().unwrap().to_string(), "{'z': <'3'>, 'a': <uint32 2>}");
    let view = built.view().unwrap();
    assert_eq!(view.lookup("a").unwrap().unwrap().as_u32(), Ok(2));
    assert_eq!(view.lookup("b").unwrap(), None);
    assert_eq!(DictBuilder::from_variant(view).unwrap(), dict);
}

#[test]
fn broken_bytes_are_errors() {
    let cases: &[(&str, &[u8])] = &[
        ("as", b"a\0\x09"),
        ("as", b"a\0b\0\x04\x02"),
        ("as", b"a\0\x01\x02"),
        ("s", b"a"),
        ("s", b"a\0b\0"),
        ("s", b"\xff\0"),
        ("v", b"x"),
        ("v", b"\0z"),
        ("(sy)", b"a\0\x07\x09"),
        ("(sy)", b""),
        ("b", &[2]),
        ("au", &[1, 2, 3]),
        // Can be read, but another writer made it: a pad byte that is not zero, an offset that is too wide.
        ("(yu)", &[1, 1, 0, 0, 0, 0, 0, 0]),
        ("(yy)", &[1]),
    ];
    for (ty, bytes) in cases {
        let outcome = Variant::new(ty, bytes).and_then(|value| value.check_normal());
        assert!(outcome.is_err(), "{ty} {bytes:?}");
    }
    let nested = (0..200).fold(Value::from(1u8), |inner, _| Value::variant(&inner));
    assert_eq!(nested.view().unwrap().check_normal(), Err(Error::TooDeep));
}

fn a_type() -> impl Strategy<Value = String> {
    let basic =
        prop::sample::select(vec!["b", "y", "n", "u", "t", "d", "s", "v", "ay"]).prop_map(str::to_owned);
    basic.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|ty| format!("a{ty}")),
            inner.clone().prop_map(|ty| format!("m{ty}")),
            inner.clone().prop_map(|ty| format!("a{{s{ty}}}")),
            prop::collection::vec(inner, 1..4).prop_map(|types| format!("({})", types.concat())),
        ]
    })
}

/// Walks everything that can be asked of a value.
fn walk(value: Variant<'_>) {
    let _ = (value.as_str(), value.as_bool(), value.as_bytes(), value.to_text(true), format!("{value:?}"));
    if let Ok(inner) = value.as_variant() {
        walk(inner);
    }
    if let Ok(Some(inner)) = value.as_maybe() {
        walk(inner);
    }
    for (index, child) in value.iter().into_iter().flatten().enumerate() {
        assert_eq!(value.child(index), child);
        if let Ok(child) = child {
            walk(child);
        }
    }
}

/// The fields of the tuples in an array, as bytes, as long as there is no error; and whether there was one.
type Fields = (Vec<Vec<Vec<u8>>>, bool);

fn fields_by_children(array: Variant<'_>) -> Fields {
    let mut found = Vec::new();
    let Ok(children) = array.iter() else { return (found, true) };
    for child in children {
        let fields: Result<Vec<_>, Error> =
            child.and_then(|child| child.iter()?.map(|field| Ok(field?.data().to_vec())).collect());
        match fields {
            Ok(fields) => found.push(fields),
            Err(_) => return (found, true),
        }
    }
    (found, false)
}

fn fields_at_once<const N: usize>(array: Variant<'_>) -> Fields {
    let mut found = Vec::new();
    let Ok(tuples) = array.plain_tuples::<N>() else { return (found, true) };
    for tuple in tuples {
        match tuple {
            Ok(fields) => found.push(fields.iter().map(|field| field.as_bytes().to_vec()).collect()),
            Err(_) => return (found, true),
        }
    }
    (found, false)
}

#[test]
fn only_tuples_of_strings_and_byte_strings_are_plain() {
    for ty in ["as", "ay", "a(ss)", "a(sayays)", "a(sv)", "a(st)", "a{ss}"] {
        let plain = Variant::new(ty, b"").unwrap().plain_tuples::<2>().is_ok();
        assert_eq!(plain, ["a(ss)", "a{ss}"].contains(&ty), "{ty}");
    }
}

proptest! {
    #[test]
    fn plain_tuples_are_the_children(
        rows in prop::collection::vec(("[a-z]{0,20}", prop::collection::vec(any::<u8>(), 0..40)), 0..12),
        spoiled in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in 0..3usize,
    ) {
        let sum = |bytes: &[u8]| Value::bytes(bytes);
        let two: Vec<_> = rows.iter().map(|(name, a)| Value::tuple(&[Value::string(name), sum(a)])).collect();
        let three: Vec<_> = rows.iter().map(|(name, a)| Value::tuple(&[Value::string(name), sum(a), sum(a)])).collect();
        for (ty, rows) in [("(say)", two), ("(sayay)", three)] {
            let mut bytes = Value::array(ty, &rows).unwrap().into_data();
            for (at, byte) in &spoiled {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
            }
            bytes.truncate(bytes.len().saturating_sub(cut));
            let ty = format!("a{ty}");
            let array = Variant::new(&ty, &bytes).unwrap();
            let at_once = if ty == "a(say)" { fields_at_once::<2>(array) } else { fields_at_once::<3>(array) };
            prop_assert_eq!(at_once, fields_by_children(array));
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(ty in a_type(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(value) = Variant::new(&ty, &bytes) {
            walk(value);
            if value.check_normal().is_ok() {
                let text = value.to_text(true).unwrap();
                prop_assert!(Value::from_bytes(&ty, bytes.clone()).is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn any_text_is_parsed_without_panic(text in "[@a-z0-9'\"<>(){}\\[\\],: .\\\\-]{0,40}") {
        if let Ok(value) = Value::parse_text(&text) {
            value.view().unwrap().check_normal().unwrap();
            let printed = value.view().unwrap().to_text(true).unwrap();
            let again = Value::parse_text(&printed).unwrap();
            prop_assert_eq!(again.type_string(), value.type_string());
        }
    }

    #[test]
    fn trees_match_the_gvariant_crate(
        files in prop::collection::vec(("[a-z]{1,40}", any::<[u8; 32]>()), 0..40),
        dirs in prop::collection::vec(("[a-z]{1,40}", any::<[u8; 32]>()), 0..10),
    ) {
        let mut writer = SequenceWriter::array("(say)").unwrap();
        let file_values: Vec<_> = files.iter().map(|(name, sum)| Value::tuple(&[Value::string(name), Value::bytes(sum)])).collect();
        file_values.iter().for_each(|value| writer.push(|out| out.extend_from_slice(value.data())));
        let dir_values: Vec<_> =
            dirs.iter().map(|(name, sum)| Value::tuple(&[Value::string(name), Value::bytes(sum), Value::bytes(sum)])).collect();
        let files_array = Value::array("(say)", &file_values).unwrap();
        prop_assert_eq!(writer.finish(), files_array.data());
        let ours = Value::tuple(&[files_array, Value::array("(sayay)", &dir_values).unwrap()]);

        let files: Vec<_> = files.iter().map(|(name, sum)| (name.as_str(), &sum[..])).collect();
        let dirs: Vec<_> = dirs.iter().map(|(name, sum)| (name.as_str(), &sum[..], &sum[..])).collect();
        let theirs = gv!("(a(say)a(sayay))").serialize_to_vec(&(&files[..], &dirs[..]));
        prop_assert_eq!(ours.data(), &theirs[..]);
        ours.view().unwrap().check_normal().unwrap();

        let mut read = Vec::new();
        for entry in ours.view().unwrap().child(0).unwrap().iter().unwrap() {
            let entry = entry.unwrap();
            read.push((entry.child(0).unwrap().as_str().unwrap(), entry.child(1).unwrap().as_bytes().unwrap()));
        }
        prop_assert_eq!(read, files);
    }

    #[test]
    fn tuples_match_the_gvariant_crate(text in "[a-zé]{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..300), small: u8, wide: u64) {
        let ours = Value::tuple(&[small.into(), Value::string(&text), wide.into(), Value::bytes(&bytes), Value::string(&text), small.into()]);
        let theirs = gv!("(ystaysy)").serialize_to_vec(&(small, text.as_str(), wide, &bytes[..], text.as_str(), small));
        prop_assert_eq!(ours.data(), &theirs[..]);
        let aligned = gvariant::aligned_bytes::copy_to_align(&theirs);
        prop_assert_eq!(*gv!("(ystaysy)").cast(aligned.as_ref()).to_tuple().2, wide);
        prop_assert_eq!(ours.view().unwrap().child(2).unwrap().as_u64(), Ok(wide));
    }
}
