//! The kubelet's request.

#![no_main]

use coffer::fuzzing::image;
use coffer::server::ServerKey;
use coffer_fuzz::check_error;
use coffer_fuzz::spelling::Target;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let image = match image(data) {
        Ok(image) => image,
        Err(error) => return check_error(&error),
    };
    // What is passed over need not be UTF-8; a reader of the whole minds.
    let Ok(request) = serde_json::from_slice::<Value>(data) else { return };
    let named = request["image"].as_str().unwrap();
    assert!(image.registry == "docker.io" || named.starts_with(&image.registry), "{named}");
    // The credential is that of the registry which is answered for, or of a part of it.
    let Ok(key) = image.repository.parse::<ServerKey>() else { return };
    for candidate in key.candidates() {
        assert_eq!(Target::of(candidate.name()), Target::of(&image.registry), "{named}");
    }
});
