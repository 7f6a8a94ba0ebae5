//! How a registry is named.
//!
//! Clients spell one registry in many ways: `ghcr.io`, `https://ghcr.io`, `ghcr.io:443`. A
//! [`ServerKey`] is the one name that all spellings of a registry share, and that nothing else has.
//! It is made here, at the edge, and trusted everywhere else. This module knows no store and no route.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// The Docker Hub's name in Docker's own files and in `docker login`.
pub const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Longest request that is taken for a name, in bytes.
const MAX_NAME: usize = 2048;

/// Paths that say no more than "the registry": what `docker login` and API clients append.
const TRIVIAL_PATHS: [&str; 6] = ["", "/", "/v1", "/v1/", "/v2", "/v2/"];

/// The name under which a credential is kept and looked for.
///
/// Two spellings of one server make equal keys. `key.name().parse()` gives the key back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey {
    name: String,
    registry: Option<String>,
    form: Form,
}

/// What a key stands for, which decides what may answer for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    /// A whole registry, over TLS.
    Registry,
    /// A part of a registry: `host[:port]/path`. Its parents answer for it.
    Namespaced,
    /// A registry over plain HTTP. Whatever is kept for it is never sent anywhere else.
    Http,
    /// Some other URL; only it itself.
    Opaque,
}

impl ServerKey {
    /// The key's one spelling: `host[:port]`, `host[:port]/path`, a URL, or [`DOCKER_HUB`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `host[:port]` of the registry that this key is about, lower case, port 443 left out; the Hub is
    /// `docker.io`. `None` for URLs whose scheme is neither `https` nor `http`.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// Whether the credential would travel over plain HTTP.
    pub fn is_http(&self) -> bool {
        self.form == Form::Http
    }

    /// Whether this names a whole registry, so that every client understands it in a `list`.
    pub fn is_registry(&self) -> bool {
        self.form == Form::Registry
    }

    /// The keys that may answer a `get` for this one, best first: itself and, for a namespace, its
    /// parents up to the registry. Never a child, another port or another host.
    pub fn candidates(&self) -> Vec<ServerKey> {
        let mut keys = vec![self.clone()];
        if self.form != Form::Namespaced {
            return keys;
        }
        let mut name = self.name.as_str();
        while let Some((parent, _)) = name.rsplit_once('/') {
            let parent = parent.trim_end_matches('/');
            if !parent.contains('/') {
                break;
            }
            // `host/v1` is the registry, which comes last, and no namespace of its own.
            if TRIVIAL_PATHS.contains(&split_path(parent).1) {
                name = parent;
                continue;
            }
            keys.push(Self { name: parent.to_owned(), ..self.clone() });
            name = parent;
        }
        keys.push(self.whole_registry());
        keys
    }

    /// The registry that this is a part of: for keys of one registry, whatever their path. Otherwise the key itself.
    pub fn whole_registry(&self) -> ServerKey {
        match &self.registry {
            Some(registry) if !self.is_http() => Self::of_registry(registry.clone()),
            _ => self.clone(),
        }
    }

    /// The key of a whole registry, from a normal `host[:port]`.
    fn of_registry(registry: String) -> Self {
        let name = if registry == "docker.io" { DOCKER_HUB.to_owned() } else { registry.clone() };
        Self { name, registry: Some(registry), form: Form::Registry }
    }
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for ServerKey {
    type Err = Error;

    /// Makes the key of what a client sent. Fails for what cannot name a server, or could be read as
    /// naming two (`user@host`, `host%2eexample`, `host\@evil`).
    fn from_str(request: &str) -> Result<Self, Error> {
        let key = read(request)?;
        // Otherwise two keys would share one place in a store: `quay.io//` and `quay.io`, `//http://h` and `http://h`.
        match read(&key.name) {
            Ok(again) if again == key => Ok(key),
            _ => Err(Error::BadServer("can be read in two ways")),
        }
    }
}

fn read(request: &str) -> Result<ServerKey, Error> {
    let request = request.trim();
    check_characters(request)?;
    let (scheme, rest) = split_scheme(request);
    match scheme.as_deref() {
        None | Some("https") => secure_key(scheme.is_some(), rest),
        Some("http") => http_key(rest),
        Some(_) => Ok(ServerKey { name: request.to_owned(), registry: None, form: Form::Opaque }),
    }
}

fn check_characters(request: &str) -> Result<(), Error> {
    if request.is_empty() {
        return Err(Error::NoServer);
    }
    if request.len() > MAX_NAME {
        return Err(Error::BadServer("is longer than 2048 bytes"));
    }
    if request.chars().any(char::is_control) {
        return Err(Error::BadServer("holds a control character"));
    }
    // The request of a `store`, or of another protocol. As a name, the trace would tell the secret in it.
    if request.starts_with('{') {
        return Err(Error::BadServer("begins with {, as JSON does"));
    }
    if request.contains(['@', '\\', '%']) {
        return Err(Error::BadServer("holds one of @ \\ %"));
    }
    Ok(())
}

/// The scheme in lower case, if the request has one, and what follows `://`. A bare `//` is no scheme.
fn split_scheme(request: &str) -> (Option<String>, &str) {
    if let Some(rest) = request.strip_prefix("//") {
        return (None, rest);
    }
    match request.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme.to_ascii_lowercase()), rest),
        _ => (None, request),
    }
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn secure_key(is_url: bool, rest: &str) -> Result<ServerKey, Error> {
    let (authority, path) = split_path(rest);
    let host = normal_host(authority, Some("443"))?;
    let registry = match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        _ => host,
    };
    if TRIVIAL_PATHS.contains(&path) {
        return Ok(ServerKey::of_registry(registry));
    }
    let host = if registry == "docker.io" { "index.docker.io" } else { &registry };
    let (name, form) = if is_url {
        (format!("https://{host}{path}"), Form::Opaque)
    } else if path.contains(['?', '#']) {
        // A query says nothing that a registry's credential should be sent for.
        (format!("{host}{path}"), Form::Opaque)
    } else {
        (format!("{host}{}", normal_namespace(path)?), Form::Namespaced)
    };
    Ok(ServerKey { name, registry: Some(registry), form })
}

