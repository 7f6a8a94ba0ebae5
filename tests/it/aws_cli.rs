//! The AWS CLI as a second opinion: the same files and the same environment make both ask AWS as the same one.
//!
//! Each client gets a home and an AWS of its own, and what they ask for is compared: operations, the keys that sign
//! them, what is said to STS. Only loopback is reached: endpoints are set, the metadata service is off unless it is the
//! one here, and what would still go elsewhere meets a proxy that is not there.
//!
//! Left out: `login_session`, which the CLI reads only with a package of native code more.

use std::path::Path;

use crate::support::{Asked, Aws, Outcome, World};

const HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

/// What both are given. `{aws}` in a text is the URL of AWS, `{home}` the home directory.
#[derive(Clone, Copy)]
struct Given {
    /// What it is about.
    what: &'static str,
    env: &'static [(&'static str, &'static str)],
    /// Named to the CLI by `--profile`, to Coffer by a rule.
    profile: Option<&'static str>,
    /// `~/.aws/config`
    config: &'static str,
    /// `~/.aws/credentials`
    credentials: &'static str,
}

const fn given(what: &'static str) -> Given {
    Given { what, env: &[], profile: None, config: "", credentials: "" }
}

impl Given {
    const fn env(self, env: &'static [(&'static str, &'static str)]) -> Self {
        Self { env, ..self }
    }

    const fn named(self, profile: &'static str) -> Self {
        Self { profile: Some(profile), ..self }
    }

    const fn config(self, config: &'static str) -> Self {
        Self { config, ..self }
    }

    const fn credentials(self, credentials: &'static str) -> Self {
        Self { credentials, ..self }
    }
}

/// How it ends.
#[derive(Clone, Copy)]
enum End {
    /// With a token, after these requests: who asks, and for what.
    Asks(&'static [&'static str]),
    /// With an error that holds these words.
    Fails(&'static str),
}

use End::{Asks, Fails};

#[derive(Clone, Copy, Debug)]
enum Client {
    Cli,
    Coffer,
}

/// What is in every home besides: tokens of SSO under the names that SHA-1 gives them, and one of a web identity.
const FILES: [(&str, &str); 5] = [
    // live
    (
        ".aws/sso/cache/98aadb37083eddd855c27feccb15dc8c5b127fd0.json",
        r#"{"startUrl": "https://live.example/start", "region": "us-east-1", "accessToken": "TOKEN-OF-SSO",
            "expiresAt": "2099-01-01T00:00:00Z"}"#,
    ),
    // https://live.example/start
    (
        ".aws/sso/cache/e906f606ac5f85008d7d9159c4a9a3e8ed89afd7.json",
        r#"{"startUrl": "https://live.example/start", "region": "us-east-1", "accessToken": "TOKEN-OF-SSO",
            "expiresAt": "2099-01-01T00:00:00Z"}"#,
    ),
    // dead
    (
        ".aws/sso/cache/5eb965dd8c804a3a2833ac61fe1d1f6b1960735a.json",
        r#"{"startUrl": "https://live.example/start", "region": "us-east-1", "accessToken": "TOKEN-OF-SSO",
            "expiresAt": "2020-01-01T00:00:00Z"}"#,
    ),
    // stale
    (
        ".aws/sso/cache/a4e976a3d3fc6d0b40453de216fbbe2e9aaecdc4.json",
        r#"{"startUrl": "https://live.example/start", "region": "us-east-1", "accessToken": "old",
            "expiresAt": "2020-01-01T00:00:00Z", "clientId": "c", "clientSecret": "s", "refreshToken": "r",
            "registrationExpiresAt": "2099-01-01T00:00:00Z"}"#,
    ),
    ("token", "TOKEN-OF-THE-WEB"),
];

/// Everything that the client asked, or what it said when it failed.
fn ask(given: &Given, client: Client) -> Result<Vec<String>, Outcome> {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    for proxy in ["HTTPS_PROXY", "HTTP_PROXY"] {
        world.set(proxy, "http://127.0.0.1:9");
    }
    world.set("NO_PROXY", "127.0.0.1");
    world.set("AWS_DEFAULT_REGION", "us-east-1");
    world.set("AWS_MAX_ATTEMPTS", "1");
    world.set("AWS_ECR_DISABLE_CACHE", "1");
    let home = world.home().display().to_string();
    let filled = |text: &str| text.replace("{aws}", &aws.url).replace("{home}", &home);
    for (name, value) in given.env {
        // An empty value is none to some and a value to others; it is meant to be none.
        if value.is_empty() { world.unset(name) } else { world.set(name, &filled(value)) }
    }
    for (path, text) in [(".aws/config", given.config), (".aws/credentials", given.credentials)] {
        if !text.is_empty() {
            world.write(path, &filled(text));
        }
    }
    for (path, text) in FILES {
        world.write(path, text);
    }
    let outcome = match client {
        Client::Cli => {
            let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/aws");
            // Without a terminal, which it would ask for the code of an MFA device.
            let mut arguments = vec!["--wait", program.to_str().unwrap(), "ecr", "get-authorization-token"];
            arguments.extend(given.profile.iter().flat_map(|profile| ["--profile", profile]));
            world.call("setsid", &arguments).run()
        }
        Client::Coffer => {
            if let Some(profile) = given.profile {
                world.config(&format!("[[registry]]\nmatch = \"123456789012.dkr.ecr.*\"\nprofile = \"{profile}\"\n"));
            }
            world.get(HOST)
        }
    };
    if outcome.code != Some(0) {
        return Err(outcome);
    }
    Ok(aws.asked().iter().filter(|asked| !asked.operation.starts_with("/latest/")).map(line).collect())
}

