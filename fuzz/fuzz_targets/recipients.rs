//! `.age-recipients`, which others may have written, and what is added to it and removed.

#![no_main]

use std::path::Path;

use coffer::key::{Recipient, RecipientList};
use coffer_fuzz::check_error;
use libfuzzer_sys::fuzz_target;

/// The public half of the worlds' key.
const OWN: &str = "age1hm8lv0knd9zh59auulxtzxsapjka76v28c3u6lj8sk5j5m6ypgqskvgpk6";

fuzz_target!(|data: &[u8]| {
    let path = Path::new(".age-recipients");
    let mut list = match RecipientList::parse(path, data) {
        Ok(list) => list,
        Err(error) => return check_error(&error),
    };
    assert_eq!(list.is_empty(), data.is_empty());
    assert_eq!(list.text().as_bytes(), data);
    for recipient in list.recipients() {
        let again: Recipient = recipient.to_string().parse().unwrap();
        assert!(again == *recipient && list.contains(recipient));
        assert!(!recipient.to_string().contains(char::is_whitespace));
    }
    let count = list.recipients().len();
    let own: Recipient = OWN.parse().unwrap();
    let was_there = list.contains(&own);
    let others: Vec<String> =
        list.recipients().iter().filter(|listed| **listed != own).map(ToString::to_string).collect();
    list.add(own.clone(), Some("me"));
    let read = RecipientList::parse(path, list.text().as_bytes()).unwrap();
    assert!(read.contains(&own) && read.recipients().len() == count + usize::from(!was_there));
    list.remove(&own);
    let left: Vec<String> = list.recipients().iter().map(ToString::to_string).collect();
    assert_eq!(left, others);
    assert!(!left.iter().any(|listed| listed.eq_ignore_ascii_case(OWN)), "still listed");
    if !others.is_empty() {
        let read = RecipientList::parse(path, list.text().as_bytes()).unwrap();
        assert!(read.recipients() == list.recipients() && !read.contains(&own));
    }
});