fn http_key(rest: &str) -> Result<ServerKey, Error> {
    let (authority, path) = split_path(rest);
    let host = normal_host(authority, None)?;
    let path = if TRIVIAL_PATHS.contains(&path) { "" } else { path };
    Ok(ServerKey { name: format!("http://{host}{path}"), registry: Some(host), form: Form::Http })
}

fn split_path(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()))
}

/// `host[:port]` in its one spelling: ASCII lower case (so that U+212A does not become `k`), without the
/// scheme's own port and without the dot of a fully qualified name.
fn normal_host(authority: &str, default_port: Option<&str>) -> Result<String, Error> {
    let (host, port) = split_port(authority);
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if host.chars().all(|c| c == '.') {
        return Err(Error::BadServer("holds no host"));
    }
    check_end(&host)?;
    if port.is_none() && split_port(&host).1.is_some() {
        return Err(Error::BadServer("has a dot behind its port"));
    }
    Ok(match port {
        Some(port) if Some(port) != default_port => format!("{host}:{port}"),
        _ => host,
    })
}

/// Splits at the last colon, if only digits follow it and it does not lie within an IPv6 address.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port))
            if !port.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit())
                && (!host.contains(':') || host.ends_with(']')) =>
        {
            (host, Some(port))
        }
        _ => (authority, None),
    }
}

/// A namespace's path without the slash at its end. Segments that climb are refused: what they name
/// depends on who resolves them.
fn normal_namespace(path: &str) -> Result<&str, Error> {
    let path = path.trim_end_matches('/');
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(Error::BadServer("holds a path that climbs"));
    }
    path.split('/').try_for_each(check_end)?;
    Ok(path)
}

