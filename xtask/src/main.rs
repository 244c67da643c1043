// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask VERB`: see `./run`.

fn main() -> std::process::ExitCode {
    xtask::main()
}
