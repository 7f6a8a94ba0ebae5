//! Identity files: plain, of plugins, sealed.

#![no_main]

use std::path::Path;

use coffer::fuzzing::{is_sealed, unseal};
use coffer::key::{Identities, Recipient};
use coffer_fuzz::check_error;
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

fuzz_target!(|data: &[u8]| {
    if is_sealed(data) {
        if !is_costly(data)
            && let Err(error) = unseal(Path::new("identities"), data, "hunter2hunter2".into())
        {
            check_error(&error);
        }
        return;
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(identities) = Identities::parse(Zeroizing::new(text.to_owned())) else { return };
    assert!(!identities.own.is_empty() || !identities.of_plugins.is_empty());
    assert_eq!(identities.of_plugins.is_empty(), identities.plugins().is_empty());
    for recipient in identities.recipients() {
        let again: Recipient = recipient.to_string().parse().unwrap();
        assert!(again == recipient && !recipient.to_string().contains("SECRET"));
    }
    let kept = identities.own.len();
    if kept > 0 && identities.of_plugins.is_empty() {
        let written = Identities::from_own(identities.own);
        let read = Identities::parse(Zeroizing::new(written.text.to_string())).unwrap();
        assert!(read.own.len() == kept && read.recipients() == written.recipients());
    }
});

/// A factor that is let through may cost a second or more: nothing for a fuzzer. Base64 hides it in armor.
fn is_costly(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    if text.trim_start().starts_with("-----") {
        return text.contains("c2NyeXB0") || text.contains("NjcnlwdC") || text.contains("zY3J5cHQ");
    }
    text.lines().filter_map(|line| line.strip_prefix("-> scrypt ")).any(|stanza| {
        let factor = stanza.rsplit(' ').next().and_then(|factor| factor.parse::<u32>().ok());
        factor.is_some_and(|factor| (11..=20).contains(&factor))
    })
}
