//! libFuzzer feeds [`mesh_fuzz::sets::sets`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh_fuzz::sets::sets(data));
