// SPDX-License-Identifier: MIT OR Apache-2.0
//! Developer commands, a module a verb. `./run` makes sure of the tools and hands over to this program.

mod apt;
mod architecture;
mod bench;
mod book;
mod build;
mod circles;
mod crash;
mod deb;
mod diff_peer;
mod dist;
mod doc_names;
mod documentation;
mod elf;
mod fresh;
mod fuzz_check;
mod install;
mod licenses;
mod lint;
mod manifest;
mod peer;
mod picture;
mod process;
mod ratchet;
mod static_program;
mod terminal;
mod test;
mod tree;
mod units;
mod upstream;
mod verbs;
mod vm;
mod workspace;

pub use architecture::Table;
pub use bench::measure_one;
pub use verbs::main;
