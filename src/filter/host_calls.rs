//! Calls of the host that the SDK has too. Its own panic at a status that they do not expect, and
//! copy every name and every value of a header map.

#![allow(unsafe_code)]

use std::ptr::{null_mut, slice_from_raw_parts_mut};

use proxy_wasm::types::MapType;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) -> u32;

    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
}

const OK: u32 = 0;

/// What the host's function answers, if it does: one that Envoy offers beyond the ABI.
pub fn call_foreign_function(name: &str, arguments: &[u8]) -> Option<Box<[u8]>> {
    let (mut result, mut size) = (null_mut(), 0);
    // SAFETY: the pointers are good for these lengths while the host looks.
    let status = unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            &raw mut result,
            &raw mut size,
        )
    };
    // SAFETY: this is what the host left there.
    unsafe { given(status, result, size) }
}

/// A header map as the host serialises it, if it has it.
pub fn header_map(map: MapType) -> Option<Box<[u8]>> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the pointers are good while the host looks.
    let status = unsafe { proxy_get_header_map_pairs(map as u32, &raw mut data, &raw mut size) };
    // SAFETY: this is what the host left there.
    unsafe { given(status, data, size) }
}

/// What the host gave.
///
/// # Safety
/// `data` is null, or the host had the SDK's allocator make a slice of `size` bytes there, and lets
/// go of it.
unsafe fn given(status: u32, data: *mut u8, size: usize) -> Option<Box<[u8]>> {
    if data.is_null() {
        return (status == OK).then(Box::default);
    }
    // SAFETY: the caller's to see to.
    let data = unsafe { Box::from_raw(slice_from_raw_parts_mut(data, size)) };
    (status == OK).then_some(data)
}
