//! Scopes as bits (RFC 6749 section 3.3): a decision on them is a mask test.

use std::collections::BTreeMap;

/// Whether `scope` is an RFC 6749 section 3.3 `scope-token`: printable ASCII, not empty,
/// without space, `"` and `\`.
#[must_use]
pub fn is_scope_token(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// The scopes that the configuration knows, each with a bit.
#[derive(Clone, Debug, Default)]
pub struct ScopeTable {
    bits: BTreeMap<Box<str>, usize>,
    /// What some of them imply, to the last.
    implied: BTreeMap<usize, ScopeSet>,
}

impl ScopeTable {
    /// Gives `scope` a bit, unless it has one, and returns the set of this scope alone.
    ///
    /// Names are compared byte for byte. Whether `scope` is a scope at all is the caller's
    /// question: see [`is_scope_token`].
    pub fn intern(&mut self, scope: &str) -> ScopeSet {
        // Bits are never taken back, so the count of names is the next free bit.
        let next = self.bits.len();
        let mut set = ScopeSet::default();
        set.insert(*self.bits.entry(scope.into()).or_insert(next));
        set
    }

    /// The set of `scopes`. Those that the table does not know cannot matter and are left out.
    pub fn set<'a>(&self, scopes: impl IntoIterator<Item = &'a str>) -> ScopeSet {
        let mut set = ScopeSet::default();
        for bit in scopes.into_iter().filter_map(|scope| self.bits.get(scope)) {
            set.insert(*bit);
        }
        set
    }

    /// From now on whoever has `scope` has `implied` too. What these imply is not looked up.
    pub fn imply(&mut self, scope: &str, implied: ScopeSet) {
        if let Some(bit) = self.bits.get(scope) {
            self.implied.insert(*bit, implied);
        }
    }

    /// `set` and what its scopes imply.
    #[must_use]
    pub fn with_implied(&self, set: &ScopeSet) -> ScopeSet {
        let implied = self.implied.iter().filter(|(bit, _)| set.has(**bit));
        implied.fold(set.clone(), |all, (_, implied)| all.union(implied))
    }

    /// The scopes of which any gives one of `set`: those themselves, and what implies them.
    #[must_use]
    pub fn giving(&self, set: &ScopeSet) -> ScopeSet {
        let mut giving = set.clone();
        for (bit, _) in self.implied.iter().filter(|(_, implied)| implied.intersects(set)) {
            giving.insert(*bit);
        }
        giving
    }

    /// The names in `set`, sorted, so that the same set always prints the same.
    #[must_use]
    pub fn names(&self, set: &ScopeSet) -> Vec<&str> {
        let members = self.bits.iter().filter(|(_, bit)| set.has(**bit));
        members.map(|(name, _)| name.as_ref()).collect()
    }

    /// Whether `scope` has a bit.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.bits.contains_key(scope)
    }

    /// All names, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.bits.keys().map(AsRef::as_ref)
    }
}

/// A set of scopes of one [`ScopeTable`]. Sets of different tables must not be mixed.
///
/// Few configurations know more scopes than fit into the first word, so that a test of theirs looks
/// nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet {
    first: u64,
    /// The last word is never zero, so that equal sets have equal words.
    more: Box<[u64]>,
}

impl ScopeSet {
    /// Whether every scope of `other` is in this set. The empty set is in every set.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        other.words().enumerate().all(|(at, theirs)| self.word(at) & theirs == theirs)
    }

    /// Whether some scope is in both sets.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        other.words().enumerate().any(|(at, theirs)| self.word(at) & theirs != 0)
    }

    /// The scopes that are in this set, in `other`, or in both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let length = self.more.len().max(other.more.len());
        let more = (1..=length).map(|at| self.word(at) | other.word(at)).collect();
        Self { first: self.first | other.first, more }
    }

    /// The scopes of this set that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let words = (1..).zip(self.more.iter());
        let mut more: Vec<u64> = words.map(|(at, ours)| ours & !other.word(at)).collect();
        while more.last() == Some(&0) {
            more.pop();
        }
        Self { first: self.first & !other.first, more: more.into() }
    }

    /// Whether no scope is in this set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first == 0 && self.more.is_empty()
    }

    fn insert(&mut self, bit: usize) {
        let (at, mask) = position(bit);
        let Some(at) = at.checked_sub(1) else {
            self.first |= mask;
            return;
        };
        if self.more.len() <= at {
            let mut more = std::mem::take(&mut self.more).into_vec();
            more.resize(at.saturating_add(1), 0);
            self.more = more.into();
        }
        if let Some(word) = self.more.get_mut(at) {
            *word |= mask;
        }
    }

    fn has(&self, bit: usize) -> bool {
        let (at, mask) = position(bit);
        self.word(at) & mask != 0
    }

    fn words(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }

    fn word(&self, at: usize) -> u64 {
        match at.checked_sub(1) {
            None => self.first,
            Some(at) => self.more.get(at).copied().unwrap_or(0),
        }
    }
}

