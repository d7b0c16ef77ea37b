#![no_main]
#[path = "../bodies.rs"]
mod bodies;
#[path = "../../transcript/mod.rs"]
mod transcript;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::words(data));