/// Who asks for what. Of STS's parameters those that a profile sets; of its regions those that are not the usual one.
fn line(asked: &Asked) -> String {
    let mut scope = asked.scope.split('/');
    let who = [scope.next().unwrap_or_default(), &asked.token].into_iter().find(|who| !who.is_empty());
    let operation = asked.operation.split('?').next().and_then(|name| name.rsplit('.').next()).unwrap_or_default();
    let mut line = format!("{} {operation}", who.unwrap_or("nobody"));
    let region = scope.nth(1).unwrap_or("us-east-1");
    if operation.starts_with("Assume") && region != "us-east-1" {
        line += &format!(" in {region}");
    }
    let mut said: Vec<&str> = asked.body.split('&').filter(|pair| is_set_by_profile(pair)).collect();
    said.sort_unstable();
    [&[line.as_str()], &said[..]].concat().join(" ")
}

/// Both clients make up session names, with the time in them.
fn is_set_by_profile(pair: &str) -> bool {
    let (name, value) = pair.split_once('=').unwrap_or_default();
    match name {
        "ExternalId" | "DurationSeconds" | "WebIdentityToken" => true,
        "RoleSessionName" => !value.contains(|letter: char| letter.is_ascii_digit()),
        _ => false,
    }
}

#[track_caller]
fn ends(given: &Given, client: Client, end: End) {
    let what = given.what;
    match (ask(given, client), end) {
        (Ok(asked), Asks(expected)) => assert_eq!(asked, expected, "{client:?}: {what}"),
        (Err(outcome), Fails(words)) => assert!(outcome.said().contains(words), "{client:?}: {what}: {outcome:#?}"),
        (Ok(asked), Fails(_)) => panic!("{client:?}: {what}: it did not fail, and asked {asked:#?}"),
        (Err(outcome), Asks(_)) => panic!("{client:?}: {what}: {outcome:#?}"),
    }
}

/// Both ask the same.
#[track_caller]
fn same(rows: &[(Given, &'static [&'static str])]) {
    for (given, asks) in rows {
        for client in [Client::Cli, Client::Coffer] {
            ends(given, client, Asks(asks));
        }
    }
}

/// Both fail: the CLI in these words, Coffer in those.
#[track_caller]
fn both_fail(rows: &[(Given, &'static str, &'static str)]) {
    for (given, cli, coffer) in rows {
        ends(given, Client::Cli, Fails(cli));
        ends(given, Client::Coffer, Fails(coffer));
    }
}

#[track_caller]
fn differ(rows: &[(Given, End, End)]) {
    for (given, cli, coffer) in rows {
        ends(given, Client::Cli, *cli);
        ends(given, Client::Coffer, *coffer);
    }
}

const ENV_KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "x")];
const NO_ENDPOINT: (&str, &str) = ("AWS_ENDPOINT_URL", "");
const WEB_IDENTITY: [(&str, &str); 2] =
    [("AWS_ROLE_ARN", "arn:aws:iam::1:role/web"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "{home}/token")];
const CONTAINER: [(&str, &str); 2] = [
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "{aws}/container"),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "TOKEN-OF-THE-CONTAINER"),
];
const INSTANCE: [(&str, &str); 2] =
    [("AWS_EC2_METADATA_SERVICE_ENDPOINT", "{aws}"), ("AWS_EC2_METADATA_DISABLED", "false")];

const AS_BOB: &[(&str, &str)] = &[("AWS_PROFILE", "bob")];
const AS_PULL: &[(&str, &str)] = &[("AWS_PROFILE", "pull")];

const DEFAULT_KEYS: &str = "[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = x\n";
const BOB: &str = "[bob]\naws_access_key_id = AKIDBOB\naws_secret_access_key = x\n";
const BOB_IN_CONFIG: &str = "[profile bob]\naws_access_key_id = AKIDBOB\naws_secret_access_key = x\n";
const BOB_AND_DEFAULT: &str = "[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = x\n\
    [bob]\naws_access_key_id = AKIDBOB\naws_secret_access_key = x\n";
