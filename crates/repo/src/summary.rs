// SPDX-License-Identifier: MIT OR Apache-2.0
//! The summary: the refs of a repository in one file, for clients that cannot list directories.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use fn_error_context::context;
use formats::Checksum;
use formats::gvariant::{DictBuilder, Value};
use formats::object::{Commit, DirMeta, DirTree, FileMeta, ObjectName, ObjectType, Xattrs, metadata_key};
use rustix::fs::{AtFlags, Mode as Permissions, OFlags, unlinkat};
use rustix::io::Errno;

use crate::{Mode, Refspec, Repo};

/// The file, and its signature.
const SUMMARY: &str = "summary";
const SIGNATURE: &str = "summary.sig";
/// Bound for a summary that is read; a thousand refs make some hundred kilobytes.
const MAX_SIZE: u64 = 128 * 1024 * 1024;
/// The type of the file: refs with size, checksum and metadata of their commits, then metadata of the repository
/// (`OSTREE_SUMMARY_GVARIANT_FORMAT` of the C library).
pub const TYPE: &str = "(a(s(taya{sv}))a{sv})";
/// The type of a ref in it.
const REF_TYPE: &str = "(s(taya{sv}))";
/// The ref whose commits hold the metadata of a collection.
const METADATA_REF: &str = "ostree-metadata";

/// The keys of a summary's metadata, and of those of its refs.
pub mod key {
    /// Seconds since the epoch, big-endian.
    pub const LAST_MODIFIED: &str = "ostree.summary.last-modified";
    /// Seconds since the epoch from which the summary is too old, big-endian.
    pub const EXPIRES: &str = "ostree.summary.expires";
    /// The mode of the repository.
    pub const MODE: &str = "ostree.summary.mode";
    /// Whether deleted commits leave tombstones.
    pub const TOMBSTONES: &str = "ostree.summary.tombstone-commits";
    /// Whether static deltas are listed in files of their own.
    pub const INDEXED_DELTAS: &str = "ostree.summary.indexed-deltas";
    /// The collection that the refs are of.
    pub const COLLECTION_ID: &str = "ostree.summary.collection-id";
    /// Refs of other collections, an `a{sa(s(taya{sv}))}`.
    pub const COLLECTION_MAP: &str = "ostree.summary.collection-map";
    /// The time of a ref's commit, big-endian.
    pub const TIMESTAMP: &str = "ostree.commit.timestamp";
    /// The version of a ref's commit.
    pub const VERSION: &str = "ostree.commit.version";
}

impl Repo {
    /// Reads the bytes of the summary, if there is one.
    ///
    /// # Errors
    /// It is no file, too large, or cannot be read.
    #[context("Reading the summary of {}", self.path().display())]
    pub fn read_summary(&self) -> Result<Option<Vec<u8>>> {
        let file = match durable::open_to_read(self.dir(), SUMMARY, OFlags::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            file => File::from(file.context("Opening it")?),
        };
        ensure!(file.metadata().context("Looking at it")?.is_file(), "{SUMMARY} is not a regular file");
        let mut data = Vec::new();
        file.take(MAX_SIZE + 1).read_to_end(&mut data).context("Reading it")?;
        ensure!(data.len() as u64 <= MAX_SIZE, "{SUMMARY} is larger than {MAX_SIZE} bytes");
        Ok(Some(data))
    }

