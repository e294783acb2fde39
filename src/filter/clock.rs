//! The clocks.

use std::time::{Duration, SystemTime};

#[allow(unsafe_code)]
#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, nanoseconds: *mut u64) -> u16;
}

/// The clock that never goes back, the same one in all workers. `Instant` reads it too, but does not
/// tell what it says.
#[allow(unsafe_code)]
#[must_use]
pub fn monotonic() -> Duration {
    const MONOTONIC: u32 = 1;
    let mut nanoseconds = 0;
    // SAFETY: the host writes eight bytes to where `nanoseconds` stands, before it returns.
    let _ = unsafe { clock_time_get(MONOTONIC, 1, &raw mut nanoseconds) };
    Duration::from_nanos(nanoseconds)
}

/// What the wall clock says, less what the other one does.
#[must_use]
pub fn epoch() -> Duration {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    unix.saturating_sub(monotonic())
}
