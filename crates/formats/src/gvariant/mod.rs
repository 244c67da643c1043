// SPDX-License-Identifier: MIT OR Apache-2.0
//! GVariant: the serialisation of every metadata object, of commit metadata and of run state files.
//!
//! Three views of one format:
//!
//! * [`Variant`] reads serialised bytes in place, driven by a type string;
//! * [`Value`] is an owned type string with its serialised bytes, and builds new ones;
//! * [`Variant`]'s `Display` and [`Value::parse_text`] are GLib's text format.
//!
//! GLib replaces broken parts of a value by default values. Here they are errors: every reader of ours would
//! have to find out afterwards that a default value was never written by anyone.
//!
//! Integers are little-endian, as every writer of repositories stores them. Type strings nest at most
//! [`MAX_DEPTH`] levels, and so do variants within variants; the size of a value is the size of its bytes.
//!
//! References: <https://docs.gtk.org/glib/gvariant-specification-1.0.html>.

mod hash_order;
mod parse;
mod print;
mod read;
mod types;
mod value;

pub use parse::ParseTextError;
pub use read::{Iter, Plain, Variant};
pub use value::{DictBuilder, SequenceWriter, Value};

/// How deep types and variants within variants may nest: the bound that GLib sets for type strings.
pub const MAX_DEPTH: u8 = 128;

/// Why bytes are not a value of the type they should have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A type string that is none, or nests too deep.
    #[error("{0:?} is not a GVariant type")]
    BadType(String),
    /// The value has another type than the reader asked for.
    #[error("expected a value of type {expected}, found type {found}")]
    WrongType {
        /// Type or kind that was asked for.
        expected: &'static str,
        /// Type string of the value.
        found: String,
    },
    /// The bytes have another length than the fixed-size type needs.
    #[error("{len} bytes are no value of type {ty}")]
    BadSize {
        /// Type string of the value.
        ty: String,
        /// Length of the bytes.
        len: usize,
    },
    /// The framing offsets of a container point outside of it or backwards.
    #[error("broken framing offsets in a value of type {0}")]
    BadOffset(String),
    /// There is no child of that index.
    #[error("no child {index} in a value of type {ty}")]
    NoChild {
        /// Type string of the container.
        ty: String,
        /// Index that was asked for.
        index: usize,
    },
    /// Text that is not UTF-8, holds a zero byte or does not end with one.
    #[error("broken text in a value of type {0}")]
    BadText(String),
    /// Variants within variants nest too deep.
    #[error("variants nest too deep")]
    TooDeep,
    /// Not the one byte sequence that this value has, though it can be read.
    #[error("value of type {0} is not in normal form")]
    NotNormal(String),
}
