//! libFuzzer feeds [`mesh_fuzz::decode::item_header`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh_fuzz::decode::item_header(data));
