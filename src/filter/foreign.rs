//! Functions that Envoy offers beyond the ABI. As that of the SDK, but that one panics at a status which
//! it does not expect.

#![allow(unsafe_code)]

use std::ptr::{null_mut, slice_from_raw_parts_mut};

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
}

const OK: u32 = 0;

/// What the host's function answers, if it does.
pub fn call(name: &str, arguments: &[u8]) -> Option<Box<[u8]>> {
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
    if result.is_null() {
        return (status == OK).then(Box::default);
    }
    // SAFETY: the host had the SDK's allocator make a slice of this length, and lets go of it.
    let result = unsafe { Box::from_raw(slice_from_raw_parts_mut(result, size)) };
    (status == OK).then_some(result)
}
