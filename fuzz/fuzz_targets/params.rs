#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bifrost_core::testing::fuzz::params(data));
