//! libFuzzer feeds [`mesh_fuzz::decode::introduction`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh_fuzz::decode::introduction(data));