const BOB_AND_HUB: &str = "[hub]\naws_access_key_id = AKIDHUB\naws_secret_access_key = x\n\
    [bob]\naws_access_key_id = AKIDBOB\naws_secret_access_key = x\n";
const PULL: &str = "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = bob\n";
const PULL_OF_ENVIRONMENT: &str =
    "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\ncredential_source = Environment\n";
const PULL_OF_HUB: &str = "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = hub\n\
    [profile hub]\nrole_arn = arn:aws:iam::1:role/hub\nsource_profile = bob\n";

const AKIDENV: &[&str] = &["AKIDENV GetAuthorizationToken"];
const AKIDDEFAULT: &[&str] = &["AKIDDEFAULT GetAuthorizationToken"];
const AKIDBOB: &[&str] = &["AKIDBOB GetAuthorizationToken"];
const PULLED: &[&str] = &["AKIDBOB AssumeRole", "ASIApull GetAuthorizationToken"];
const PULLED_BY_ENV: &[&str] = &["AKIDENV AssumeRole", "ASIApull GetAuthorizationToken"];
const PULLED_BY_HUB: &[&str] = &["AKIDHUB AssumeRole", "ASIApull GetAuthorizationToken"];
const BY_CONTAINER: [&str; 2] = ["TOKEN-OF-THE-CONTAINER /container", "ASIACONTAINER GetAuthorizationToken"];
const BY_SSO: [&str; 2] = ["TOKEN-OF-SSO /federation/credentials", "ASIASSO GetAuthorizationToken"];

#[test]
fn keys() {
    same(&[
        (given("keys in the environment").env(&ENV_KEYS), AKIDENV),
        (given("keys in credentials").credentials(DEFAULT_KEYS), AKIDDEFAULT),
        (given("keys in config").config(DEFAULT_KEYS), AKIDDEFAULT),
        (
            given("keys in both files: those of credentials")
                .config("[default]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = x\n")
                .credentials(DEFAULT_KEYS),
            AKIDDEFAULT,
        ),
        (given("the environment before the default profile").env(&ENV_KEYS).credentials(DEFAULT_KEYS), AKIDENV),
        (
            given("credentials elsewhere")
                .env(&[("AWS_SHARED_CREDENTIALS_FILE", "{home}/.aws/config")])
                .config(DEFAULT_KEYS),
            AKIDDEFAULT,
        ),
        (
            given("config elsewhere, at home")
                .env(&[("AWS_CONFIG_FILE", "~/.aws/credentials")])
                .credentials(DEFAULT_KEYS),
            AKIDDEFAULT,
        ),
        (
            given("a secret key alone is nothing").env(&[("AWS_SECRET_ACCESS_KEY", "x")]).credentials(DEFAULT_KEYS),
            AKIDDEFAULT,
        ),
        (
            given("capitals, and the line ends of Windows")
                .credentials("[default]\r\nAWS_ACCESS_KEY_ID = AKIDDEFAULT\r\nAWS_SECRET_ACCESS_KEY = x\r\n"),
            AKIDDEFAULT,
        ),
    ]);
}

#[test]
fn profiles() {
    same(&[
        (given("AWS_PROFILE").env(AS_BOB).credentials(BOB_AND_DEFAULT), AKIDBOB),
        (given("a profile in config only").env(AS_BOB).config(BOB_IN_CONFIG), AKIDBOB),
        (given("a profile in credentials only").env(AS_BOB).credentials(BOB), AKIDBOB),
        (
            given("keys in the environment before AWS_PROFILE")
                .env(&[("AWS_PROFILE", "bob"), ENV_KEYS[0], ENV_KEYS[1]])
                .credentials(BOB),
            AKIDENV,
        ),
        (given("a named profile before the environment").env(&ENV_KEYS).named("bob").credentials(BOB), AKIDBOB),
        (
            given("a named profile before AWS_PROFILE")
                .env(&[("AWS_PROFILE", "default")])
                .named("bob")
                .credentials(BOB_AND_DEFAULT),
            AKIDBOB,
        ),
        (
            given("a device of MFA that a user's own keys do without")
                .env(AS_BOB)
                .config("[profile bob]\nmfa_serial = arn:aws:iam::1:mfa/bob\n")
                .credentials(BOB),
            AKIDBOB,
        ),
        (
            given("a process").env(AS_BOB).config(
                "[profile bob]\ncredential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"AKIDBOB\", \
                 \"SecretAccessKey\": \"x\", \"SessionToken\": \"y\", \"Expiration\": \"2099-01-01T00:00:00Z\"}'\n",
            ),
            AKIDBOB,
        ),
        (
            given("a process whose keys last, before keys in config").env(AS_BOB).config(
                "[profile bob]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = x\n\
                 credential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"AKIDBOB\", \
                 \"SecretAccessKey\": \"x\"}'\n",
            ),
            AKIDBOB,
        ),
    ]);
}

