#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stonechat::net::fuzz_records(data));
