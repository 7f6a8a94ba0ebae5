//! Links the unwinder into the programs, instead of having libgcc_s loaded with them: a sixth of their start.

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |variable: &str, value: &str| std::env::var(variable).is_ok_and(|said| said == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        let directory = std::env::var("OUT_DIR").map_err(std::io::Error::other)?;
        // The standard library asks for libgcc_s by name, and the linker looks here first.
        std::fs::write(format!("{directory}/libgcc_s.so"), "INPUT(libgcc_eh.a)\n")?;
        println!("cargo:rustc-link-search=native={directory}");
    }
    Ok(())
}
