// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parts of labelling that need to know a sysroot; the crate `selinux` has the others.

mod boot_files;
mod ensure;
mod refresh;

pub(crate) use boot_files::label_copies;
pub use ensure::{Labelled, ensure_labelled};
pub(crate) use refresh::refresh;
