// SPDX-License-Identifier: MIT OR Apache-2.0
//! The object store in a directory.
//!
//! ```text
//! repo/
//! ├── config              key file: mode and settings
//! ├── objects/ab/cdef….TYPE
//! ├── refs/{heads,remotes,mirrors}/…   one checksum a file
//! ├── state/              partial commits
//! ├── extensions/
//! ├── tmp/                staging directories, caches, and a tree for the next checkout
//! └── .lock               readers and writers share it, prune takes it alone
//! ```
//!
//! A [`Repo`] is opened once and used from any thread. Reading needs nothing else; writing goes through a
//! [`Transaction`], whose objects become visible together, after they are durable.
//!
//! ```
//! use std::path::Path;
//!
//! use formats::object::Commit;
//! use repo::commit::{TreeOptions, add_directory};
//! use repo::tree::Tree;
//! use repo::{CheckoutOptions, Entry, InitOptions, Mode, Repo};
//! use rustix::fs::CWD;
//!
//! # fn main() -> anyhow::Result<()> {
//! let place = tempfile::tempdir()?;
//! std::fs::create_dir(place.path().join("tree"))?;
//! std::fs::write(place.path().join("tree/hello.txt"), "Hello world!\n")?;
//! let options = InitOptions { mode: Mode::BareUser, collection_id: None };
//! let repo = Repo::init(place.path().join("repo"), &options)?;
//!
//! // A directory becomes objects, which are there with the ref that names them.
//! let mut transaction = repo.begin()?;
//! let mut tree = Tree::new();
//! let rules = TreeOptions { canonical_permissions: true, ..TreeOptions::default() };
//! add_directory(&mut transaction, &mut tree, CWD, &place.path().join("tree"), &rules)?;
//! let (root, meta) = tree.write(&mut transaction)?;
//! let commit = transaction.write_commit(&Commit::new(root, meta))?;
//! transaction.set_ref("example/main".parse()?, commit);
//! transaction.commit()?;
//!
//! // And back: by its name, or as a directory.
//! let commit = repo.resolve_rev("example/main")?;
//! let Entry::File(hello) = repo.lookup(&commit, "/hello.txt")? else { panic!("it was a file") };
//! assert_eq!(repo.load_file(&hello)?.size, 13);
//! let options = CheckoutOptions { user_mode: true, ..CheckoutOptions::default() };
//! repo.checkout(&options, &place.path().join("checkout"), &commit)?;
//! assert_eq!(std::fs::read_to_string(place.path().join("checkout/hello.txt"))?, "Hello world!\n");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod acl;
mod bytes;
pub mod checkout;
mod checkout_cache;
pub mod commit;
mod config;
mod consume;
mod depth;
mod devino;
pub mod diff;
mod dirs;
mod error;
mod free_space;
pub mod fsck;
mod ignore;
mod init;
mod lock;
mod lookup;
mod mode;
mod open;
mod overlay;
mod path_table;
pub mod plan;
mod progress;
pub mod prune;
mod prune_selection;
mod read;
mod refs;
mod remembered;
mod remote;
mod remove;
mod scan;
mod staging;
mod stamp;
pub mod summary;
mod traverse;
pub mod tree;
mod tree_options;
mod write;
mod xattr;

pub use checkout::{CheckoutOptions, OverwriteMode};
pub use config::Settings;
pub use consume::Consumption;
pub use depth::{MAX_DEPTH, check_depth};
pub use devino::DevInoCache;
pub use error::RepoError;
pub use ignore::PathSet;
pub use init::InitOptions;
pub use lock::{LockGuard, LockKind, try_lock};
pub use lookup::Entry;
pub use mode::Mode;
pub use open::Repo;
pub use plan::{RepoPlan, RepoStep};
pub use progress::Progress;
pub use read::{Content, LoadedFile};
pub use refs::{Alias, RefName, RefPrefix, Refspec};
pub use remote::{IfExists, NewRemote, Remote, RemoteError, Remotes};
pub use traverse::{Depth, Partial, Reachable};
pub use write::{Stats, Transaction};
