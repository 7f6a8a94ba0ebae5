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

/// A password in an entry's name is not told.
fn check_name(key: &str) {
    let shown = shown(key);
    if let Some((_, rest)) = key.split_once("://")
        && let Some((user, _)) = rest.split('/').next().unwrap_or_default().rsplit_once('@')
        && let Some((_, password)) = user.split_once(':')
    {
        assert!(shown.contains("***@"), "{shown}");
        let is_elsewhere = key.matches(password).count() > 1 || "***@".contains(password);
        assert!(password.len() < 4 || is_elsewhere || !shown.contains(password), "{shown}");
    }
}
