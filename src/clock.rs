//! The time, passed in: no stage reads a clock of its own.

use std::time::Duration;

/// One instant on both clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, since the Unix epoch: what tokens speak of.
    pub unix: Duration,
    /// A clock that never goes back: what waits and caches are measured on.
    pub monotonic: Duration,
}

impl Now {
    /// Whole seconds since the Unix epoch, the unit of `exp`, `nbf` and `iat` (RFC 7519 section 2).
    #[must_use]
    pub const fn unix_seconds(self) -> u64 {
        self.unix.as_secs()
    }
}
