//! A bounded store with a share for each owner, so that one caller's flood evicts only its own.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::rc::Rc;

/// Maps `K` to `V`, forgets the oldest entry when full, and an owner's oldest when that owner has
/// its share. Knows nothing of time: who reads a value judges whether it still holds.
#[derive(Debug)]
pub struct Cache<K, V> {
    entries: HashMap<K, Entry<V>>,
    by_age: BTreeMap<u64, K>,
    by_owner: HashMap<Rc<str>, Vec<u64>>,
    next_age: u64,
    capacity: usize,
    share: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    age: u64,
    owner: Rc<str>,
}

/// A caller may hold this part of a cache, and never fewer than this many entries.
const OWNERS: usize = 100;
const SMALLEST_SHARE: usize = 32;

impl<K: Clone + Eq + Hash, V> Cache<K, V> {
    /// An empty store for at most `capacity` entries.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            by_owner: HashMap::new(),
            next_age: 0,
            capacity,
            share: (capacity / OWNERS).max(SMALLEST_SHARE),
        }
    }

    /// The value at `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// Stores a value that belongs to `owner`, in place of what stood at `key`.
    pub fn insert(&mut self, key: K, value: V, owner: &Rc<str>) {
        self.remove(&key);
        let own_oldest = self.by_owner.get(owner).filter(|ages| ages.len() >= self.share);
        self.forget(own_oldest.and_then(|ages| ages.first().copied()));
        if self.entries.len() >= self.capacity {
            self.forget(self.by_age.keys().next().copied());
        }
        let age = self.next_age;
        self.next_age = age.wrapping_add(1);
        self.by_age.insert(age, key.clone());
        self.by_owner.entry(Rc::clone(owner)).or_default().push(age);
        self.entries.insert(key, Entry { value, age, owner: Rc::clone(owner) });
    }

    /// Forgets what stands at `key`.
    pub fn remove(&mut self, key: &K) {
        let Some(entry) = self.entries.remove(key) else { return };
        self.by_age.remove(&entry.age);
        if let Some(ages) = self.by_owner.get_mut(&entry.owner) {
            ages.retain(|age| *age != entry.age);
            if ages.is_empty() {
                self.by_owner.remove(&entry.owner);
            }
        }
    }

    fn forget(&mut self, age: Option<u64>) {
        if let Some(key) = age.and_then(|age| self.by_age.get(&age).cloned()) {
            self.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owners_flood_leaves_the_others_entries() {
        let (alice, mallory): (Rc<str>, Rc<str>) = ("alice".into(), "mallory".into());
        let mut cache = Cache::new(100);
        cache.insert(usize::MAX, "hers", &alice);
        for key in 0..10_000 {
            cache.insert(key, "flood", &mallory);
        }
        assert_eq!(cache.get(&usize::MAX), Some(&"hers"));
        assert_eq!(cache.entries.len(), 1 + SMALLEST_SHARE);
        assert_eq!(cache.get(&9_999), Some(&"flood"));
        assert_eq!(cache.get(&0), None);
    }

    #[test]
    fn many_owners_never_exceed_the_capacity() {
        let mut cache = Cache::new(100);
        for key in 0..1_000_u32 {
            cache.insert(key, key, &key.to_string().into());
        }
        assert_eq!(
            (cache.entries.len(), cache.by_age.len(), cache.by_owner.len()),
            (100, 100, 100)
        );
        assert_eq!((cache.get(&999), cache.get(&899)), (Some(&999), None));
    }

    #[test]
    fn a_key_that_is_stored_again_is_stored_once() {
        let owner = "alice".into();
        let mut cache = Cache::new(2);
        cache.insert("a", 1, &owner);
        cache.insert("a", 2, &owner);
        cache.remove(&"b");
        assert_eq!((cache.get(&"a"), cache.entries.len(), cache.by_age.len()), (Some(&2), 1, 1));
        cache.remove(&"a");
        assert_eq!((cache.entries.len(), cache.by_owner.len()), (0, 0));
    }
}
