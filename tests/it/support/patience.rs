//! Waiting for what comes soon.

use std::thread;
use std::time::{Duration, Instant};

/// How long, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(30);

/// Looks again and again, until something is found.
#[track_caller]
pub fn find_in_time<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Looks again and again, until something is so.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    find_in_time(what, || is_so().then_some(()));
}
