#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zvecctl_fuzz::run("rocks_log", data));
