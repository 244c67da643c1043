// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commits.

use super::error::{ObjectError, read_checksum};
use crate::gvariant::{Value, Variant};
use crate::{Checksum, Hasher};

/// The type string.
pub(super) const TYPE: &str = "(a{sv}aya(say)sstayay)";

/// Keys of commit metadata that tools of several projects agree on.
pub mod metadata_key {
    /// `s`: version for people.
    pub const VERSION: &str = "version";
    /// `as`: the refs that the commit was made for.
    pub const REF_BINDING: &str = "ostree.ref-binding";
    /// `s`: the collection that those refs belong to.
    pub const COLLECTION_BINDING: &str = "ostree.collection-binding";
    /// `b`: the tree holds a kernel and can be deployed.
    pub const BOOTABLE: &str = "ostree.bootable";
    /// `s`: release of the kernel in the tree.
    pub const LINUX: &str = "ostree.linux";
    /// `s`: text for users of a branch that gets no updates any more.
    pub const END_OF_LIFE: &str = "ostree.endoflife";
}

/// A commit object: a tree with its history and metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// An `a{sv}`.
    pub metadata: Value,
    /// The commit before this one.
    pub parent: Option<Checksum>,
    /// One line; may be empty.
    pub subject: String,
    /// More lines; may be empty.
    pub body: String,
    /// Seconds since the epoch.
    pub timestamp: u64,
    /// dirtree object of the root directory.
    pub tree: Checksum,
    /// dirmeta object of the root directory.
    pub meta: Checksum,
    /// Related objects, an `a(say)` that no tool fills; kept as it was read.
    related: Option<Value>,
}

impl Commit {
    /// A commit of a tree, without metadata, parent, subject and body, dated at the epoch.
    pub fn new(tree: Checksum, meta: Checksum) -> Self {
        let metadata = crate::gvariant::DictBuilder::new().build();
        let (subject, body) = (String::new(), String::new());
        Self { metadata, parent: None, subject, body, timestamp: 0, tree, meta, related: None }
    }

    /// Reads and checks the object.
    pub fn parse(data: &[u8]) -> Result<Self, ObjectError> {
        let commit = Variant::new(TYPE, data)?;
        commit.check_normal()?;
        let related = commit.child(2)?;
        Ok(Self {
            metadata: commit.child(0)?.into(),
            parent: match commit.child(1)?.as_bytes()? {
                [] => None,
                bytes => Some(read_checksum(bytes)?),
            },
            subject: commit.child(3)?.as_str()?.to_owned(),
            body: commit.child(4)?.as_str()?.to_owned(),
            // GVariant reads little-endian, objects are big-endian.
            timestamp: commit.child(5)?.as_u64()?.swap_bytes(),
            tree: read_checksum(commit.child(6)?.as_bytes()?)?,
            meta: read_checksum(commit.child(7)?.as_bytes()?)?,
            related: (!related.data().is_empty()).then(|| related.into()),
        })
    }

    /// The object's bytes.
    pub fn serialize(&self) -> Result<Vec<u8>, ObjectError> {
        let related = self.related.clone().map_or_else(|| Value::array("(say)", &[]), Ok)?;
        let fields = [
            self.metadata.clone(),
            Value::bytes(self.parent.as_ref().map_or(&[], |parent| parent.as_bytes())),
            related,
            Value::string(&self.subject),
            Value::string(&self.body),
            Value::from(self.timestamp.swap_bytes()),
            Value::bytes(self.tree.as_bytes()),
            Value::bytes(self.meta.as_bytes()),
        ];
        Ok(Value::tuple(&fields).into_data())
    }

    /// The value of a metadata key.
    pub fn lookup(&self, key: &str) -> Result<Option<Value>, ObjectError> {
        Ok(self.metadata.view()?.lookup(key)?.map(Value::from))
    }

    /// Equal for commits of equal trees, whatever their history and metadata: the digest of the checksums of
    /// the root directory's tree and metadata.
    pub fn content_checksum(&self) -> Checksum {
        let mut hasher = Hasher::new();
        hasher.update(self.tree.as_bytes());
        hasher.update(self.meta.as_bytes());
        hasher.finish()
    }
}
