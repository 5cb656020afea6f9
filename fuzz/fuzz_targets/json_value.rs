#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zvecctl_fuzz::run("json_value", data));
