// SPDX-License-Identifier: MIT OR Apache-2.0
//! How objects travel between repositories.
#![forbid(unsafe_code)]

mod age;
pub mod local;
pub mod remote;
mod summary;
mod url;

pub use age::{Downgrade, check_not_older};
pub use url::{UrlError, local_path};
