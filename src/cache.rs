//! A bounded store with a share for each owner, so that one caller's flood evicts only its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::rc::Rc;
use std::time::Duration;

/// How much a store may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many entries.
    pub entries: usize,
    /// How many bytes in all of them.
    pub bytes: usize,
}

/// A value and what the store must know of it.
#[derive(Debug)]
pub struct Entry<V> {
    /// The value.
    pub value: V,
    /// Whose share it counts against.
    pub owner: Rc<str>,
    /// How many bytes the key and the value take.
    pub bytes: usize,
    /// When it is over, on the clock of those who ask.
    pub until: Duration,
}

/// Maps `K` to `V`. What is over goes first; then an owner's oldest entries when that owner has its
/// share, and the oldest of all when the store is full.
#[derive(Debug)]
pub struct Cache<K, V> {
    entries: HashMap<K, (u64, Entry<V>)>,
    by_age: BTreeMap<u64, K>,
    by_end: BTreeSet<(Duration, u64)>,
    by_owner: HashMap<Rc<str>, Holding>,
    next_age: u64,
    bytes: usize,
    bounds: Bounds,
    share: Bounds,
}

/// What one owner has.
#[derive(Debug, Default)]
struct Holding {
    ages: BTreeSet<u64>,
    bytes: usize,
}

/// An owner may hold this part of a store, and never less than [`SMALLEST_SHARE`].
const OWNERS: usize = 100;
const SMALLEST_SHARE: Bounds = Bounds { entries: 32, bytes: 256 * 1024 };

/// What the store itself keeps of an entry, in bytes: its place in four tables, which are half empty at times.
const PLACE: usize = 512;

