//! What another helper answers.

#![no_main]

use coffer::fuzzing::{helper_credential, helper_quote, helper_servers};
use coffer::rule::HelperName;
use coffer::server::ServerKey;
use coffer_fuzz::check_error;
use libfuzzer_sys::fuzz_target;
use secrecy::ExposeSecret;

fuzz_target!(|data: &[u8]| {
    let name = HelperName::try_from("peer".to_owned()).unwrap();
    match helper_credential(&name, data) {
        Ok(Some(credential)) => {
            assert!(!credential.username.is_empty() || !credential.secret.expose_secret().is_empty());
        }
        Ok(None) => {}
        Err(error) => check_error(&error),
    }
    match helper_servers(&name, data) {
        Ok(servers) => servers.iter().for_each(|server| drop(server.parse::<ServerKey>())),
        Err(error) => check_error(&error),
    }
    let quote = helper_quote(data);
    assert!(!quote.is_empty() && quote.chars().count() <= 300 && !quote.chars().any(char::is_control), "{quote:?}");
    // A credential that is printed with a wrong exit code is not passed on.
    if matches!(helper_credential(&name, data), Ok(Some(_))) {
        assert!(!quote.contains(coffer_fuzz::SECRET), "{quote}");
    }
});
