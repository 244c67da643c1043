// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel arguments: what is printed reads the same, an edit is done once, and there is one `ostree=` after it was set.
#![no_main]

use formats::kernel_args::KernelArgs;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    let args = KernelArgs::parse(line);
    assert_eq!(KernelArgs::parse(&args.to_string()), args);
    for arg in args.iter() {
        assert!(args.contains(arg));
    }
    one_ostree(args.clone());
    // The arguments that are there, and those that are asked for.
    let (there, asked) = line.split_once('\n').unwrap_or((line, line));
    edits(&KernelArgs::parse(there), asked);
});

fn edits(there: &KernelArgs, asked: &str) {
    type Edit = fn(&mut KernelArgs, &str) -> Result<(), formats::kernel_args::EditError>;
    let all: [Edit; 6] = [
        KernelArgs::append,
        KernelArgs::append_if_missing,
        KernelArgs::set,
        KernelArgs::replace,
        KernelArgs::delete,
        KernelArgs::delete_if_present,
    ];
    for edit in all {
        let mut edited = there.clone();
        let done = edit(&mut edited, asked);
        assert!(done.is_err() || KernelArgs::parse_closed(asked).is_ok(), "an open quote was taken");
        assert_eq!(KernelArgs::parse(&edited.to_string()), edited);
        one_ostree(edited);
    }
    let mut once = there.clone();
    if once.append_if_missing(asked).is_ok() {
        let mut twice = once.clone();
        twice.append_if_missing(asked).expect("it was taken before");
        assert_eq!(twice, once);
    }
}

fn one_ostree(mut args: KernelArgs) {
    args.set_only("ostree", "/ostree/boot.1/os/x/0");
    let again = KernelArgs::parse(&args.to_string());
    assert_eq!(again.named("ostree").count(), 1);
    assert_eq!(again.first("ostree"), Some(Some("/ostree/boot.1/os/x/0")));
}
