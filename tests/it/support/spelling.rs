//! What a name says, worked out a second time: Docker's own reading of it (`ConvertToHostname` in docker/cli, which goes to Go's
//! `url.Parse`), and the few spellings that the design lets pass for one. Shares no code with `server.rs`.

/// Scheme and rest of what Go takes for a URL.
fn url(name: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = name.split_once("://")?;
    let mut letters = scheme.bytes();
    let is_scheme = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || b"+-.".contains(&letter));
    is_scheme.then_some((scheme, rest))
}

/// What stands before and from the first slash, or of a URL question mark or fragment.
fn halves(name: &str) -> (&str, &str) {
    let rest = url(name).map_or(name.strip_prefix("//").unwrap_or(name), |(_, rest)| rest);
    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()))
}

/// Where a credential for a name would be sent, and whether in clear: nothing that differs in this may ever be answered for
/// one another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// `http`, or what else stands before `://`; TLS without anything.
    pub scheme: String,
    /// In lower case, without a dot at its end.
    pub host: String,
    /// Digits; `443` where TLS names none.
    pub port: String,
}

impl Target {
    /// Reads a name that is known to be a good one.
    pub fn of(name: &str) -> Self {
        let name = name.trim();
        let scheme = url(name).map_or("https".to_owned(), |(scheme, _)| scheme.to_ascii_lowercase());
        let authority = halves(name).0.to_ascii_lowercase();
        let digits = authority.len() - authority.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (host, port) = authority.split_at(authority.len() - digits);
        // The colons of an IPv6 address without brackets are no port's.
        let (host, port) = match host.strip_suffix(':') {
            Some(host) if digits > 0 && (!host.contains(':') || host.ends_with(']')) => (host, port),
            _ => (authority.as_str(), if scheme == "https" { "443" } else { "" }),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        let is_hub = scheme == "https" && port == "443" && ["index.docker.io", "registry-1.docker.io"].contains(&host);
        let host = if is_hub { "docker.io" } else { host };
        Self { scheme, host: host.into(), port: port.into() }
    }
}

/// A name's path, if it says more than "the registry".
pub fn path(name: &str) -> &str {
    let path = halves(name.trim()).1;
    if ["/", "/v1", "/v1/", "/v2", "/v2/"].contains(&path) { "" } else { path }
}
