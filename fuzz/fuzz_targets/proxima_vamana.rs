#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zvecctl_fuzz::run("proxima_vamana", data));