/// The word that holds `bit`, and the mask for it in that word.
fn position(bit: usize) -> (usize, u64) {
    (bit / 64, 1 << (bit % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k26_scopes_match_whole_and_byte_for_byte() {
        let mut table = ScopeTable::default();
        let needed = table.intern("pii:read");
        for scope in ["xpii:read", "pii:readwrite", "pii:read:own", "PII:READ", "pii", ""] {
            assert!(!table.set([scope]).contains_all(&needed), "{scope}");
        }
        assert!(table.set(["other", "pii:read"]).contains_all(&needed));
    }

    #[test]
    fn a_scope_keeps_its_bit() {
        let mut table = ScopeTable::default();
        let first = table.intern("a");
        assert_ne!(first, table.intern("b"));
        assert_eq!(first, table.intern("a"));
        assert_eq!(table.iter().count(), 2);
    }

    #[test]
    fn sets_behave_alike_within_and_beyond_one_word() {
        let mut table = ScopeTable::default();
        let names: Vec<String> = (0..200).map(|number| format!("s{number:03}")).collect();
        let singles: Vec<ScopeSet> = names.iter().map(|name| table.intern(name)).collect();

        let all = singles.iter().fold(ScopeSet::default(), |set, single| set.union(single));
        assert_eq!(all, table.set(names.iter().map(String::as_str)));
        assert_eq!(table.names(&all), names);
        for (number, single) in singles.iter().enumerate() {
            assert!(all.contains_all(single));
            assert!(!single.contains_all(&all));
            assert_eq!(table.names(single), [names[number].as_str()]);
        }
        assert_eq!(
            all.difference(&singles[199]),
            table.set(names[..199].iter().map(|name| &**name))
        );
        assert_eq!(singles[199].difference(&all), ScopeSet::default());
        assert!(!singles[0].contains_all(&singles[199]));
        assert!(!singles[199].contains_all(&singles[0]));
    }

    #[test]
    fn the_same_scopes_make_the_same_set_and_print_sorted() {
        let mut table = ScopeTable::default();
        for name in ["write", "admin", "read"] {
            table.intern(name);
        }
        let set = table.set(["write", "read", "write", "unknown"]);
        assert_eq!(set, table.set(["read", "write"]));
        assert_eq!(table.names(&set), ["read", "write"]);
        assert!(!table.contains("unknown"));
    }

    #[test]
    fn the_empty_set_needs_nothing_and_grants_nothing() {
        let mut table = ScopeTable::default();
        let read = table.intern("read");
        let empty = table.set(["unknown"]);
        assert!(empty.is_empty() && empty == ScopeSet::default());
        assert!(read.contains_all(&empty) && !empty.contains_all(&read) && !read.is_empty());
    }

    #[test]
    fn what_is_implied_is_had_and_gives_within_and_beyond_one_word() {
        let mut table = ScopeTable::default();
        for number in 0..200 {
            table.intern(&format!("s{number:03}"));
        }
        table.imply("s199", table.set(["s000", "s100"]));
        table.imply("s100", table.set(["s000"]));
        let with_implied = |names: &[&str]| {
            let set = table.set(names.iter().copied());
            table.names(&table.with_implied(&set)).join(" ")
        };
        assert_eq!(with_implied(&["s199"]), "s000 s100 s199");
        assert_eq!(with_implied(&["s100", "s001"]), "s000 s001 s100");
        assert_eq!(with_implied(&["s000", "s198"]), "s000 s198");
        let giving = |name: &str| table.names(&table.giving(&table.set([name]))).join(" ");
        assert_eq!(
            [giving("s000"), giving("s100"), giving("s199")],
            ["s000 s100 s199", "s100 s199", "s199"]
        );
    }

    #[test]
    fn scope_tokens_are_those_of_rfc_6749() {
        for scope in ["pii:read", "https://graph.example/.default", "!#[]~", "a"] {
            assert!(is_scope_token(scope), "{scope}");
        }
        for scope in ["", "a b", "a\tb", "a\"b", "a\\b", "a\u{7f}", "\u{e9}"] {
            assert!(!is_scope_token(scope), "{scope}");
        }
    }
}
