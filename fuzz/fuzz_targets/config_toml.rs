//! `config.toml`, and its rules set against names.

#![no_main]

use coffer::error::Error;
use coffer::routes;
use coffer::server::ServerKey;
use coffer::settings::Settings;
use libfuzzer_sys::fuzz_target;

const REGISTRIES: [&str; 6] = [
    "docker.io",
    "ghcr.io",
    "localhost:5000",
    "a.b.pkg.dev",
    "aab.aab",
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
];

fuzz_target!(|data: &[u8]| {
    let settings = match Settings::of("config.toml".into(), data) {
        Ok(settings) => settings,
        Err(error) => {
            let Error::Config { line, message, .. } = &error else { panic!("{error}") };
            let lines = 1 + data.iter().filter(|byte| **byte == b'\n').count();
            assert!((1..=lines).contains(line), "{error}");
            assert!(!message.is_empty() && !message.chars().any(char::is_control), "{error}");
            return;
        }
    };
    assert!((1..=15).contains(&settings.ecr.timeout.as_secs()) && settings.unlock_for.as_secs() > 0);
    for registry in REGISTRIES {
        let key: ServerKey = registry.parse().unwrap();
        let route = routes::route(&settings, &key);
        let expected = settings.rules.iter().position(|rule| {
            let written = format!("{:?}", rule.pattern);
            // `Pattern("...")`; a pattern with escapes holds no registry's letters.
            let text = written.strip_prefix("Pattern(\"").and_then(|text| text.strip_suffix("\")"));
            text.is_some_and(|pattern| covers(pattern.as_bytes(), registry.as_bytes()))
        });
        assert_eq!(route.number, expected.map(|at| at + 1), "{registry}");
    }
    for rule in &settings.rules {
        assert!(rule.check().is_ok());
        if let Some(helper) = &rule.helper {
            assert!(!helper.as_str().contains(['/', '\\', ' ']) && helper.as_str() != "coffer");
        }
    }
});

/// The plainest way to say what `*` means.
fn covers(pattern: &[u8], name: &[u8]) -> bool {
    // Only for as much as can be tried in time.
    let mut open = vec![false; name.len() + 1];
    open[0] = true;
    for letter in pattern {
        if *letter == b'*' {
            let first = open.iter().position(|is_open| *is_open).unwrap_or(open.len());
            open[first..].fill(true);
        } else {
            for at in (0..open.len()).rev() {
                open[at] = at > 0 && open[at - 1] && name[at - 1] == *letter;
            }
        }
    }
    open[name.len()]
}
