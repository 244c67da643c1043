// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel arguments: what is printed reads the same.
#![no_main]

use formats::kernel_args::KernelArgs;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    let args = KernelArgs::parse(line);
    let again = KernelArgs::parse(&args.to_string());
    assert_eq!(args.iter().collect::<Vec<_>>(), again.iter().collect::<Vec<_>>());
    for arg in args.iter() {
        assert!(args.contains(arg));
    }
    let mut edited = args.clone();
    edited.append(line);
    let _ = (edited.replace(line), edited.delete(line));
});
