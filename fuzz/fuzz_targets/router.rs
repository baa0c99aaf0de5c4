//! libFuzzer feeds [`mesh_fuzz::router::router`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh_fuzz::router::router(data));
