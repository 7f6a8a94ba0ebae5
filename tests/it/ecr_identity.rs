//! Who asks AWS, through what, and what is said when it does not work.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::{Aws, Reply, Server, World, free_port};

const HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

/// A proxy that writes down where it was asked to go, and goes nowhere.
fn refusing_proxy(world: &mut World) -> Arc<Mutex<Vec<String>>> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    world.set("HTTPS_PROXY", &format!("http://{}", listener.local_addr().unwrap()));
    world.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    world.set("AWS_SECRET_ACCESS_KEY", "nobody's");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut line = String::new();
            BufReader::new(&connection).read_line(&mut line).unwrap();
            seen.lock().unwrap().push(line.split(' ').nth(1).unwrap_or_default().to_owned());
            let _ = connection.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        }
    });
    asked
}

/// No request leaves the machine: the proxy is told the name, and that is all.
#[test]
fn the_endpoint_follows_from_the_host() {
    let mut world = World::new();
    let asked = refusing_proxy(&mut world);
    for (host, endpoint) in [
        (HOST, "api.ecr.us-east-1.amazonaws.com:443"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "api.ecr-fips.us-gov-west-1.amazonaws.com:443"),
        ("123456789012.dkr-ecr.us-west-2.on.aws", "ecr.us-west-2.api.aws:443"),
        ("123456789012.dkr-ecr-fips.us-east-1.on.aws", "ecr-fips.us-east-1.api.aws:443"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn:443"),
        (
            "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
            "ecr.cn-north-1.api.amazonwebservices.com.cn:443",
        ),
        ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "api.ecr.eusc-de-east-1.amazonaws.eu:443"),
        ("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "api.ecr.us-iso-east-1.c2s.ic.gov:443"),
        ("123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "api.ecr.us-isob-east-1.sc2s.sgov.gov:443"),
        ("123456789012.dkr.ecr.us-east-17.amazonaws.com", "api.ecr.us-east-17.amazonaws.com:443"),
    ] {
        asked.lock().unwrap().clear();
        world.get(host).fails("the proxy refuses");
        assert_eq!(asked.lock().unwrap().first().map(String::as_str), Some(endpoint), "{host}");
    }
    // Spellings are one host, and each is a registry of its own in the cache only by its name.
    asked.lock().unwrap().clear();
    world.get(&format!("https://{}:443/v2/", HOST.to_uppercase())).fails("the proxy refuses");
    assert_eq!(asked.lock().unwrap()[0], "api.ecr.us-east-1.amazonaws.com:443");
    asked.lock().unwrap().clear();
    world.get("public.ecr.aws").misses();
    assert_eq!(asked.lock().unwrap()[0], "api.ecr-public.us-east-1.amazonaws.com:443");
}

#[test]
fn no_proxy_and_endpoints_of_single_services_are_honoured() {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    world.set("AWS_ECR_DISABLE_CACHE", "1");
    world.set("HTTP_PROXY", "http://127.0.0.1:9");
    world.get(HOST).fails("AWS cannot be reached");
    world.set("NO_PROXY", "127.0.0.1,example.com");
    world.get(HOST).ok();

    // Nothing is asked anywhere but where each service's own variable says.
    world.set("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    world.config("[[registry]]\nmatch = \"123456789012.*\"\nrole-arn = \"arn:aws:iam::123456789012:role/pull\"\n");
    for variable in ["AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_ECR_PUBLIC", "AWS_ENDPOINT_URL_STS"] {
        world.set(variable, &aws.url);
    }
    world.get(HOST).ok();
    world.get("public.ecr.aws").ok();
    let asked: Vec<String> =
        aws.asked().iter().map(|asked| asked.scope.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(asked, ["ecr", "sts", "ecr", "ecr-public"]);
}

#[test]
fn metadata_services_are_never_asked_through_the_proxy() {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    let asked = refusing_proxy(&mut world);
    world.set("HTTP_PROXY", "http://127.0.0.1:9");
    world.set("NO_PROXY", "");
    world.unset("AWS_ENDPOINT_URL");
    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    world.unset("AWS_EC2_METADATA_DISABLED");
    let metadata = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", metadata.local_addr().unwrap());
    world.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url);
    world.get(HOST).fails("no AWS credentials found");
    metadata.set_nonblocking(true).unwrap();
    assert!(metadata.accept().is_ok(), "the instance's service was asked");
    world.coffer(&["get"]).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{url}/creds")).input(HOST).run();
    assert!(metadata.accept().is_ok(), "the container's service was asked");
    assert!(asked.lock().unwrap().is_empty());
    assert_eq!(aws.calls(), 0);
}

/// The SDK quotes the whole request over an endpoint that it cannot use: here with a web identity's token in it.
#[test]
fn an_endpoint_that_is_no_url_gives_nothing_away() {
    let mut world = World::new();
    let token = world.write("token", "SECRET-TOKEN");
    world.set("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap());
    world.set("AWS_ROLE_ARN", "arn:aws:iam::1:role/web");
    for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"] {
        let outcome = world.coffer(&["get"]).env(variable, "localhost:4566").input(HOST).run();
        world.client_sees(
            outcome,
            &format!("cannot mint a token for {HOST}: {variable} is not a URL"),
            &format!("begin {variable} with https:// or http://"),
        );
    }
    world.write(".aws/config", "[default]\nendpoint_url = localhost:4566\n");
    let outcome = world.get(HOST);
    assert!(!outcome.said().contains("SECRET"), "{outcome:#?}");
    outcome.fails("cannot mint a token");
}

#[test]
fn keys_that_cannot_be_sent_are_an_error_wherever_they_come_from() {
    let mut world = World::new();
    let _aws = Aws::start(&mut world);
    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    world.script("keys", r#"printf '{"Version":1,"AccessKeyId":"A\\u0001","SecretAccessKey":"x"}'"#);
    world.write(".aws/config", &format!("[default]\ncredential_process = {}\n", world.path("bin/keys").display()));
    world.get(HOST).fails("a key holds a control character");
    world.get("public.ecr.aws").misses();
}

#[test]
fn each_registry_has_its_own_profile() {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    let mut profiles = String::new();
    let mut rules = String::new();
    for name in ["dev", "prod"] {
        let account = if name == "dev" { "111111111111" } else { "222222222222" };
        profiles += &format!(
            "[profile {name}]\naws_access_key_id = AKID{name}\naws_secret_access_key = x\nregion = eu-west-1\n"
        );
        rules += &format!("[[registry]]\nmatch = \"{account}.dkr.ecr.*\"\nprofile = \"{name}\"\n");
    }
    world.write(".aws/config", &profiles);
    world.config(&rules);
    world.get("111111111111.dkr.ecr.us-east-1.amazonaws.com").ok();
    world.get("222222222222.dkr.ecr.us-east-1.amazonaws.com").ok();
    let scopes: Vec<String> =
        aws.asked().iter().map(|asked| asked.scope.split('/').next().unwrap().to_owned()).collect();
    assert_eq!(scopes, ["AKIDdev", "AKIDprod"]);
    // Keys in the environment do not win over a rule's profile.
    let call = world.coffer(&["get"]).env("AWS_ACCESS_KEY_ID", "AKIDENV").env("AWS_SECRET_ACCESS_KEY", "x");
    call.env("AWS_ECR_DISABLE_CACHE", "1").input("111111111111.dkr.ecr.us-east-1.amazonaws.com").run().ok();
    assert!(aws.asked()[2].scope.starts_with("AKIDdev/"));
}

#[test]
fn what_aws_refuses_is_said_with_its_cure() {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    for (code, message, meaning, cure) in [
        (
            "AccessDeniedException",
            "User: arn:aws:iam::1:user/bob is not authorized to perform: ecr:GetAuthorizationToken",
            "access denied: ",
            "allow that action in IAM, or name another profile or role for this registry in config.toml",
        ),
        (
            "ExpiredTokenException",
            "The security token included in the request is expired",
            "the AWS session has expired: ",
            "renew it, for example with: aws sso login",
        ),
        (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            "AWS does not know the access key: ",
            "see who asks: aws sts get-caller-identity",
        ),
        (
            "InvalidSignatureException",
            "The request signature we calculated does not match",
            "the secret access key is not that of the access key: ",
            "see who asks: aws sts get-caller-identity",
        ),
        (
            "InvalidSignatureException",
            "Signature expired: 2026 is now earlier than 2027",
            "the clock of this machine is off: ",
            "set it, for example with: timedatectl set-ntp true",
        ),
        (
            "ThrottlingException",
            "Rate exceeded",
            "AWS throttles: ",
            "wait a moment, and let tokens be kept ([ecr] cache = true)",
        ),
        (
            "ServerException",
            "oops",
            "service error: ServerException: ",
            "try again, and see what COFFER_LOG=debug says",
        ),
    ] {
        aws.reply(Reply::Error(400, code, message));
        world.client_sees(world.get(HOST), &format!("cannot mint a token for {HOST}: {meaning}{message}"), cure);
    }
}

/// The AWS CLI reads the same files.
#[test]
fn what_the_profile_lacks_is_said_with_its_cure() {
    let mut world = World::new();
    let _aws = Aws::start(&mut world);
    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    world.write(".aws/config", PROFILES);
    let see = "see those that there are: aws configure list-profiles";
    let mend = "mend the profile in the AWS config file";
    let by_hand = "run the credential_process of the profile by hand";
    let code = "docker-credential-coffer mfa 123456789012.dkr.ecr.us-east-1.amazonaws.com";
    for (profile, problem, cure) in [
        ("gone", "there is no AWS profile gone", see),
        ("orphan", "there is no AWS profile gone, which profile orphan names as its source_profile", see),
        (
            "loop",
            "the credentials provider was not properly configured: ProfileFile provider could not be built: profile formed an \
             infinite loop. first we loaded [\"loop\", \"pool\"], then attempted to reload loop",
            mend,
        ),
        (
            "half",
            "the credentials provider was not properly configured: ProfileFile provider could not be built: invalid credential \
             source in `half`: profile missing aws_secret_access_key",
            mend,
        ),
        (
            "empty",
            "no AWS credentials found in the environment, the profile, a web identity, the container or the instance",
            "set AWS_PROFILE, or name a profile for this registry in config.toml, or docker login with a token",
        ),
        (
            "sso",
            "the SSO session of profile sso has expired, or was never begun",
            "begin one: aws sso login --profile sso",
        ),
        (
            "login",
            "the login session of profile login has expired, or was never begun",
            "begin one: aws login --profile login",
        ),
        (
            "garbage",
            "an error occurred while loading credentials: Error retrieving credentials from external process, could not parse \
             response: invalid JSON in response: Error at offset 0: unexpected token 'g'. Expected one of '{', '[', '\"', \
             'null', 'true', 'false', <number>",
            by_hand,
        ),
        (
            "failing",
            "an error occurred while loading credentials: Error retrieving credentials: external process exited with code exit \
             status: 3",
            by_hand,
        ),
        ("mfa", "the MFA device arn:aws:iam::1:mfa/x has given no code for today", code),
        ("chained", "the MFA device arn:aws:iam::1:mfa/x has given no code for today", code),
    ] {
        let outcome = world.coffer(&["get"]).env("AWS_PROFILE", profile).input(HOST).run();
        world.client_sees(outcome, &format!("cannot mint a token for {HOST}: {problem}"), cure);
    }
    let rule = "[[registry]]\nmatch = \"*\"\nprofile = \"empty\"\n";
    world.config(rule);
    world.client_sees(
        world.get(HOST),
        &format!("cannot mint a token for {HOST}: no credentials of profile empty"),
        "give it keys, SSO, a process or a role: aws configure --profile empty",
    );
    world.config("");
    let broken = world.write("broken", "[default]\nregion = x\n[profile broken\n");
    for (variables, problem, cure) in [
        (
            &[("AWS_CONFIG_FILE", broken.to_str().unwrap())][..],
            "error parsing ~/broken on line 3: Profile definition must end with ']'",
            "mend that line of the AWS config file",
        ),
        (
            &[("AWS_ACCESS_KEY_ID", "A\nB"), ("AWS_SECRET_ACCESS_KEY", "x")],
            "AWS_ACCESS_KEY_ID holds a control character",
            "set AWS_ACCESS_KEY_ID anew, on one line",
        ),
    ] {
        let call = variables.iter().fold(world.coffer(&["get"]), |call, (name, value)| call.env(name, value));
        world.client_sees(call.input(HOST).run(), &format!("cannot mint a token for {HOST}: {problem}"), cure);
    }
    world.config("[ecr]\ntimeout = \"2s\"\n");
    world.client_sees(
        world.coffer(&["get"]).env("AWS_PROFILE", "hanging").input(HOST).run(),
        &format!("cannot mint a token for {HOST}: no answer within 2 s"),
        "check the network, HTTPS_PROXY, NO_PROXY and AWS_ENDPOINT_URL",
    );
}

const PROFILES: &str = "
[profile keys]
aws_access_key_id = A
aws_secret_access_key = b
[profile orphan]
role_arn = arn:aws:iam::2:role/r
source_profile = gone
[profile loop]
role_arn = arn:aws:iam::2:role/r
source_profile = pool
[profile pool]
role_arn = arn:aws:iam::2:role/r
source_profile = loop
[profile half]
aws_access_key_id = A
[profile empty]
region = us-east-1
[profile sso]
sso_session = s
sso_account_id = 123456789012
sso_role_name = r
[sso-session s]
sso_region = us-east-1
sso_start_url = https://example.awsapps.com/start
[profile login]
login_session = arn:aws:iam::1:user/x
[profile garbage]
credential_process = echo garbage
[profile failing]
credential_process = sh -c \"exit 3\"
[profile hanging]
credential_process = sleep 5
[profile mfa]
role_arn = arn:aws:iam::2:role/r
source_profile = keys
mfa_serial = arn:aws:iam::1:mfa/x
[profile chained]
role_arn = arn:aws:iam::2:role/s
source_profile = mfa
";

#[test]
fn a_certificate_is_trusted_where_aws_ca_bundle_says_so() {
    let mut world = World::new();
    let script = "set -e; exec 2>/dev/null
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf
        printf 'subjectAltName=IP:127.0.0.1' > ext
        openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem -days 2 -extfile ext";
    world.call("sh", &["-c", script]).run().ok();
    let port = free_port();
    let mut server = world.command("openssl");
    server.args(["s_server", "-quiet", "-www", "-cert", "leaf.pem", "-key", "leaf.key", "-accept", &port.to_string()]);
    let _server = Server::listening(server, port);
    world.set("AWS_ENDPOINT_URL", &format!("https://127.0.0.1:{port}"));
    world.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    world.set("AWS_SECRET_ACCESS_KEY", "nobody's");
    world.client_sees(
        world.get(HOST),
        &format!("cannot mint a token for {HOST}: the certificate is not trusted: TLS handshake failed: invalid peer certificate: UnknownIssuer"),
        "name the CA that signed it with AWS_CA_BUNDLE, if it is your proxy's",
    );
    let bundle = world.home().join("ca.pem");
    let trusted = world.coffer(&["get"]).env("AWS_CA_BUNDLE", bundle.to_str().unwrap()).input(HOST).run();
    assert!(!trusted.stdout.contains("certificate"), "it was let in, and its page is no token: {trusted:#?}");
    trusted.fails("cannot mint a token");
    world.call("mkfifo", &["fifo"]).run().ok();
    for (variable, words) in [
        ("AWS_CA_BUNDLE", "AWS_CA_BUNDLE names fifo: it is not a regular file"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "fifo is a FIFO, not a file"),
    ] {
        let outcome = world.coffer(&["get"]).env(variable, "fifo").input(HOST).run();
        assert!(outcome.took.as_secs() < 9, "{outcome:#?}");
        outcome.fails(&format!("cannot mint a token for {HOST}: {words}"));
    }
    for (text, words) in [
        ("# nothing\n", "it holds no certificate"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "it holds a certificate that cannot be read",
        ),
        ("-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n", "it is not PEM"),
    ] {
        let bundle = world.write("bad.pem", text);
        let call = world.coffer(&["get"]).env("AWS_CA_BUNDLE", bundle.to_str().unwrap());
        world.client_sees(
            call.input(HOST).run(),
            &format!("cannot mint a token for {HOST}: AWS_CA_BUNDLE names ~/bad.pem: {words}"),
            "name a PEM file of CA certificates, or unset it",
        );
    }
}
