//! libFuzzer feeds [`mesh_fuzz::machines::sync`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh_fuzz::machines::sync(data));
