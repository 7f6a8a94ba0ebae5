//! Names of registries, two at a time: neither may ever stand for another host than Docker reads in it.

#![no_main]

use coffer::ecr_host::EcrHost;
use coffer::server::ServerKey;
use coffer_fuzz::check_error;
use coffer_fuzz::spelling::{self, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (one, other) = text.split_once('\n').unwrap_or((text, ""));
    let keys = [one, other].map(|name| (name, name.parse::<ServerKey>()));
    for (name, key) in &keys {
        match key {
            Ok(key) => check(name, key),
            Err(error) => check_error(error),
        }
    }
    let [(one, Ok(first)), (other, Ok(second))] = &keys else { return };
    if first.candidates().contains(second) {
        assert_eq!(Target::of(one), Target::of(other), "{one:?} is served by {other:?}");
    }
    if first == second {
        let paths = [one, other].map(|name| spelling::path(name).trim_end_matches('/'));
        assert_eq!(paths[0], paths[1], "{one:?} and {other:?}");
    }
});

fn check(name: &str, key: &ServerKey) {
    let target = Target::of(name);
    for candidate in key.candidates() {
        assert_eq!(candidate.name().parse::<ServerKey>().ok(), Some(candidate.clone()), "{name:?}");
        assert_eq!(Target::of(candidate.name()), target, "{name:?} is served by {candidate}");
        assert!(spelling::path(key.name()).starts_with(spelling::path(candidate.name())), "{name:?}, {candidate}");
    }
    assert!(!key.name().chars().any(|c| c.is_control() || "@\\%".contains(c)), "{name:?}");
    assert!(!key.name().split(['/', '?', '#']).any(|part| part == "..") || !key.is_registry(), "{name:?}");
    assert_eq!(key.is_http(), target.scheme == "http", "{name:?}");
    let Some(registry) = key.registry() else { return };
    let port = if target.scheme == "https" { "443" } else { "" };
    let named = if target.port == port { target.host } else { format!("{}:{}", target.host, target.port) };
    assert_eq!(registry, named, "{name:?}");
    if let Ok(ecr) = registry.parse::<EcrHost>() {
        assert!(is_ecr(registry), "{name:?} is not ECR");
        assert!(!key.is_http() || ecr.host == registry);
    }
}

/// Read from its end, where only AWS can sell names.
fn is_ecr(host: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    let ends = |end: &str| host.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'));
    let aws = [
        "amazonaws.com",
        "amazonaws.com.cn",
        "amazonaws.eu",
        "on.aws",
        "on.amazonwebservices.com.cn",
        "c2s.ic.gov",
        "sc2s.sgov.gov",
        "cloud.adc-e.uk",
        "csp.hci.ic.gov",
    ];
    let is_account = labels[0].len() == 12 && labels[0].bytes().all(|byte| byte.is_ascii_digit());
    ["public.ecr.aws", "ecr-public.aws.com"].contains(&host) || (is_account && aws.into_iter().any(ends))
}
