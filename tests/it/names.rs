//! Names of registries: whatever two of them look like, neither is answered for another host.

use coffer::ecr_host::EcrHost;
use coffer::rule::Pattern;
use coffer::server::ServerKey;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;

use crate::support::properties::cases;
use crate::support::spelling::{self, Target};

/// A name in its parts, from few enough that two of them often meet.
#[derive(Debug, Clone)]
struct Parts {
    scheme: &'static str,
    host: String,
    dot: &'static str,
    port: &'static str,
    path: &'static str,
}

impl Parts {
    fn name(&self) -> String {
        let Self { scheme, host, dot, port, path } = self;
        format!("{scheme}{host}{dot}{port}{path}")
    }

    /// The one name of these parts, by the design's rules; `None` for what is refused.
    fn key(&self) -> Option<String> {
        let scheme = self.scheme.to_lowercase();
        if scheme == "oci://" {
            return Some(self.name());
        }
        let is_plain = scheme == "http://";
        let port = if !is_plain && self.port == ":443" { "" } else { self.port };
        let mut host = format!("{}{port}", self.host.to_ascii_lowercase());
        let is_trivial = ["", "/", "/v1", "/v1/", "/v2", "/v2/"].contains(&self.path);
        if is_plain {
            return Some(format!("http://{host}{}", if is_trivial { "" } else { self.path }));
        }
        let is_hub = ["docker.io", "index.docker.io", "registry-1.docker.io"].contains(&host.as_str());
        if is_trivial {
            return Some(if is_hub { "https://index.docker.io/v1/".into() } else { host });
        }
        if is_hub {
            host = "index.docker.io".into();
        }
        if scheme == "https://" {
            return Some(format!("https://{host}{}", self.path));
        }
        if self.path.contains(['?', '#']) {
            return Some(format!("{host}{}", self.path));
        }
        let path = self.path.trim_end_matches('/');
        let climbs = path.split('/').any(|segment| segment == "." || segment == "..");
        // What is left would be another, shorter name.
        (!climbs && !["", "/v1", "/v2"].contains(&path)).then(|| format!("{host}{path}"))
    }
}

