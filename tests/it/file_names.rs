//! File names of servers and usernames: every text has one of its own, whatever a file system makes of case.

use coffer::file_name::{decode, encode, is_name};
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::properties::cases;

/// Texts that might be taken for one another: of few letters, dots and escapes, and long ones that differ in one place.
fn text() -> impl Strategy<Value = String> {
    let letter = select("aAbZ.%~/\\ :é\u{212A}\u{130}ß1234EF\n\0_-".chars().collect::<Vec<_>>());
    let short = prop::collection::vec(letter.clone(), 0..8).prop_map(String::from_iter);
    let long = (select(vec!["a", "A", ".", "é", "%41"]), 30..220usize, prop::collection::vec(letter, 0..2))
        .prop_map(|(piece, count, end)| piece.repeat(count) + &String::from_iter(end));
    prop_oneof![2 => short, 1 => long, 1 => any::<String>()]
}

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn every_text_has_a_name_of_its_own(one in text(), other in text()) {
        let (first, second) = (encode(&one), encode(&other));
        prop_assert_eq!(first.to_lowercase() == second.to_lowercase(), one == other, "{:?} {:?}", one, other);
    }

    #[test]
    fn a_name_reads_back_or_is_a_shortened_one(text in text()) {
        let name = encode(&text);
        match decode(&name) {
            Some(read) => prop_assert_eq!(read, text),
            None => prop_assert!(text.len() > 66 && name.len() == 165 && name.as_bytes()[100] == b'~', "{}", name),
        }
        prop_assert!(is_name(&name) && name.len() <= 200, "{}", name);
    }

    #[test]
    fn a_name_is_safe_in_a_directory(text in text()) {
        let name = encode(&text);
        prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-%~".contains(&b)), "{}", name);
        prop_assert!(!name.starts_with('.') && !name.ends_with('.'), "{}", name);
    }

    #[test]
    fn a_foreign_name_is_read_only_if_it_is_what_would_be_written(name in "[a-zA-Z0-9._%~-]{0,12}") {
        if let Some(text) = decode(&name) {
            prop_assert_eq!(encode(&text), name);
        }
    }
}