impl<K: Clone + Eq + Hash, V> Cache<K, V> {
    /// An empty store.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            by_end: BTreeSet::new(),
            by_owner: HashMap::new(),
            next_age: 0,
            bytes: 0,
            bounds,
            share: Bounds {
                entries: (bounds.entries / OWNERS).max(SMALLEST_SHARE.entries),
                bytes: (bounds.bytes / OWNERS).max(SMALLEST_SHARE.bytes).min(bounds.bytes),
            },
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.bounds);
    }

    /// The value at `key`, unless it is over.
    pub fn get(&self, key: &K, now: Duration) -> Option<&V> {
        let (_, entry) = self.entries.get(key)?;
        (now < entry.until).then_some(&entry.value)
    }

    /// Stores an entry in place of what stood at `key`. One that is larger than a share is not kept.
    pub fn insert(&mut self, key: K, entry: Entry<V>, now: Duration) {
        let bytes = entry.bytes.saturating_add(PLACE);
        let entry = Entry { bytes, ..entry };
        self.remove(&key);
        self.forget_what_is_over(now);
        if bytes > self.share.bytes || entry.until <= now {
            return;
        }
        while let Some(oldest) = self.first_to_go(&entry.owner, bytes) {
            self.forget(oldest);
        }
        let age = self.next_age;
        self.next_age = age.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.by_age.insert(age, key.clone());
        self.by_end.insert((entry.until, age));
        let holding = self.by_owner.entry(Rc::clone(&entry.owner)).or_default();
        holding.ages.insert(age);
        holding.bytes = holding.bytes.saturating_add(bytes);
        self.entries.insert(key, (age, entry));
    }

    /// Forgets what stands at `key`.
    pub fn remove(&mut self, key: &K) {
        let Some((age, entry)) = self.entries.remove(key) else { return };
        self.by_age.remove(&age);
        self.by_end.remove(&(entry.until, age));
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        if let Some(holding) = self.by_owner.get_mut(&entry.owner) {
            holding.ages.remove(&age);
            holding.bytes = holding.bytes.saturating_sub(entry.bytes);
            if holding.ages.is_empty() {
                self.by_owner.remove(&entry.owner);
            }
        }
    }

    fn forget_what_is_over(&mut self, now: Duration) {
        while let Some((until, age)) = self.by_end.first().copied()
            && until <= now
        {
            self.forget(age);
        }
    }

    /// What must go before there is room for so many bytes of `owner`'s; none if there is.
    fn first_to_go(&self, owner: &Rc<str>, bytes: usize) -> Option<u64> {
        let is_full = |entries: usize, held: usize, bounds: Bounds| {
            entries >= bounds.entries || held.saturating_add(bytes) > bounds.bytes
        };
        let holding = self.by_owner.get(owner);
        let own = holding.filter(|own| is_full(own.ages.len(), own.bytes, self.share));
        if let Some(own) = own {
            return own.ages.first().copied();
        }
        let oldest = self.by_age.keys().next().copied();
        oldest.filter(|_| is_full(self.entries.len(), self.bytes, self.bounds))
    }

    fn forget(&mut self, age: u64) {
        if let Some(key) = self.by_age.get(&age).cloned() {
            self.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: usize = 1 << 30;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn cache<V>(entries: usize, bytes: usize) -> Cache<usize, V> {
        Cache::new(Bounds { entries, bytes })
    }

    fn entry<V>(value: V, owner: &str, bytes: usize) -> Entry<V> {
        Entry { value, owner: owner.into(), bytes, until: at(60) }
    }

    #[test]
    fn one_owners_flood_leaves_the_others_entries() {
        let mut cache = cache(100, ROOMY);
        cache.insert(usize::MAX, entry("hers", "alice", 1), at(0));
        for key in 0..10_000 {
            cache.insert(key, entry("flood", "mallory", 1), at(0));
        }
        assert_eq!(cache.get(&usize::MAX, at(0)), Some(&"hers"));
        assert_eq!(cache.entries.len(), 1 + SMALLEST_SHARE.entries);
        assert_eq!(cache.get(&9_999, at(0)), Some(&"flood"));
        assert_eq!(cache.get(&0, at(0)), None);
    }

    #[test]
    fn one_owners_large_entries_leave_the_others_too() {
        let mut cache = cache(ROOMY, 100 * SMALLEST_SHARE.bytes);
        cache.insert(usize::MAX, entry((), "alice", 1), at(0));
        for key in 0..1_000 {
            cache.insert(key, entry((), "mallory", SMALLEST_SHARE.bytes / 4), at(0));
        }
        assert!(cache.get(&usize::MAX, at(0)).is_some());
        assert_eq!(cache.entries.len(), 1 + 3, "and their places");
        cache.insert(1_000, entry((), "alice", SMALLEST_SHARE.bytes), at(0));
        assert!(cache.get(&1_000, at(0)).is_none(), "larger than a share");
        assert!(cache.get(&usize::MAX, at(0)).is_some());
    }

    #[test]
    fn many_owners_never_exceed_the_bounds() {
        let mut cache = cache(100, ROOMY);
        for key in 0..1_000 {
            cache.insert(key, entry(key, &key.to_string(), 1), at(0));
        }
        assert_eq!(
            (cache.entries.len(), cache.by_age.len(), cache.by_owner.len()),
            (100, 100, 100)
        );
        assert_eq!((cache.get(&999, at(0)), cache.get(&899, at(0))), (Some(&999), None));
    }

    #[test]
    fn what_is_over_is_not_found_and_goes_before_what_is_not() {
        let mut cache = cache(2, ROOMY);
        cache.insert(1, entry((), "alice", 1), at(0));
        cache.insert(2, Entry { until: at(5), ..entry((), "alice", 1) }, at(0));
        assert!(cache.get(&2, at(4)).is_some() && cache.get(&2, at(5)).is_none());
        cache.insert(3, entry((), "alice", 1), at(5));
        assert!(cache.get(&1, at(5)).is_some() && cache.get(&3, at(5)).is_some());
        cache.insert(4, entry((), "alice", 1), at(60));
        assert!(cache.entries.is_empty() && cache.by_owner.is_empty() && cache.bytes == 0);
    }

    /// The same by plain lists, in the order of insertion.
    #[derive(Default)]
    struct Naive(Vec<(usize, Entry<u64>)>);

    impl Naive {
        fn insert(
            &mut self,
            key: usize,
            entry: Entry<u64>,
            now: Duration,
            cache: &Cache<usize, u64>,
        ) {
            let entry = Entry { bytes: entry.bytes.saturating_add(PLACE), ..entry };
            self.0.retain(|(known, old)| *known != key && old.until > now);
            if entry.bytes > cache.share.bytes || entry.until <= now {
                return;
            }
            let is_over = |held: &[&Entry<u64>], bounds: Bounds| {
                let bytes = held.iter().map(|one| one.bytes).chain([entry.bytes]);
                held.len() >= bounds.entries || bytes.sum::<usize>() > bounds.bytes
            };
            loop {
                let all: Vec<_> = self.0.iter().map(|(_, one)| one).collect();
                let own: Vec<_> =
                    all.iter().copied().filter(|one| one.owner == entry.owner).collect();
                let first = if is_over(&own, cache.share) {
                    self.0.iter().position(|(_, one)| one.owner == entry.owner)
                } else {
                    is_over(&all, cache.bounds).then_some(0)
                };
                let Some(first) = first else { break };
                self.0.remove(first);
            }
            self.0.push((key, entry));
        }
    }

    #[test]
    fn it_holds_what_a_naive_reading_says() {
        let mut seed = 1_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for bounds in [
            Bounds { entries: 50, bytes: ROOMY },
            Bounds { entries: ROOMY, bytes: 2 * SMALLEST_SHARE.bytes },
            Bounds { entries: 40, bytes: SMALLEST_SHARE.bytes },
        ] {
            let (mut cache, mut naive, mut now) = (Cache::new(bounds), Naive::default(), at(0));
            for round in 0..5_000 {
                let key = usize::try_from(random(100)).unwrap();
                match random(10) {
                    0 => now += Duration::from_secs(random(3)),
                    1 => {
                        cache.remove(&key);
                        naive.0.retain(|(known, _)| *known != key);
                    }
                    _ => {
                        // Few owners, so that some reach their shares; few sizes, one too large.
                        let (owner, size) = (random(3).to_string(), 1 << (8 + 2 * random(6)));
                        let until = now + Duration::from_secs(random(60));
                        let make = || Entry {
                            value: round,
                            owner: owner.as_str().into(),
                            bytes: size,
                            until,
                        };
                        naive.insert(key, make(), now, &cache);
                        cache.insert(key, make(), now);
                    }
                }
                let held: usize = cache.entries.values().map(|(_, entry)| entry.bytes).sum();
                assert_eq!(cache.bytes, held);
                assert!(cache.entries.len() <= bounds.entries && held <= bounds.bytes);
                for key in 0..100 {
                    let expected = naive.0.iter().find(|(known, _)| *known == key);
                    let expected = expected.filter(|(_, entry)| now < entry.until);
                    assert_eq!(cache.get(&key, now), expected.map(|(_, entry)| &entry.value));
                }
            }
        }
    }
}