fn host() -> impl Strategy<Value = String> {
    let known = select(vec![
        "ghcr.io",
        "GHCR.io",
        "docker.io",
        "Index.docker.io",
        "registry-1.docker.io",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "\u{212A}ube.example",
        "kube.example",
        "ghcr.io.evil.example",
        "evil-ghcr.io",
        "xn--ghcr-9na.io",
        "gh\u{441}r.io",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => string_regex("[a-zA-Z0-9_-]{1,3}(\\.[a-z0-9]{1,2}){0,2}").unwrap()]
}

fn parts() -> impl Strategy<Value = Parts> {
    let scheme = select(vec!["", "", "//", "https://", "HTTPS://", "http://", "Http://", "oci://"]);
    let port = select(vec!["", "", ":443", ":80", ":5000", ":5001", ":0443"]);
    let path = select(vec![
        "",
        "/",
        "/v1",
        "/v1/",
        "/v2",
        "/v2/",
        "/org",
        "/Org",
        "/org/",
        "/org/app",
        "/v1/org",
        "/..",
        "/org/../x",
        "//",
        "/v1//",
        "/v1/access-token",
        "?x",
        "/org?x",
        "#f",
    ]);
    (scheme, host(), select(vec!["", "", "."]), port, path)
        // An address ends without a dot.
        .prop_map(|(scheme, host, dot, port, path)| {
            let dot = if host.ends_with(']') { "" } else { dot };
            Parts { scheme, host, dot, port, path }
        })
}

/// A name as somebody might write it who wants it to be taken for another: a good one, with a few letters put in or out.
fn bent() -> impl Strategy<Value = String> {
    let letter = select("./:@\\%?#-_ aZ0\t\u{0}\u{a0}\u{200b}\u{3002}\u{ff0e}[]v1".chars().collect::<Vec<_>>());
    let change = (any::<prop::sample::Index>(), proptest::option::of(letter));
    (parts(), prop::collection::vec(change, 0..4)).prop_map(|(parts, changes)| {
        let mut letters: Vec<char> = parts.name().chars().collect();
        for (at, letter) in changes {
            match letter {
                Some(letter) => letters.insert(at.index(letters.len() + 1), letter),
                None if letters.is_empty() => {}
                None => drop(letters.remove(at.index(letters.len()))),
            }
        }
        letters.into_iter().collect()
    })
}

/// Fails if `one` may be answered with what is held for a name of another host, port or scheme.
fn check_pair(one: &str, other: &str) -> Result<(), TestCaseError> {
    let (Ok(key), Ok(held)) = (one.parse::<ServerKey>(), other.parse::<ServerKey>()) else { return Ok(()) };
    if key.candidates().contains(&held) || key.registry().is_some() && key.whole_registry() == held {
        prop_assert_eq!(Target::of(one), Target::of(other), "{:?} is answered by {:?}", one, other);
    }
    if Target::of(one) != Target::of(other) {
        prop_assert_ne!(key, held, "{:?} and {:?}", one, other);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn a_name_is_the_key_that_its_parts_say(parts in parts()) {
        let key = parts.name().parse::<ServerKey>();
        prop_assert_eq!(key.ok().map(|key| key.name().to_owned()), parts.key(), "{}", parts.name());
    }

    #[test]
    fn two_names_are_one_key_exactly_if_their_parts_say_so(one in parts(), other in parts()) {
        if let (Some(first), Some(second)) = (one.key(), other.key()) {
            let keys = (one.name().parse::<ServerKey>().unwrap(), other.name().parse::<ServerKey>().unwrap());
            prop_assert_eq!(keys.0 == keys.1, first == second, "{} {}", one.name(), other.name());
        }
        check_pair(&one.name(), &other.name())?;
    }

    #[test]
    fn nothing_is_answered_for_another_host(one in bent(), other in bent()) {
        check_pair(&one, &other)?;
        check_pair(&other, &one)?;
    }

    #[test]
    fn every_key_reads_as_itself_and_is_answered_from_its_own_host(name in bent()) {
        let Ok(key) = name.parse::<ServerKey>() else { return Ok(()) };
        for candidate in key.candidates() {
            prop_assert_eq!(candidate.name().parse::<ServerKey>().ok(), Some(candidate.clone()), "{:?}", name);
            prop_assert_eq!(Target::of(candidate.name()), Target::of(&name), "{:?} by {}", name, candidate);
            // A parent, or the registry: never a child or a sibling.
            let is_parent = spelling::path(key.name()).starts_with(spelling::path(candidate.name()));
            prop_assert!(is_parent, "{:?} by {}", name, candidate);
        }
    }

    #[test]
    fn a_look_alike_is_not_ecr(name in look_alike()) {
        let key = name.parse::<ServerKey>().ok();
        let registry = key.as_ref().and_then(ServerKey::registry).unwrap_or_default();
        prop_assert_eq!(registry.parse::<EcrHost>().is_ok(), is_ecr(registry), "{}", name);
        if let Ok(ecr) = registry.parse::<EcrHost>() {
            prop_assert_eq!(&ecr.host, registry);
            prop_assert!(ecr.account.is_none_or(|account| registry.starts_with(&account)), "{}", name);
        }
    }

    #[test]
    fn a_rule_is_for_what_its_pattern_covers_and_nothing_else(pattern in "[ab.*:0-9]{1,9}", registry in "[ab.:0-9]{0,9}") {
        let Ok(rule) = Pattern::try_from(pattern.clone()) else { return Ok(()) };
        prop_assert_eq!(rule.matches(&registry), covers(&pattern, &registry), "{} {}", pattern, registry);
    }

    #[test]
    fn a_rule_without_a_star_is_for_one_registry(name in bent(), pattern in parts()) {
        let Ok(rule) = Pattern::try_from(pattern.name()) else { return Ok(()) };
        let Ok(key) = name.parse::<ServerKey>() else { return Ok(()) };
        if key.registry().is_some_and(|registry| rule.matches(registry)) {
            let (host, target) = (Target::of(&pattern.name()), Target::of(&name));
            // A rule says nothing of the scheme; a port that it does not name is TLS's own, or plain HTTP's.
            prop_assert_eq!(host.host, target.host, "{} is for {}", pattern.name(), name);
            prop_assert!(host.port == target.port || target.port.is_empty(), "{} is for {}", pattern.name(), name);
        }
    }
}

const SUFFIXES: [&str; 8] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "on.aws",
    "on.amazonwebservices.com.cn",
    "c2s.ic.gov",
    "csp.hci.ic.gov",
    "evil.example",
];

/// A host of ECR with one or two things changed, or none.
fn look_alike() -> impl Strategy<Value = String> {
    let account = prop_oneof![3 => Just("123456789012".to_owned()), 1 => "[0-9a-z]{11,13}"];
    let service =
        select(vec!["dkr.ecr", "dkr.ecr-fips", "dkr-ecr", "dkr-ecr-fips", "dkr.ecr.x", "dkr", "ecr", "dkrxecr"]);
    let region = prop_oneof![3 => Just("eu-west-1".to_owned()), 1 => "[a-z0-9.-]{0,5}"];
    let private = (account, service, region, select(SUFFIXES.to_vec()))
        .prop_map(|(account, service, region, suffix)| format!("{account}.{service}.{region}.{suffix}"));
    let host =
        prop_oneof![5 => private, 1 => select(vec!["public.ecr.aws", "ecr-public.aws.com"]).prop_map(str::to_owned)];
    let before = select(vec!["", "", "", "https://", "http://", "evil.", "evil.example/", "-"]);
    let after = select(vec![
        "",
        "",
        "",
        ".",
        ":443",
        ":5000",
        "/app",
        ".evil.example",
        "evil",
        "?.evil.example",
        "#.evil.example",
    ]);
    (before, host, after).prop_map(|(before, host, after)| format!("{before}{host}{after}"))
}

/// By the table of hosts, from its end.
fn is_ecr(host: &str) -> bool {
    if ["public.ecr.aws", "ecr-public.aws.com"].contains(&host) {
        return true;
    }
    let is_region = |text: &str| {
        let is_letter = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        text.bytes().all(|letter| is_letter(letter) || letter == b'-')
            && text.bytes().next().is_some_and(is_letter)
            && text.bytes().last().is_some_and(is_letter)
    };
    let single = "amazonaws.com amazonaws.com.cn amazonaws.eu c2s.ic.gov sc2s.sgov.gov cloud.adc-e.uk csp.hci.ic.gov \
                  on.amazonwebservices.com.cn";
    let dual = "on.aws on.amazonwebservices.com.cn";
    let rows = [(single, ".dkr.ecr."), (single, ".dkr.ecr-fips."), (dual, ".dkr-ecr."), (dual, ".dkr-ecr-fips.")];
    rows.into_iter().any(|(suffixes, service)| {
        suffixes.split(' ').any(|suffix| {
            let rest = host.strip_suffix(suffix).and_then(|rest| rest.strip_suffix('.'));
            let parts = rest.and_then(|rest| rest.split_once(service));
            parts.is_some_and(|(account, region)| {
                account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit()) && is_region(region)
            })
        })
    })
}

/// The plainest way to say what `*` means.
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.split_at_checked(1) {
        None => name.is_empty(),
        Some(("*", rest)) => (0..=name.len()).any(|at| covers(rest, &name[at..])),
        Some((letter, rest)) => name.strip_prefix(letter).is_some_and(|name| covers(rest, name)),
    }
}