#[test]
fn roles() {
    same(&[
        (
            given("the device of a source")
                .env(AS_PULL)
                .config(
                    "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = bob\n\
                     [profile bob]\nmfa_serial = arn:aws:iam::1:mfa/bob\n",
                )
                .credentials(BOB),
            PULLED,
        ),
        (
            given("a device behind a source with keys")
                .env(AS_PULL)
                .config(
                    "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = hub\n\
                     [profile hub]\nrole_arn = arn:aws:iam::1:role/hub\nsource_profile = bob\n\
                     mfa_serial = arn:aws:iam::1:mfa/bob\n",
                )
                .credentials(BOB_AND_HUB),
            PULLED_BY_HUB,
        ),
        (given("a role").env(AS_PULL).config(PULL).credentials(BOB), PULLED),
        (
            given("a role, named, before the environment").env(&ENV_KEYS).named("pull").config(PULL).credentials(BOB),
            PULLED,
        ),
        (
            given("a role of a role").env(AS_PULL).config(PULL_OF_HUB).credentials(BOB),
            &["AKIDBOB AssumeRole", "ASIAhub AssumeRole", "ASIApull GetAuthorizationToken"],
        ),
        (
            given("external ID and session name")
                .env(AS_PULL)
                .config(
                    "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = bob\n\
                     external_id = shared\nrole_session_name = puller\n",
                )
                .credentials(BOB),
            &["AKIDBOB AssumeRole ExternalId=shared RoleSessionName=puller", "ASIApull GetAuthorizationToken"],
        ),
        (
            given("a role of the profile's own keys")
                .env(AS_BOB)
                .config("[profile bob]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = bob\n")
                .credentials(BOB),
            PULLED,
        ),
        (
            given("a source's keys before its role").env(AS_PULL).config(PULL_OF_HUB).credentials(BOB_AND_HUB),
            PULLED_BY_HUB,
        ),
        (
            given("a role before the profile's own keys")
                .env(&[("AWS_PROFILE", "hub")])
                .config("[profile hub]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = bob\n")
                .credentials(BOB_AND_HUB),
            PULLED,
        ),
        (
            given("a role in the default profile")
                .config("[default]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = bob\n")
                .credentials(BOB),
            PULLED,
        ),
        (
            given("a role of a process").env(AS_PULL).config(
                "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = bob\n[profile bob]\n\
                 credential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"AKIDBOB\", \
                 \"SecretAccessKey\": \"x\"}'\n",
            ),
            PULLED,
        ),
    ]);
}

#[test]
fn roles_of_the_environment() {
    same(&[
        (
            given("a role of the environment's keys").env(&ENV_KEYS).named("pull").config(PULL_OF_ENVIRONMENT),
            PULLED_BY_ENV,
        ),
        (
            given("keys in the environment before the role of AWS_PROFILE")
                .env(&[("AWS_PROFILE", "pull"), ENV_KEYS[0], ENV_KEYS[1]])
                .config(PULL_OF_ENVIRONMENT),
            AKIDENV,
        ),
        (
            given("a profile's role before a web identity in the environment")
                .env(&[("AWS_PROFILE", "pull"), WEB_IDENTITY[0], WEB_IDENTITY[1]])
                .config(PULL)
                .credentials(BOB),
            PULLED,
        ),
        (
            given("the region of a role's profile")
                .env(&[("AWS_PROFILE", "pull"), ("AWS_DEFAULT_REGION", "")])
                .config(
                    "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = bob\nregion = eu-west-1\n",
                )
                .credentials(BOB),
            &["AKIDBOB AssumeRole in eu-west-1", "ASIApull GetAuthorizationToken"],
        ),
    ]);
}

#[test]
fn web_identities() {
    const NAMED: [&str; 2] = [
        "nobody AssumeRoleWithWebIdentity RoleSessionName=puller WebIdentityToken=TOKEN-OF-THE-WEB",
        "ASIAweb GetAuthorizationToken",
    ];
    const WEB: &str = "[profile web]\nrole_arn = arn:aws:iam::1:role/web\nweb_identity_token_file = {home}/token\n\
        role_session_name = puller\n\
        [profile pull]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = web\n";
    same(&[
        (
            given("a web identity in the environment").env(&[
                WEB_IDENTITY[0],
                WEB_IDENTITY[1],
                ("AWS_ROLE_SESSION_NAME", "puller"),
            ]),
            &NAMED,
        ),
        (given("a web identity in a profile").env(&[("AWS_PROFILE", "web")]).config(WEB), &NAMED),
        (
            given("a role of a web identity").env(AS_PULL).config(WEB),
            &[NAMED[0], "ASIAweb AssumeRole", "ASIApull GetAuthorizationToken"],
        ),
    ]);
}

