//! What all workers of the process can read and write.

use proxy_wasm::hostcalls;

use crate::exchange::shared::SharedData;

/// The host's shared data.
pub struct HostData;

impl SharedData for HostData {
    fn read(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        let (value, version) = hostcalls::get_shared_data(name).ok()?;
        value.zip(version)
    }

    fn write(&self, name: &str, value: &[u8], version: Option<u32>) -> bool {
        hostcalls::set_shared_data(name, Some(value), version).is_ok()
    }
}
