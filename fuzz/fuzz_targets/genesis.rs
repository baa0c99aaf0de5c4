//! libFuzzer feeds [`mesh_fuzz::decode::genesis`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh_fuzz::decode::genesis(data));
