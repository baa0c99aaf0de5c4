//! libFuzzer feeds [`mesh_fuzz::decode::address`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh_fuzz::decode::address(data));