    /// Writes the summary anew, with more metadata; a signature of the former one goes before. In a repository with a collection id,
    /// a commit of the ref `ostree-metadata` holds the metadata too. From now on `core.indexed-deltas` is set, as the summary says.
    ///
    /// # Errors
    /// A ref's commit is missing, or the file system says no: then the former summary stays.
    #[context("Writing the summary of {}", self.path().display())]
    pub fn write_summary(&mut self, more: &DictBuilder) -> Result<()> {
        if let Some(id) = &self.settings().collection_id {
            self.commit_metadata(id, more)?;
        }
        let _lock = self.lock_shared()?;
        if self.config().string("core", "indexed-deltas")?.is_none() {
            let mut config = self.config().clone();
            config.set_boolean("core", "indexed-deltas", true);
            self.write_config(config)?;
        }
        let refs =
            self.refs_of(self.ref_names(None)?.into_iter().filter(|refspec| refspec.remote.is_none()))?;
        let mut metadata = more.clone();
        metadata.insert(key::MODE, self.settings().mode_name());
        metadata.insert(key::LAST_MODIFIED, now()?.swap_bytes());
        metadata
            .insert(key::TOMBSTONES, self.config().boolean("core", "tombstone-commits")?.unwrap_or(false));
        metadata.insert(key::INDEXED_DELTAS, true);
        if let Some(map) = self.collection_map()? {
            metadata.insert(key::COLLECTION_MAP, map);
        }
        if let Some(id) = &self.settings().collection_id {
            metadata.insert(key::COLLECTION_ID, id.as_str());
        }
        metadata.order_by_hash();
        let summary = Value::tuple(&[refs, metadata.build()]);
        match unlinkat(self.dir(), SIGNATURE, AtFlags::empty()) {
            Ok(()) => crate::bytes::sync_dir(self.dir(), ".")?,
            Err(Errno::NOENT) => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("Removing {SIGNATURE}, which is of the former one"));
            }
        }
        durable::replace(self.dir().as_fd(), SUMMARY, summary.data(), Permissions::from_raw_mode(0o644))
    }

    /// The entries of refs, in their order.
    fn refs_of(&self, names: impl IntoIterator<Item = Refspec>) -> Result<Value> {
        let mut entries = Vec::new();
        for name in names {
            let commit = self.read_ref(&name)?.with_context(|| format!("The ref {name} is gone"))?;
            entries.push(self.entry(name.name.as_str(), &commit)?);
        }
        Ok(Value::array(REF_TYPE, &entries)?)
    }

    fn entry(&self, name: &str, checksum: &Checksum) -> Result<Value> {
        let data = self
            .load_metadata(ObjectName::new(*checksum, ObjectType::Commit))
            .with_context(|| format!("Reading the commit of ref {name}"))?;
        let commit = Commit::parse(&data).with_context(|| format!("Reading the commit of ref {name}"))?;
        let mut metadata = DictBuilder::new();
        if let Some(version) = commit.lookup("version")? {
            metadata.push(key::VERSION, version);
        }
        metadata.push(key::TIMESTAMP, commit.timestamp.swap_bytes());
        let size = Value::from(data.len() as u64);
        let described = Value::tuple(&[size, Value::bytes(checksum.as_bytes()), metadata.build()]);
        Ok(Value::tuple(&[Value::string(name), described]))
    }

    /// The mirrored refs of other collections, by collection.
    fn collection_map(&self) -> Result<Option<Value>> {
        let mut collections: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (collection, name, commit) in self.mirrored_refs()? {
            collections.entry(collection).or_default().push(self.entry(&name, &commit)?);
        }
        if collections.is_empty() {
            return Ok(None);
        }
        let list = format!("a{REF_TYPE}");
        let entries: Vec<Value> = collections
            .iter()
            .map(|(collection, refs)| {
                Value::dict_entry(&Value::string(collection), &Value::array(REF_TYPE, refs)?)
            })
            .collect::<Result<_, _>>()?;
        Ok(Some(Value::array(&format!("{{s{list}}}"), &entries)?))
    }

    /// Commits the metadata of a collection as the next commit of its own ref, with an empty tree.
    fn commit_metadata(&self, id: &str, more: &DictBuilder) -> Result<()> {
        let name: Refspec = METADATA_REF.parse()?;
        let mut transaction = self.begin()?;
        let tree = DirTree { files: Vec::new(), dirs: Vec::new() }.serialize()?;
        let tree = transaction.write_metadata(ObjectType::DirTree, &tree)?;
        let meta = FileMeta { uid: 0, gid: 0, mode: 0o40_755, xattrs: Xattrs::empty() };
        let meta = transaction.write_dirmeta(&DirMeta::new(meta)?)?;
        let mut metadata = more.clone();
        metadata.insert(metadata_key::REF_BINDING, Value::strings([METADATA_REF]));
        metadata.insert(metadata_key::COLLECTION_BINDING, id);
        metadata.order_by_hash();
        let mut commit = Commit::new(tree, meta);
        commit.parent = self.read_ref(&name)?;
        commit.timestamp = now()?;
        commit.metadata = metadata.build();
        let checksum = transaction.write_commit(&commit)?;
        transaction.set_ref(name, checksum);
        transaction.commit().map(drop)
    }
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("The clock stands before 1970")?.as_secs())
}

impl crate::Settings {
    /// The mode by the name that summaries give it.
    fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Archive => "archive-z2",
            mode => mode.config_name(),
        }
    }
}
