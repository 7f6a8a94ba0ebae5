//! What users see when no token of ECR can be had. What AWS refuses, and what a profile lacks, stands in `ecr_identity`.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::support::keys::Pinentry;
use crate::support::{Aws, Outcome, World};

const HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
const CHECK_NETWORK: &str = "check the network, HTTPS_PROXY, NO_PROXY and AWS_ENDPOINT_URL";

#[track_caller]
fn is_not_minted(world: &World, outcome: Outcome, problem: &str, cure: &str) {
    world.client_sees(outcome, &format!("cannot mint a token for {HOST}: {problem}"), cure);
}

/// A server that says the same to everybody.
fn answers(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(text.as_bytes());
        }
    });
    address.to_string()
}

#[test]
fn the_network() {
    let mut world = World::new();
    world.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    world.set("AWS_SECRET_ACCESS_KEY", "x");
    world.set("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    is_not_minted(
        &world,
        world.get(HOST),
        "AWS cannot be reached: tcp connect error: Connection refused (os error 111)",
        CHECK_NETWORK,
    );
    // In a network of its own there is no name server.
    let cause = if cfg!(target_env = "musl") {
        // Its resolver goes on asking.
        "no answer within 10 s"
    } else {
        "no network, or no name server: dns error: failed to lookup address information: Temporary failure in name resolution"
    };
    let nameless = world.call("unshare", &["--net", "--map-root-user", "docker-credential-coffer", "get"]);
    is_not_minted(
        &world,
        nameless.env("AWS_ENDPOINT_URL", "http://aws.example").input(HOST).run(),
        cause,
        CHECK_NETWORK,
    );
    let proxy = answers("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    let call = world.coffer(&["get"]).env("HTTPS_PROXY", &format!("http://{proxy}")).without("AWS_ENDPOINT_URL");
    is_not_minted(
        &world,
        call.input(HOST).run(),
        "the proxy refuses: client error (Connect): tunnel error: unsuccessful",
        "check HTTPS_PROXY and NO_PROXY",
    );
}

#[test]
fn another_process_asks() {
    let mut world = World::new();
    let _aws = Aws::start(&mut world);
    world.config("[ecr]\ntimeout = \"1s\"\n");
    world.store_login("ghcr.io", "alice", "x").silent();
    fs::create_dir(world.store().join("ecr")).unwrap();
    let lock = fs::File::create(world.store().join(format!("ecr/{HOST}.lock"))).unwrap();
    lock.lock().unwrap();
    is_not_minted(
        &world,
        world.get(HOST),
        "another process is asking AWS and gets no answer",
        "see what that process says; [ecr] timeout sets how long to wait",
    );
    // A client that was late itself.
    world.config("[ecr]\ntimeout = \"15s\"\n");
    let late = format!("(sleep 8; printf {HOST}) | docker-credential-coffer get");
    world.client_sees(
        world.call("sh", &["-c", &late]).run(),
        "gave up after 19 s of waiting for another process that asks AWS",
        "find what keeps it from answering, and try again",
    );
}

#[test]
fn sessions() {
    const DEVICE: &str = "arn:aws:iam::123456789012:mfa/bob";
    let mut world = World::new();
    world.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    world.set("AWS_SECRET_ACCESS_KEY", "x");
    world.config(&format!("[[registry]]\nmatch = \"*\"\nmfa-serial = \"{DEVICE}\"\n"));
    // The kernel gives it no way to wait.
    world.person_sees(
        world.call("sh", &["-c", "ulimit -n 4; docker-credential-coffer mfa"]).run(),
        &format!("no session was begun: no async runtime: {}", io::Error::from_raw_os_error(24)),
        "see the process's limits: ulimit -a",
    );
    let nothing = answers(
        "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nconnection: close\r\n\r\n<GetSessionTokenResponse><GetSessionTokenResult>\
         </GetSessionTokenResult></GetSessionTokenResponse>",
    );
    world.set("AWS_ENDPOINT_URL", &format!("http://{nothing}"));
    world.person_sees(
        world.coffer(&["mfa", HOST]).input("123456\n").run(),
        &format!("code of the MFA device {DEVICE}:\nno session was begun: AWS answered without a session"),
        "try again",
    );
}

/// The session lies in the store, which is sealed.
#[test]
fn a_session_that_is_sealed() {
    let mut world = World::new();
    let _aws = Aws::start(&mut world);
    let pinentry = Pinentry::install(&world, &[]);
    world.config("[[registry]]\nmatch = \"*.amazonaws.com\"\nmfa-serial = \"GAHT12345678\"\n");
    world.store_login("ghcr.io", "alice", "x").silent();
    world.coffer(&["key", "protect", "--passphrase"]).input("open sesame\n").run().ok();
    let begun = world.coffer(&["mfa"]).input("123456\n").run();
    let (asked, until) = begun.stderr.trim_end().rsplit_once(' ').unwrap();
    assert_eq!(asked, "code of the MFA device GAHT12345678:\ngood until");
    assert!(until.parse::<jiff::Timestamp>().is_ok(), "{begun:#?}");
    pinentry.answer(&["open sesame"]);
    world.get(HOST).ok();
    let purpose =
        "SETDESC docker-credential-coffer needs the passphrase of its key, to open the AWS session of an MFA device";
    assert!(pinentry.told().iter().any(|line| line == purpose), "{:?}", pinentry.told());
}

/// What is kept, or was pasted, is better than nothing; so that the reason is told beside it.
#[test]
fn an_older_token() {
    let mut world = World::new();
    world.store_login(HOST, "AWS", "pasted").silent();
    world.set("AWS_PROFILE", "gone");
    let reason = format!("cannot mint a token for {HOST}: there is no AWS profile gone");
    let answered = world.get(HOST);
    assert_eq!(answered.stderr, format!("answered with an older token: {reason}\n"));
    let printed = world.coffer(&["export", "--format", "password", HOST]).run();
    assert_eq!(
        (printed.stdout.as_str(), printed.stderr),
        ("pasted\n", format!("an older token is printed: {reason}\n"))
    );
    let request = serde_json::json!({
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderRequest", "image": format!("{HOST}/app"),
    });
    let told = world.coffer(&["kubelet"]).input(request.to_string()).run();
    assert_eq!(told.stderr, format!("an older token is answered: {reason}\n"));
}
