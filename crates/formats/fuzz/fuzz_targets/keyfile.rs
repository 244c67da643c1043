// SPDX-License-Identifier: MIT OR Apache-2.0
//! A key file: written back as it was read, and every value can be asked for.
#![no_main]

use formats::keyfile::Keyfile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(mut file) = Keyfile::parse(text) else { return };
    // The last line gets the end that it may lack.
    assert_eq!(file.to_string().trim_end_matches('\n'), text.trim_end_matches('\n'));
    let names = |file: &Keyfile| -> Vec<(String, String)> {
        let keys = |group: &&str| {
            let group = (*group).to_owned();
            file.keys(&group).into_iter().map(|key| (group.clone(), key.to_owned())).collect::<Vec<_>>()
        };
        file.groups().iter().flat_map(keys).collect()
    };
    for (group, key) in names(&file) {
        assert!(file.raw(&group, &key).is_some());
        let _ = (file.string(&group, &key), file.boolean(&group, &key), file.list(&group, &key));
        file.set_string(&group, &key, text);
        assert_eq!(file.string(&group, &key).expect("our own escapes are read"), Some(text.to_owned()));
    }
    let again = Keyfile::parse(&file.to_string()).expect("what we wrote is read");
    assert_eq!(names(&again), names(&file));
});
