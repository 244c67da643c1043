// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `tests-crash` command: see the library.

fn main() -> std::process::ExitCode {
    tests_crash::main()
}
