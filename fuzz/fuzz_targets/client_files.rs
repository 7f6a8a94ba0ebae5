//! Files of clients that are read, and never written.

#![no_main]

use coffer::auth_files::{AuthFile, Client, Edit, shown};
use coffer_fuzz::{check_error, check_finding};
use libfuzzer_sys::fuzz_target;

const CLIENTS: [Client; 5] = [Client::Kubelet, Client::Ecs, Client::Regctl, Client::EcrLogin, Client::Environment];

fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else { return };
    let client = CLIENTS[usize::from(*first) % CLIENTS.len()];
    match AuthFile::of_text(client, text) {
        Ok(file) => {
            for finding in file.findings() {
                check_finding(&finding);
                check_name(&finding.key);
            }
            if client != Client::Environment {
                assert!(file.keys().is_empty() && file.edited(&Edit::default()).is_err());
            }
        }
        Err(error) => check_error(&error),
    }
});

/// A password in an entry's name is not told: a mask stands before what it was for.
fn check_name(key: &str) {
    let shown = shown(key);
    if let Some((_, rest)) = key.split_once("://")
        && let Some((user, host)) = rest.rsplit_once('@')
        && let Some((_, password)) = user.split_once(':')
    {
        let before = shown.strip_suffix(host).and_then(|shown| shown.strip_suffix("***@"));
        let before = before.unwrap_or_else(|| panic!("{shown}"));
        assert!(password.len() < 4 || !before.contains(password) || key.matches(password).count() > 1, "{shown}");
    }
}
