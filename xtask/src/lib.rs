// SPDX-License-Identifier: MIT OR Apache-2.0
//! Developer commands, a module a verb. `./run` makes sure of the tools and hands over to this program.

mod apt;
mod architecture;
mod bench;
mod build;
mod crash;
mod deb;
mod elf;
mod fuzz_check;
mod install;
mod licenses;
mod lint;
mod manifest;
mod peer;
mod process;
mod static_program;
mod terminal;
mod test;
mod units;
mod verbs;
mod vm;
mod workspace;

pub use architecture::Table;
pub use bench::measure_one;
pub use verbs::main;