/// Refuses a part that would be another name where it is the last one, since names are trimmed.
fn check_end(part: &str) -> Result<(), Error> {
    if part.ends_with(char::is_whitespace) {
        return Err(Error::BadServer("holds white space at the end of a part"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ServerKey {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn names(text: &str) -> Vec<String> {
        key(text).candidates().iter().map(|key| key.name().to_owned()).collect()
    }

    /// Every spelling by which the clients name one registry.
    #[test]
    fn spellings_of_one_registry_are_one_key() {
        let table: &[(&str, &[&str])] = &[
            (
                DOCKER_HUB,
                &[
                    "docker.io",
                    "index.docker.io",
                    "registry-1.docker.io",
                    "registry-1.docker.io:443",
                    "https://registry-1.docker.io:443",
                    "https://index.docker.io/v1/",
                    "https://index.docker.io/v1",
                    "https://index.docker.io",
                    "https://docker.io/",
                    "//docker.io",
                    "DOCKER.IO",
                    "docker.io.",
                    " docker.io\n",
                ],
            ),
            (
                "ghcr.io",
                &[
                    "ghcr.io",
                    "GHCR.io",
                    "ghcr.io:443",
                    "ghcr.io.",
                    "ghcr.io.:443",
                    "ghcr.io/",
                    "ghcr.io/v2/",
                    "//ghcr.io/v1",
                    "https://ghcr.io",
                    "HTTPS://ghcr.io:443/v2",
                    "https://ghcr.io./v1/",
                ],
            ),
            ("localhost:5000", &["localhost:5000", "https://localhost:5000", "LOCALHOST:5000/v2/"]),
            ("[::1]:5000", &["[::1]:5000", "https://[::1]:5000/"]),
            ("[::1]", &["[::1]:443", "[::1]"]),
            ("http://localhost:5000", &["http://localhost:5000", "HTTP://LOCALHOST:5000/v2/"]),
            ("http://ghcr.io:443", &["http://ghcr.io:443"]),
            ("quay.io/org", &["quay.io/org", "quay.io:443/org/", "QUAY.IO/org"]),
            ("index.docker.io/library/x", &["docker.io/library/x", "registry-1.docker.io/library/x"]),
            (
                "https://index.docker.io/v1/access-token",
                &["https://index.docker.io/v1/access-token", "https://INDEX.docker.io:443/v1/access-token"],
            ),
            ("oci://ghcr.io/x", &["oci://ghcr.io/x"]),
            ("hub-tool-token", &["hub-tool-token"]),
        ];
        for (name, spellings) in table {
            for spelling in *spellings {
                assert_eq!(key(spelling).name(), *name, "{spelling:?}");
                assert_eq!(key(spelling), key(name), "{spelling:?}");
            }
        }
    }

    #[test]
    fn what_must_not_match_does_not() {
        let pairs = [
            ("localhost", "127.0.0.1"),
            ("localhost", "[::1]"),
            ("localhost:5000", "localhost:5001"),
            ("localhost:5000", "localhost"),
            ("http://ghcr.io", "https://ghcr.io"),
            ("http://ghcr.io", "ghcr.io"),
            ("http://ghcr.io:443", "ghcr.io"),
            ("ghcr.io", "ghcr.io.evil.example"),
            ("ghcr.io", "evil-ghcr.io"),
            ("quay.io/Org", "quay.io/org"),
            ("\u{212A}ube.example", "kube.example"),
            ("https://quay.io/org", "quay.io/org"),
            ("https://quay.io?x", "quay.io"),
            ("quay.io?x", "quay.io"),
            ("ghcr.io:0443", "ghcr.io"),
        ];
        for (one, other) in pairs {
            assert_ne!(key(one), key(other), "{one} {other}");
            assert!(!names(one).contains(&key(other).name().to_owned()), "{one} is served by {other}");
        }
    }

    #[test]
    fn a_namespace_is_answered_by_its_parents_only() {
        assert_eq!(names("quay.io/a/b"), ["quay.io/a/b", "quay.io/a", "quay.io"]);
        assert_eq!(
            names("index.docker.io/library/x"),
            ["index.docker.io/library/x", "index.docker.io/library", DOCKER_HUB]
        );
        assert_eq!(names("localhost:5000/x"), ["localhost:5000/x", "localhost:5000"]);
        // Of these `quay.io/v2` was one, a name that reads as the registry's.
        assert_eq!(names("quay.io/v2/x"), ["quay.io/v2/x", "quay.io"]);
        for alone in ["quay.io", "https://quay.io/a/b", "http://quay.io/a", DOCKER_HUB, "oci://quay.io/a"] {
            assert_eq!(names(alone), [key(alone).name()], "{alone}");
        }
    }

    #[test]
    fn what_names_no_server_is_refused() {
        let long = "a".repeat(2049);
        for bad in [
            "https://",
            "https:///v1/",
            "/etc/passwd",
            ":5000",
            "..",
            ".",
            "../../etc/passwd",
            "ghcr.io/../evil",
            "//http://localhost:5000",
            "//https://index.docker.io/v1/access-token",
            "quay.io//",
            "quay.io/v2//",
            "quay.io /org",
            "quay.io/org\u{a0}/app",
            "https://quay.io /org",
            "docker.io//",
            "ghcr.io..",
            "ghcr.io:443.",
            "ghcr.io:5000.",
            "http://h..",
            "user@ghcr.io",
            "{\"ServerURL\":\"ghcr.io\"}",
            "{",
            "https://ghcr.io@evil.example",
            "ghcr.io\\evil",
            "ghcr.io%2fevil",
            "ghcr.io\0",
            "a\nb",
            "a\u{85}b",
            &long,
        ] {
            assert!(matches!(bad.parse::<ServerKey>(), Err(Error::BadServer(_))), "{bad:?}");
        }
        for empty in ["", " ", "\r\n\t"] {
            assert!(matches!(empty.parse::<ServerKey>(), Err(Error::NoServer)), "{empty:?}");
        }
    }

    #[test]
    fn a_name_parses_to_its_own_key() {
        for text in [
            "docker.io/a/b",
            "https://h.example/a?b",
            "h.example?b",
            "http://h.example/a/",
            "H.example:5000/A/",
            "https://docker.io/v1/refresh-token",
            "a//b",
            "x:y",
        ] {
            for candidate in key(text).candidates() {
                assert_eq!(key(candidate.name()), candidate, "{text}");
            }
        }
    }

    #[test]
    fn rules_see_the_registry_alone() {
        for (text, registry) in [
            ("https://index.docker.io/v1/access-token", "docker.io"),
            ("index.docker.io/library/x", "docker.io"),
            ("GHCR.io:443/x", "ghcr.io"),
            ("http://h.example:5000/x", "h.example:5000"),
        ] {
            assert_eq!(key(text).registry(), Some(registry), "{text}");
        }
        assert_eq!(key("oci://ghcr.io").registry(), None);
    }
}
