// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `tests-peer` command: see the library.

fn main() -> std::process::ExitCode {
    tests_peer::main()
}