const SSO: &str = "
[profile live]
sso_session = live
sso_account_id = 123456789012
sso_role_name = SSO
[sso-session live]
sso_region = us-east-1
sso_start_url = https://live.example/start
[profile legacy]
sso_start_url = https://live.example/start
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = SSO
[profile pull]
role_arn = arn:aws:iam::1:role/pull
source_profile = live
[profile dead]
sso_session = dead
sso_account_id = 123456789012
sso_role_name = SSO
[sso-session dead]
sso_region = us-east-1
sso_start_url = https://live.example/start
[profile stale]
sso_session = stale
sso_account_id = 123456789012
sso_role_name = SSO
[sso-session stale]
sso_region = us-east-1
sso_start_url = https://live.example/start
[profile never]
sso_start_url = https://never.example/start
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = SSO
[profile orphan]
sso_session = gone
sso_account_id = 123456789012
sso_role_name = SSO
";

#[test]
fn sso() {
    same(&[
        (given("a session of SSO").env(&[("AWS_PROFILE", "live")]).config(SSO), &BY_SSO),
        (given("a session of SSO, named").named("live").config(SSO), &BY_SSO),
        (given("SSO without a session's name").env(&[("AWS_PROFILE", "legacy")]).config(SSO), &BY_SSO),
        (
            given("SSO before the profile's keys")
                .env(&[("AWS_PROFILE", "live")])
                .config(SSO)
                .credentials("[live]\naws_access_key_id = AKIDLIVE\naws_secret_access_key = x\n"),
            &BY_SSO,
        ),
        (
            given("a role of SSO").env(AS_PULL).config(SSO),
            &[BY_SSO[0], "ASIASSO AssumeRole", "ASIApull GetAuthorizationToken"],
        ),
        (
            given("a token that is refreshed").env(&[("AWS_PROFILE", "stale")]).config(SSO),
            &["nobody /token", BY_SSO[0], BY_SSO[1]],
        ),
    ]);
}

#[test]
fn machines() {
    same(&[
        (given("a container").env(&CONTAINER), &BY_CONTAINER),
        (
            given("a role of a container")
                .env(&CONTAINER)
                .named("pull")
                .config("[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\ncredential_source = EcsContainer\n"),
            &[BY_CONTAINER[0], "ASIACONTAINER AssumeRole", "ASIApull GetAuthorizationToken"],
        ),
        (given("an instance").env(&INSTANCE), &["ASIAINSTANCE GetAuthorizationToken"]),
        (
            given("a role of an instance").env(&INSTANCE).named("pull").config(
                "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\ncredential_source = Ec2InstanceMetadata\n",
            ),
            &["ASIAINSTANCE AssumeRole", "ASIApull GetAuthorizationToken"],
        ),
        (given("a profile before a container").env(&CONTAINER).credentials(DEFAULT_KEYS), AKIDDEFAULT),
        (
            given("a container before an instance").env(&[CONTAINER[0], CONTAINER[1], INSTANCE[0], INSTANCE[1]]),
            &BY_CONTAINER,
        ),
        (
            given("a container where AWS_PROFILE has no keys")
                .env(&[("AWS_PROFILE", "empty"), CONTAINER[0], CONTAINER[1]])
                .config("[profile empty]\nregion = us-east-1\n"),
            &BY_CONTAINER,
        ),
    ]);
}

const BOBS_ENDPOINT: &str = "[profile bob]\nendpoint_url = {aws}\n";
const BOBS_ENDPOINT_OF_ECR: &str = "[profile bob]\nservices = here\n[services here]\necr =\n  endpoint_url = {aws}\n";

#[test]
fn endpoints() {
    same(&[
        (
            given("the endpoint of a named profile")
                .env(&[NO_ENDPOINT])
                .named("bob")
                .config(BOBS_ENDPOINT)
                .credentials(BOB),
            AKIDBOB,
        ),
        (
            given("the endpoint of a named profile's service")
                .env(&[NO_ENDPOINT])
                .named("bob")
                .config(BOBS_ENDPOINT_OF_ECR)
                .credentials(BOB),
            AKIDBOB,
        ),
        (
            given("the endpoint of a profile")
                .env(&[NO_ENDPOINT, ("AWS_PROFILE", "bob")])
                .config(BOBS_ENDPOINT)
                .credentials(BOB),
            AKIDBOB,
        ),
        (
            given("the endpoint of a service")
                .env(&[NO_ENDPOINT, ("AWS_PROFILE", "bob")])
                .config(BOBS_ENDPOINT_OF_ECR)
                .credentials(BOB),
            AKIDBOB,
        ),
        (
            given("the endpoint of a service in the environment").env(&[
                NO_ENDPOINT,
                ("AWS_ENDPOINT_URL_ECR", "{aws}"),
                ENV_KEYS[0],
                ENV_KEYS[1],
            ]),
            AKIDENV,
        ),
        (
            given("the endpoint of a role's profile")
                .env(&[NO_ENDPOINT, ("AWS_PROFILE", "pull")])
                .config(
                    "[profile pull]\nendpoint_url = {aws}\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = bob\n",
                )
                .credentials(BOB),
            PULLED,
        ),
    ]);
    both_fail(&[(
        given("endpoints that are not to be used").env(&[
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
            ENV_KEYS[0],
            ENV_KEYS[1],
        ]),
        "Failed to connect to proxy",
        "the proxy refuses",
    )]);
}

