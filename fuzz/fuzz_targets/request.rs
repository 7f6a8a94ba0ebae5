//! What a client sends on standard input, for every action.

#![no_main]

use coffer::credential::Login;
use coffer::protocol::{Action, Request};
use coffer_fuzz::check_error;
use libfuzzer_sys::fuzz_target;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

const ACTIONS: [Action; 5] = [Action::Get, Action::Store, Action::Erase, Action::List, Action::Version];

fuzz_target!(|data: &[u8]| {
    let Some((first, input)) = data.split_first() else { return };
    let action = ACTIONS[usize::from(*first) % ACTIONS.len()];
    let mut rest = input;
    let request = Request::read(action, &mut rest);
    let is_read = !matches!(action, Action::List | Action::Version);
    assert_eq!(rest.len(), if is_read { 0 } else { input.len() }, "read to its end, or not at all");
    match request {
        Err(error) => check_error(&error),
        Ok(Request::Get(server) | Request::Erase(server)) => {
            assert_eq!(Some(server.as_str()), std::str::from_utf8(input).ok().map(str::trim));
        }
        Ok(Request::Store(server, credential)) => {
            let written = Login::to_json(&server, &credential);
            let Ok(Request::Store(server_again, again)) = Request::read(Action::Store, &mut &written[..]) else {
                panic!("what is written is not read");
            };
            assert!(server_again == server && again.is_same(&credential));
            if let Ok(Value::Object(fields)) = serde_json::from_slice(input) {
                let said = (server.as_str(), credential.username.as_str(), credential.secret.expose_secret());
                compare(&fields, said);
            }
        }
        Ok(Request::List | Request::Version) => {}
    }
});

/// With another reader's eyes; of fields that differ in case alone, the last one counts.
fn compare(fields: &Map<String, Value>, said: (&str, &str, &str)) {
    let names: Vec<String> = fields.keys().map(|name| name.to_ascii_lowercase()).collect();
    let is_twice = |name: &str| names.iter().filter(|known| *known == name).count() > 1;
    if ["serverurl", "username", "secret"].into_iter().any(is_twice) {
        return;
    }
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_str()).unwrap_or_default()
    };
    assert_eq!((field("ServerURL").trim(), field("Username"), field("Secret")), said);
}
