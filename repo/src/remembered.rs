// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directory trees that were read already. Who plans a deployment, checks it out and prunes goes through the same trees three times,
//! and two commits of one system are nearly the same.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use formats::Checksum;

/// No more than this is kept, in bytes: a system of 100,000 files has trees of some 5 MB.
const MOST: usize = 16 << 20;

/// What is kept; nothing unless somebody asks for it.
#[derive(Debug, Default)]
pub(crate) struct Remembered(OnceLock<Mutex<Trees>>);

#[derive(Debug, Default)]
struct Trees {
    bytes: usize,
    found: HashMap<Checksum, Box<[u8]>>,
}

impl Remembered {
    /// From now on.
    pub(crate) fn begin(&self) {
        self.0.get_or_init(Mutex::default);
    }

    /// One that was read before.
    pub(crate) fn get(&self, tree: &Checksum) -> Option<Vec<u8>> {
        let trees = self.0.get()?.lock().unwrap_or_else(PoisonError::into_inner);
        trees.found.get(tree).map(|data| data.to_vec())
    }

    /// One that was read now.
    pub(crate) fn put(&self, tree: &Checksum, data: &[u8]) {
        let Some(trees) = self.0.get() else { return };
        let mut trees = trees.lock().unwrap_or_else(PoisonError::into_inner);
        if trees.bytes.saturating_add(data.len()) <= MOST && trees.found.insert(*tree, data.into()).is_none()
        {
            trees.bytes += data.len();
        }
    }
}

#[cfg(test)]
mod tests {
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
}