#[test]
fn what_is_missing() {
    const NO_KEYS: &str = "no AWS credentials found";
    both_fail(&[
        (given("nothing"), "Unable to locate credentials", NO_KEYS),
        (
            given("no such profile").env(&[("AWS_PROFILE", "gone")]).credentials(DEFAULT_KEYS),
            "The config profile (gone) could not be found",
            "there is no AWS profile gone",
        ),
        (
            given("no such profile, and keys in the environment").env(&[
                ("AWS_PROFILE", "gone"),
                ENV_KEYS[0],
                ENV_KEYS[1],
            ]),
            "The config profile (gone) could not be found",
            "there is no AWS profile gone",
        ),
        (
            given("no such profile, named").named("gone").credentials(DEFAULT_KEYS),
            "The config profile (gone) could not be found",
            "there is no AWS profile gone",
        ),
        (
            given("a profile in config without the word").env(AS_BOB).config(BOB),
            "The config profile (bob) could not be found",
            "there is no AWS profile bob",
        ),
        (
            given("half a pair in the environment").env(&[("AWS_ACCESS_KEY_ID", "AKIDENV")]),
            "Partial credentials found in env",
            NO_KEYS,
        ),
        (
            given("half a pair in credentials, and a container")
                .env(&CONTAINER)
                .credentials("[default]\naws_access_key_id = A\n"),
            "Partial credentials found in shared-credentials-file",
            "profile missing aws_secret_access_key",
        ),
        (
            given("half a pair in config").config("[default]\naws_access_key_id = A\n"),
            "Partial credentials found in config-file",
            "profile missing aws_secret_access_key",
        ),
        (
            given("an empty profile").env(&[("AWS_PROFILE", "empty")]).config("[profile empty]\nregion = us-east-1\n"),
            "Unable to locate credentials",
            NO_KEYS,
        ),
        (
            given("a broken file").credentials("[default\naws_access_key_id = A\n"),
            "Unable to parse config file",
            "credentials on line 1",
        ),
    ]);
}

#[test]
fn what_does_not_work() {
    both_fail(&[
        (
            given("the endpoint of the default profile, and another is named")
                .env(&[NO_ENDPOINT])
                .named("bob")
                .config("[default]\nendpoint_url = {aws}\n")
                .credentials(BOB),
            "Failed to connect to proxy",
            "the proxy refuses",
        ),
        (
            given("the device of a role of the environment's keys").env(&ENV_KEYS).named("pull").config(
                "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\ncredential_source = Environment\n\
                 mfa_serial = arn:aws:iam::1:mfa/bob\n",
            ),
            "Enter MFA code for arn:aws:iam::1:mfa/bob",
            "has given no code",
        ),
        (
            given("the device of a role of the profile's own keys")
                .env(AS_BOB)
                .config(
                    "[profile bob]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = bob\n\
                     mfa_serial = arn:aws:iam::1:mfa/bob\n",
                )
                .credentials(BOB),
            "Enter MFA code for arn:aws:iam::1:mfa/bob",
            "has given no code",
        ),
        (
            given("a loop of profiles").env(AS_PULL).config(
                "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = loop\n\
                 [profile loop]\nrole_arn = arn:aws:iam::1:role/loop\nsource_profile = pull\n",
            ),
            "Infinite loop in credential configuration",
            "profile formed an infinite loop",
        ),
        (
            given("a source that is not there").env(AS_PULL).config(PULL),
            "The source_profile \"bob\" referenced in the profile \"pull\" does not exist",
            "there is no AWS profile bob, which profile pull names",
        ),
        (
            given("a source without keys").env(AS_PULL).config(PULL).credentials("[bob]\nregion = us-east-1\n"),
            "The source profile \"bob\" must have credentials",
            "profile `bob` did not contain credential information",
        ),
        (
            given("a role of nobody, and a container")
                .env(&[("AWS_PROFILE", "pull"), CONTAINER[0], CONTAINER[1]])
                .config("[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\n"),
            "missing: source_profile or credential_source",
            "must contain `source_profile` or `credential_source`",
        ),
        (
            given("two sources")
                .env(AS_PULL)
                .config(
                    "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = bob\n\
                     credential_source = Environment\n",
                )
                .credentials(BOB),
            "contains both source_profile and credential_source",
            "contained both source_profile and credential_source",
        ),
        (
            given("a role of an environment without keys").env(AS_PULL).config(PULL_OF_ENVIRONMENT),
            "No credentials found in credential_source",
            "environment variable not set",
        ),
        (
            given("a role that needs a code")
                .env(AS_PULL)
                .config(
                    "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = bob\n\
                     mfa_serial = arn:aws:iam::1:mfa/bob\n",
                )
                .credentials(BOB),
            "Enter MFA code for arn:aws:iam::1:mfa/bob",
            "the MFA device arn:aws:iam::1:mfa/bob has given no code",
        ),
        (
            given("a process that fails").env(AS_BOB).config("[profile bob]\ncredential_process = false\n"),
            "Error when retrieving credentials from custom-process",
            "external process exited with code exit status: 1",
        ),
        (
            given("a process of another version").env(AS_BOB).config(
                "[profile bob]\n\
                 credential_process = echo '{\"Version\": 2, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"x\"}'\n",
            ),
            "Unsupported version '2'",
            "unknown version number: 2",
        ),
    ]);
}

