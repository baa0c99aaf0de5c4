//! libFuzzer feeds [`mesh_fuzz::web::web`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh_fuzz::web::web(data));
