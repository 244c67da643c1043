// SPDX-License-Identifier: MIT OR Apache-2.0
//! `measure-one PROGRAM [ARGUMENT]…` prints the time and the peak memory of a program. A child begins with the peak of the
//! process that starts it, so this one is small and separate.

fn main() -> std::process::ExitCode {
    xtask::measure_one()
}
