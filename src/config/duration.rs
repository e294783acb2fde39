//! Durations as people write them: `500ms`, `5s`, `10m`, `1h`.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time in milliseconds, written as a whole number and a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    milliseconds: u64,
}

/// From the largest unit to the smallest, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Duration {
    /// So many whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u32) -> Self {
        Self { milliseconds: (seconds as u64).saturating_mul(1_000) }
    }

    /// The length in whole seconds, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> u64 {
        self.milliseconds / 1_000
    }

    /// Whether the length in whole seconds is all of it.
    #[must_use]
    pub const fn is_whole_seconds(self) -> bool {
        self.milliseconds.is_multiple_of(1_000)
    }

    /// The length as the standard library has it.
    #[must_use]
    pub const fn as_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.milliseconds)
    }

    /// This and then the other.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { milliseconds: self.milliseconds.saturating_add(other.milliseconds) }
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let milliseconds = number.parse::<u64>().ok()?.checked_mul(*factor)?;
        // Nothing here waits longer than a day, and a cap keeps later sums from overflowing.
        (milliseconds <= 24 * 3_600_000).then_some(Self { milliseconds })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits =
            |factor: u64| self.milliseconds >= factor && self.milliseconds.is_multiple_of(factor);
        let unit = UNITS.iter().find(|(_, factor)| fits(*factor));
        let (name, factor) = unit.copied().unwrap_or(("s", 1_000));
        write!(out, "{}{name}", self.milliseconds.div_euclid(factor))
    }
}

impl FromStr for Duration {
    /// What is wrong with the text, in words.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or_else(|| {
            format!(
                "`{text}` is not a duration; help: write a whole number and `ms`, `s`, `m` or `h`, \
                 at most `24h`, such as `5s`"
            )
        })
    }
}

/// What a duration is read from.
struct Text;

impl Visitor<'_> for Text {
    type Value = Duration;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a duration such as `5s`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_str(Text)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_str(self)
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl schemars::JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A whole number and a unit, at most 24h: `500ms`, `5s`, `10m`, `1h`.",
            "pattern": "^[0-9]+(ms|s|m|h)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_as_people_write_it_and_prints_the_same() {
        for (text, milliseconds) in
            [("0s", 0), ("500ms", 500), ("5s", 5_000), ("10m", 600_000), ("24h", 86_400_000)]
        {
            let duration = Duration::parse(text).unwrap();
            assert_eq!(
                (duration.milliseconds, duration.to_string().as_str()),
                (milliseconds, text)
            );
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in
            ["", "5", "s", "-5s", "5 s", "5S", "5d", "25h", "1.5s", "99999999999999999999s", "é5s"]
        {
            assert_eq!(Duration::parse(text), None, "{text}");
        }
    }
}