#[test]
fn tokens_that_are_not_shown() {
    both_fail(&[
        (
            given("SSO that has expired, and a container")
                .env(&[("AWS_PROFILE", "dead"), CONTAINER[0], CONTAINER[1]])
                .config(SSO),
            "Token has expired and refresh failed",
            "the SSO session of profile dead has expired",
        ),
        (
            given("SSO that was never begun").env(&[("AWS_PROFILE", "never")]).config(SSO),
            "Token for https://never.example/start does not exist",
            "the SSO session of profile never has expired, or was never begun",
        ),
        (
            given("no such session").env(&[("AWS_PROFILE", "orphan")]).config(SSO),
            "The specified sso-session does not exist: \"gone\"",
            "sso-session named `gone`",
        ),
        (
            given("no token of a web identity").env(&[WEB_IDENTITY[0], ("AWS_WEB_IDENTITY_TOKEN_FILE", "{home}/gone")]),
            "No such file or directory",
            "No such file or directory",
        ),
        (given("a container that refuses").env(&[CONTAINER[0]]), "Received non 200 response 401", "StatusCode(401)"),
    ]);
}

/// Where the SDK for Rust goes another way than the CLI, and Coffer with it. The CLI first, then Coffer.
const DIFFERENT: &[(Given, End, End)] = &[
    // The SDK knows no such property: the role's session lasts an hour, of which Coffer needs a second.
    (
        given("duration_seconds")
            .env(AS_PULL)
            .config(
                "[profile pull]\nrole_arn = arn:aws:iam::1:role/pull\nsource_profile = bob\nduration_seconds = 1800\n",
            )
            .credentials(BOB),
        Asks(&["AKIDBOB AssumeRole DurationSeconds=1800", "ASIApull GetAuthorizationToken"]),
        Asks(PULLED),
    ),
    // The CLI's alone among AWS's programs; the SDKs read AWS_PROFILE.
    (
        given("AWS_DEFAULT_PROFILE").env(&[("AWS_DEFAULT_PROFILE", "bob")]).credentials(BOB_AND_DEFAULT),
        Asks(AKIDBOB),
        Asks(AKIDDEFAULT),
    ),
    // The other way round: the SDKs' alone, which version 1 of the CLI does not read.
    (
        given("AWS_REGION").env(&[("AWS_PROFILE", "pull"), ("AWS_REGION", "eu-west-1")]).config(PULL).credentials(BOB),
        Asks(PULLED),
        Asks(&["AKIDBOB AssumeRole in eu-west-1", "ASIApull GetAuthorizationToken"]),
    ),
    // To the SDK half a pair in the environment is none, and the next in the chain is asked.
    (
        given("half a pair in the environment, a whole one in the default profile")
            .env(&[("AWS_ACCESS_KEY_ID", "AKIDENV")])
            .credentials(DEFAULT_KEYS),
        Fails("Partial credentials found in env"),
        Asks(AKIDDEFAULT),
    ),
    // The SDK's chain has the profile before the web identity, the CLI's has it after.
    (
        given("a web identity in the environment, keys in the default profile")
            .env(&WEB_IDENTITY)
            .credentials(DEFAULT_KEYS),
        Asks(&["nobody AssumeRoleWithWebIdentity WebIdentityToken=TOKEN-OF-THE-WEB", "ASIAweb GetAuthorizationToken"]),
        Asks(AKIDDEFAULT),
    ),
    // A source's keys come before all else in the SDK, after SSO in the CLI.
    (
        given("a role of SSO, whose profile has keys")
            .env(AS_PULL)
            .config(SSO)
            .credentials("[live]\naws_access_key_id = AKIDLIVE\naws_secret_access_key = x\n"),
        Asks(&[BY_SSO[0], "ASIASSO AssumeRole", "ASIApull GetAuthorizationToken"]),
        Asks(&["AKIDLIVE AssumeRole", "ASIApull GetAuthorizationToken"]),
    ),
    // The SDK reads both files as one; the CLI has keys in credentials, then a process, then keys in config.
    (
        given("a process in config, keys in credentials")
            .config(
                "[default]\n\
                 credential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"AKIDBOB\", \
                 \"SecretAccessKey\": \"x\"}'\n",
            )
            .credentials(DEFAULT_KEYS),
        Asks(AKIDDEFAULT),
        Asks(AKIDBOB),
    ),
    // The SDK leaves it to AWS to refuse them.
    (
        given("a process whose keys have expired").env(AS_BOB).config(
            "[profile bob]\ncredential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"AKIDBOB\", \
             \"SecretAccessKey\": \"x\", \"SessionToken\": \"y\", \"Expiration\": \"2020-01-01T00:00:00Z\"}'\n",
        ),
        Fails("the refreshed credentials are still expired"),
        Asks(AKIDBOB),
    ),
    // To the SDK a profile of SSO without its region is one that is not there, and the next in the chain is asked.
    (
        given("SSO without a region, and a container")
            .env(&[("AWS_PROFILE", "live"), CONTAINER[0], CONTAINER[1]])
            .config(
                "[profile live]\nsso_start_url = https://live.example/start\n\
                     sso_account_id = 1\nsso_role_name = r\n",
            ),
        Fails("missing required configuration: sso_region"),
        Asks(&BY_CONTAINER),
    ),
    // The SDK's SSO is any property of it, the CLI's is an account and a role.
    (
        given("nothing of SSO but where it begins, and keys")
            .config("[default]\nsso_start_url = https://live.example/start\n")
            .credentials(DEFAULT_KEYS),
        Asks(AKIDDEFAULT),
        Fails("no AWS credentials found"),
    ),
];

