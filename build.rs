//! Compiles `proto/manifest.proto` into Rust types and a descriptor set, without `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost_build::Config;
use protox::prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/manifest.proto");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let descriptors = protox::compile(["proto/manifest.proto"], ["proto"])?;
    fs::write(out.join("manifest.desc"), descriptors.encode_to_vec())?;
    Config::new().compile_fds(descriptors)?;
    Ok(())
}
