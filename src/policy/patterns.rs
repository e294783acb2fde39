//! Values by name, or by how a name begins: the exact name wins over a beginning, a longer beginning
//! over a shorter.

use std::collections::{BTreeSet, HashMap};

/// A look-up table whose cost does not grow with what is in it, only with how many different lengths
/// the beginnings have.
#[derive(Debug)]
pub struct Patterns<T> {
    exact: HashMap<Box<str>, T>,
    beginnings: HashMap<Box<str>, T>,
    lengths: BTreeSet<usize>,
}

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        let (exact, beginnings) = (HashMap::new(), HashMap::new());
        Self { exact, beginnings, lengths: BTreeSet::new() }
    }
}

impl<T> Patterns<T> {
    /// Adds a value for `pattern`: a name, or what ends with `*`.
    pub fn insert(&mut self, pattern: &str, value: T) {
        match pattern.strip_suffix('*') {
            Some(beginning) => {
                self.lengths.insert(beginning.len());
                self.beginnings.insert(beginning.into(), value);
            }
            None => {
                self.exact.insert(pattern.into(), value);
            }
        }
    }

    /// The value of the exact name.
    #[must_use]
    pub fn exact(&self, name: &str) -> Option<&T> {
        self.exact.get(name)
    }

    /// The value of the longest beginning that `name` has.
    #[must_use]
    pub fn longest_beginning(&self, name: &str) -> Option<&T> {
        let mut lengths = self.lengths.iter().rev();
        lengths.find_map(|length| self.beginnings.get(name.get(..*length)?))
    }

    /// The value for `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&T> {
        self.exact(name).or_else(|| self.longest_beginning(name))
    }

    /// All patterns, in no order, as they were written.
    pub fn iter(&self) -> impl Iterator<Item = (String, &T)> {
        let exact = self.exact.iter().map(|(name, value)| (name.to_string(), value));
        exact.chain(self.beginnings.iter().map(|(name, value)| (format!("{name}*"), value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n03_the_exact_name_wins_and_then_the_longest_beginning() {
        let mut patterns = Patterns::default();
        for pattern in ["*", "db_*", "db_admin", "db_admin_*", "read", "é*"] {
            patterns.insert(pattern, pattern);
        }
        for (name, expected) in [
            ("db_admin", "db_admin"),
            ("db_admins", "db_*"),
            ("db_admin_drop", "db_admin_*"),
            ("db_", "db_*"),
            ("db", "*"),
            ("read", "read"),
            ("readwrite", "*"),
            ("xdb_admin", "*"),
            ("DB_admin", "*"),
            ("éa", "é*"),
            ("aé", "*"),
            ("", "*"),
        ] {
            assert_eq!(patterns.find(name), Some(&expected), "{name}");
        }
    }

    #[test]
    fn without_a_pattern_nothing_is_found() {
        let mut patterns = Patterns::default();
        patterns.insert("a_*", ());
        assert_eq!((patterns.find("a"), patterns.find("b_a_")), (None, None));
    }
}
