//! Moments as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat};
use mcp_deputy::clock::Now;
use schemars::JsonSchema;
use serde::Deserialize;

/// A moment, written as RFC 3339 has it; whole seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(
    description = "A moment (RFC 3339): `2026-12-31T23:59:59Z`.",
    extend("format" = "date-time")
)]
pub struct Moment(pub u64);

impl Moment {
    /// By this machine's clock.
    pub fn current() -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self(since_1970.map_or(0, |elapsed| elapsed.as_secs()))
    }

    /// The same for the filter's stages.
    pub fn now(self) -> Now {
        let since_1970 = Duration::from_secs(self.0);
        Now { unix: since_1970, monotonic: since_1970 }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let moment = DateTime::parse_from_rfc3339(text).ok();
        let seconds = moment.and_then(|moment| u64::try_from(moment.timestamp()).ok());
        seconds.map(Self).ok_or_else(|| {
            let help = "write it like `2026-12-31T23:59:59Z` (RFC 3339)";
            format!("`{text}` is not a moment; help: {help}")
        })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0).unwrap_or(i64::MAX);
        let moment = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        out.write_str(&moment.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
