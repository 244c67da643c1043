// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order of a `GHashTable`.
//!
//! Some dictionaries that the C tools write have the order in which GLib walks a hash table of their keys, and it is a part of
//! the bytes that a checksum is made of. The table is that of GLib 2.60 and later: open addressing, with a distance that grows
//! by one at each step.

/// The table never has fewer places, as a power of two.
const MIN_SHIFT: u32 = 3;
/// The greatest primes below the powers of two; keys have fewer places than the last.
const PRIMES: [u32; 20] = [
    1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131_071, 262_139,
    524_287,
];

/// Returns the places of `keys`, which differ, in the order of a table into which they were put one after the other.
pub(super) fn hash_order(keys: &[&str]) -> Vec<usize> {
    let mut table = Table { shift: MIN_SHIFT, places: vec![None; 1 << MIN_SHIFT] };
    for (at, key) in keys.iter().enumerate() {
        let count = at + 1;
        table.insert((hash(key), at));
        if table.places.len() <= count + count / 16 {
            table.grow(count);
        }
    }
    table.places.iter().flatten().map(|(_, at)| *at).collect()
}

/// The hash of a key, and its place in the list of keys.
type Node = (u32, usize);

struct Table {
    shift: u32,
    places: Vec<Option<Node>>,
}

impl Table {
    fn insert(&mut self, node: Node) {
        let free = |place: usize| matches!(self.places.get(place), Some(None));
        let place = self.probe(node, free);
        if let Some(place) = self.places.get_mut(place) {
            *place = Some(node);
        }
    }

    /// The first place for a node that is free, in the order in which places are tried.
    fn probe(&self, (hash, _): Node, is_free: impl Fn(usize) -> bool) -> usize {
        let prime = PRIMES.get(self.shift as usize).or(PRIMES.last()).copied().unwrap_or(1);
        let mut place = (hash.wrapping_mul(11) % prime) as usize;
        for step in 1..=self.places.len() {
            if is_free(place) {
                break;
            }
            place = (place + step) % self.places.len();
        }
        place
    }

    /// Makes the table larger in its place: a node whose new place is that of one not moved yet takes it, and that one goes
    /// on.
    fn grow(&mut self, count: usize) {
        // The size that is wanted is a third more than what is in it; up to a power of two.
        let wanted = count * 1333 / 1000;
        self.shift = (usize::BITS - wanted.leading_zeros()).max(MIN_SHIFT);
        let old = self.places.len();
        self.places.resize(1 << self.shift, None);
        let mut moved = vec![false; self.places.len()];
        for at in 0..old {
            if moved.get(at) == Some(&true) {
                continue;
            }
            let mut node = self.places.get_mut(at).and_then(Option::take);
            while let Some(moving) = node {
                let place = self.probe(moving, |place| moved.get(place) == Some(&false));
                moved.get_mut(place).into_iter().for_each(|moved| *moved = true);
                node = self.places.get_mut(place).and_then(|place| place.replace(moving));
            }
        }
    }
}

/// `g_str_hash`, in which 0 and 1 stand for free places.
fn hash(key: &str) -> u32 {
    let hash =
        key.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add((byte as i8) as u32));
    hash.max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_where_glib_puts_them() {
        let keys = ["y", "z", "ostree.bootable", "ostree.linux"];
        let order: Vec<&str> = hash_order(&keys).into_iter().map(|at| keys[at]).collect();
        assert_eq!(order, ["z", "ostree.linux", "ostree.bootable", "y"]);
    }

    #[test]
    fn each_key_has_its_place() {
        let keys: Vec<String> = (0..1000).map(|n| format!("key{n}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        for count in 0..keys.len() {
            let mut order = hash_order(&keys[..count]);
            order.sort_unstable();
            assert_eq!(order, (0..count).collect::<Vec<_>>());
        }
    }
}
