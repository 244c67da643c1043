// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `tests-vm` command: see the library.

fn main() -> std::process::ExitCode {
    tests_vm::main(std::env::args().skip(1).collect())
}
