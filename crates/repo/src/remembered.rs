// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directory trees that were read already, and the objects that are there. Who plans a deployment, checks it out and prunes goes through
//! the same trees three times and through the objects twice, and two commits of one system are nearly the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use formats::Checksum;
use formats::object::ObjectName;

use crate::stamp::Stamp;

/// No more than this is kept, in bytes: a system of 100,000 files has trees of some 5 MB.
const MOST: usize = 16 << 20;

/// The trees and listings that are kept; none before [`begin`](Self::begin).
#[derive(Debug, Default)]
pub(crate) struct Remembered(OnceLock<Mutex<Trees>>);

#[derive(Debug, Default)]
struct Trees {
    bytes: usize,
    found: HashMap<Checksum, Box<[u8]>>,
    listings: HashMap<u8, (Stamp, Listing)>,
}

/// The objects of a fan-out directory, with their inodes.
type Listing = Arc<[(ObjectName, u64)]>;

/// No more objects than this are kept of one fan-out directory: of a repository with a million.
const MOST_OBJECTS: usize = 4096;

impl Remembered {
    /// From now on.
    pub(crate) fn begin(&self) {
        self.0.get_or_init(Mutex::default);
    }

    /// One that was read before.
    pub(crate) fn get(&self, tree: &Checksum) -> Option<Vec<u8>> {
        self.trees()?.found.get(tree).map(|data| data.to_vec())
    }

    /// One that was read now.
    pub(crate) fn put(&self, tree: &Checksum, data: &[u8]) {
        let Some(mut trees) = self.trees() else { return };
        if trees.bytes.saturating_add(data.len()) <= MOST && trees.found.insert(*tree, data.into()).is_none()
        {
            trees.bytes += data.len();
        }
    }

    /// Returns the objects of a fan-out directory, if it has not changed since.
    pub(crate) fn listing(&self, fanout: u8, stamp: &Stamp) -> Option<Listing> {
        let trees = self.trees()?;
        let (then, listing) = trees.listings.get(&fanout)?;
        (then == stamp).then(|| Arc::clone(listing))
    }

    /// Keeps the objects of a fan-out directory, which had this stamp before it was listed.
    pub(crate) fn put_listing(&self, fanout: u8, stamp: Stamp, listing: &Listing) {
        if let Some(mut trees) = self.trees()
            && stamp.is_settled()
            && listing.len() <= MOST_OBJECTS
        {
            trees.listings.insert(fanout, (stamp, Arc::clone(listing)));
        }
    }

    fn trees(&self) -> Option<MutexGuard<'_, Trees>> {
        Some(self.0.get()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use formats::object::ObjectType;

    use super::*;

    #[test]
    fn what_is_asked_for_is_kept_up_to_a_bound() {
        let (trees, name) = (Remembered::default(), |byte: u8| Checksum::of(&[byte]));
        trees.put(&name(0), b"a");
        assert_eq!(trees.get(&name(0)), None, "nobody asked");
        trees.begin();
        trees.put(&name(1), b"a");
        assert_eq!(trees.get(&name(1)).as_deref(), Some(&b"a"[..]));
        trees.put(&name(2), &vec![0; MOST]);
        assert_eq!(trees.get(&name(2)), None);
        trees.put(&name(3), &vec![0; MOST - 1]);
        assert!(trees.get(&name(3)).is_some());
    }

    #[test]
    fn a_listing_counts_until_the_directory_has_changed() {
        let trees = Remembered::default();
        let (old, now) = (Stamp::at(SystemTime::UNIX_EPOCH), Stamp::at(SystemTime::now()));
        let listing: Listing = [(ObjectName::new(Checksum::of(b""), ObjectType::File), 7)].into();
        trees.put_listing(0, old, &listing);
        assert_eq!(trees.listing(0, &old), None, "nobody asked");
        trees.begin();
        trees.put_listing(0, old, &listing);
        assert_eq!(trees.listing(0, &old), Some(Arc::clone(&listing)));
        assert_eq!(trees.listing(0, &now), None, "it has changed since");
        assert_eq!(trees.listing(1, &old), None);
        trees.put_listing(1, now, &listing);
        assert_eq!(trees.listing(1, &now), None, "another change may have the same time");
    }
}