#[test]
fn where_they_differ() {
    differ(DIFFERENT);
}

/// Where the SDK for Rust reads the files otherwise than the CLI. The CLI first, then Coffer.
const DIFFERENT_IN_FILES: &[(Given, End, End)] = &[
    // Each property is the SDK's unit: it takes the halves together.
    (
        given("half a pair in each file")
            .config("[default]\naws_secret_access_key = x\n")
            .credentials("[default]\naws_access_key_id = AKIDDEFAULT\n"),
        Fails("Partial credentials found in shared-credentials-file"),
        Asks(AKIDDEFAULT),
    ),
    // Python's parser has comments on lines of their own only.
    (
        given("a comment behind a value")
            .credentials("[default]\naws_access_key_id = AKIDDEFAULT # mine\naws_secret_access_key = x\n"),
        Asks(&["AKIDDEFAULT # mine GetAuthorizationToken"]),
        Asks(AKIDDEFAULT),
    ),
    // The SDK merges them, Python's parser gives up.
    (
        given("a section twice")
            .credentials("[default]\naws_access_key_id = AKIDDEFAULT\n[default]\naws_secret_access_key = x\n"),
        Fails("Unable to parse config file"),
        Asks(AKIDDEFAULT),
    ),
    // The SDK prefers the one with the word, the CLI the last.
    (
        given("two default profiles").config(
            "[profile default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = x\n\
             [default]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = x\n",
        ),
        Asks(&["AKIDOTHER GetAuthorizationToken"]),
        Asks(AKIDDEFAULT),
    ),
    // No blanks in the SDK's names of profiles.
    (
        given("a profile of two words")
            .env(&[("AWS_PROFILE", "my bob")])
            .config("[profile \"my bob\"]\naws_access_key_id = AKIDBOB\naws_secret_access_key = x\n"),
        Asks(AKIDBOB),
        Fails("there is no AWS profile my bob"),
    ),
    // Python's parser takes a colon too.
    (
        given("colons").credentials("[default]\naws_access_key_id: AKIDDEFAULT\naws_secret_access_key: x\n"),
        Asks(AKIDDEFAULT),
        Fails("credentials on line 2"),
    ),
];

#[test]
fn where_they_read_differently() {
    differ(DIFFERENT_IN_FILES);
}

/// Where it is Coffer, not the SDK, that goes another way. The CLI first, then Coffer.
const DIFFERENT_BY_COFFER: &[(Given, End, End)] = &[
    // What a rule's profile does not hold is not answered by somebody else.
    (
        given("a named profile without keys, and a container")
            .env(&CONTAINER)
            .named("empty")
            .config("[profile empty]\nregion = us-east-1\n"),
        Asks(&BY_CONTAINER),
        Fails("no credentials of profile empty"),
    ),
];

#[test]
fn where_coffer_differs() {
    differ(DIFFERENT_BY_COFFER);
}
