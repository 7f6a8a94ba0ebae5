//! What `COFFER_LOG=debug` shows on standard error: which way a request went, never a secret.
//!
//! Nothing is written by default but what a person must do for a request to go on (touch a token), and nothing is ever
//! written to a file.

use std::io::{self, Write};
use std::sync::LazyLock;

use crate::error::one_line;

static ON: LazyLock<bool> = LazyLock::new(|| std::env::var_os("COFFER_LOG").is_some_and(|level| level == "debug"));

/// Writes one line, made only if somebody asked for it.
pub fn debug(line: impl FnOnce() -> String) {
    if *ON {
        let _ = writeln!(io::stderr(), "coffer: {}", one_line(&line()));
    }
}

/// Writes one line that a person must see now.
pub fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{}", one_line(line));
}
