//! The PATH, on which clients find a helper by its name.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// This program's name, which clients make of `coffer`.
pub const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// The directories of the PATH. A relative one is another wherever a client is called, and does not count.
pub fn directories() -> Vec<PathBuf> {
    env::var_os("PATH").iter().flat_map(env::split_paths).filter(|directory| directory.is_absolute()).collect()
}

/// The program that a name stands for.
pub fn find(name: &str) -> Option<PathBuf> {
    directories().into_iter().map(|directory| directory.join(name)).find(|path| is_program(path))
}

/// Whether a relative directory of the PATH comes before the program that a name stands for. Whoever searches the PATH as the
/// system does would find somebody else's there.
pub fn is_shadowed(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let first = env::split_paths(&path).map(|directory| directory.join(name)).find(|path| is_program(path));
    first != find(name)
}

/// Whether a file can be run.
pub fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
