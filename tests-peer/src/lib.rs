// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random commands for our `ostree` beside the C tool.
//!
//! A seed grows a case: trees and commands of a repository. Two equal worlds get it; in one our program runs, in the other the
//! peer, and at some steps the two change places, so that each goes on in a repository that the other has written. After every
//! step exit status, output and everything on the disk have to be equal.
//!
//! ```text
//! seed ──▶ grow ──▶ case ──▶ two worlds ──▶ snapshots ──▶ differences ──▶ known? ──▶ shrink ──▶ script
//! ```
//!
//! Differences that are explained stand in one table, each with its reason; whether the test can see at all is part of every
//! run: our program is bent on purpose, and each bend must be found.
#![forbid(unsafe_code)]

pub mod case;
mod compare;
mod difference;
mod ended;
mod grow;
mod known;
mod mutant;
mod random;
mod rows;
mod run;
pub mod script;
mod shrink;
mod snapshot;
mod trees;
mod world;

pub use run::main;
