//! What is wrong with a pushed configuration: every problem, each with its path and a hint.

use std::fmt;

/// One problem in the configuration.
///
/// Printed as ``path: message; help: hint``, where `path` is written the way JSON is addressed
/// (`issuers[0].jwks`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigError {
    /// Where, from the root of the configuration; empty for the whole document.
    pub path: String,
    /// What is wrong, with the offending input in backticks.
    pub message: String,
    /// What would mend it.
    pub help: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(out, "{}: ", self.path)?;
        }
        out.write_str(&self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(out, "; help: {help}"))
    }
}

/// All problems of one configuration, in the order in which they were found. Never empty when it
/// stands in an `Err`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, error) in self.0.iter().enumerate() {
            if line > 0 {
                out.write_str("\n")?;
            }
            error.fmt(out)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects problems while a configuration is read, so that one push reports them all.
#[derive(Debug, Default)]
pub struct Problems(Vec<ConfigError>);

impl Problems {
    /// Notes a problem without a hint.
    pub fn add(&mut self, path: impl fmt::Display, message: impl Into<String>) {
        self.0.push(ConfigError { path: path.to_string(), message: message.into(), help: None });
    }

    /// Notes a problem and what would mend it.
    pub fn add_with_help(
        &mut self,
        path: impl fmt::Display,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help = Some(help.into());
        self.0.push(ConfigError { path: path.to_string(), message: message.into(), help });
    }

    /// Notes a problem with a name, and the closest of the names that would do.
    pub fn add_unknown<'a>(
        &mut self,
        path: impl fmt::Display,
        message: impl Into<String>,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        match (did_you_mean(name, known.iter().copied()), known.as_slice()) {
            (Some(near), _) => self.add_with_help(path, message, format!("did you mean `{near}`?")),
            (None, []) => self.add(path, message),
            (None, known) => {
                self.add_with_help(path, message, format!("known are `{}`", known.join("`, `")));
            }
        }
    }

    /// The value, if nothing was noted.
    ///
    /// # Errors
    /// All that was noted.
    pub fn into_result<T>(self, value: Option<T>) -> Result<T, ConfigErrors> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(ConfigErrors(self.0)),
        }
    }

    /// Notes all that an earlier step found, or passes on its value.
    pub fn take<T>(&mut self, result: Result<T, ConfigErrors>) -> Option<T> {
        result.map_err(|errors| self.0.extend(errors.0)).ok()
    }

    /// Takes up problems that were found elsewhere.
    pub fn extend(&mut self, others: impl IntoIterator<Item = ConfigError>) {
        self.0.extend(others);
    }

    /// All that was noted.
    #[must_use]
    pub fn into_errors(self) -> Vec<ConfigError> {
        self.0
    }

    /// How many were noted.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What was noted after so many.
    #[must_use]
    pub fn after(&self, count: usize) -> &[ConfigError] {
        self.0.get(count..).unwrap_or_default()
    }

    /// Whether nothing was noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The known name that `name` was most likely meant to be.
#[must_use]
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}
