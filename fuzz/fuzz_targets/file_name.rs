//! File names made of any text, and texts read from any file name.

#![no_main]

use coffer::file_name::{decode, encode, is_name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let name = encode(text);
    assert!(name.len() <= 200 && is_name(&name), "{name}");
    assert!(name.is_ascii() && !name.starts_with('.') && !name.ends_with('.'), "{name}");
    assert!(!name.contains(['/', '\\', '\0', ' ', ':']), "{name}");
    // No two names that a file system which folds case would merge: letters stand only as hexadecimal digits.
    let mut letters = name.bytes();
    while let Some(letter) = letters.next() {
        if letter == b'%' {
            letters.by_ref().take(2).for_each(drop);
        } else {
            assert!(!letter.is_ascii_uppercase(), "{name}");
        }
    }
    match decode(&name) {
        Some(again) => assert_eq!(again, text),
        None => assert!(name.contains('~') && name.len() == 165, "{name}"),
    }
    // A name that somebody else gave a file.
    if let Some(decoded) = decode(text) {
        assert_eq!(encode(&decoded), text);
    }
    if let Some((one, other)) = text.split_once('\n') {
        assert_eq!(encode(one) == encode(other), one == other, "{one:?} {other:?}");
    }
});
