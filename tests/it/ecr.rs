//! Minting tokens, with moto for AWS.

use std::net::TcpListener;

use crate::support::{Moto, World, login, mode};

const HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

#[test]
fn a_token_is_minted_on_the_spot() {
    let mut world = World::new();
    let _moto = Moto::start(&mut world);
    for server in [HOST, &format!("https://{HOST}/v2/"), &format!("{HOST}/image")] {
        world.get(server).answers(server, "AWS", "123456789012-auth-token");
    }
    world.get("public.ecr.aws").misses();
    let files = world.files(&world.home());
    assert!(
        files.iter().all(|file| file.ends_with(".lock")),
        "minting needs no store, and moto's tokens have expired: {files:?}"
    );

    // A name of one's own in front of ECR, and a profile that wins over the keys of the environment.
    world.config(&format!("[[registry]]\nmatch = \"images.example.com\"\necr = \"{HOST}\"\nprofile = \"prod\"\n"));
    world.get("images.example.com").fails("there is no AWS profile prod");
    world.write(".aws/credentials", "[prod]\naws_access_key_id = AKIDPROD\naws_secret_access_key = nobody's\n");
    world.get("images.example.com").answers("images.example.com", "AWS", "123456789012-auth-token");
}

#[test]
fn a_role_is_assumed_where_a_rule_names_one() {
    let mut world = World::new();
    let _moto = Moto::start(&mut world);
    world.config(
        "[[registry]]\nmatch = \"*.amazonaws.com\"\nrole-arn = \"arn:aws:iam::123456789012:role/pull\"\n\
         external-id = \"shared\"\nsession-name = \"ci\"\nregion = \"eu-west-1\"\n",
    );
    world.get(HOST).answers(HOST, "AWS", "123456789012-auth-token");
}

#[test]
fn a_login_to_ecr_does_not_fail() {
    let world = World::new();
    world.store_login(HOST, "AWS", "a pasted token").silent();
    assert!(world.files_with(&world.home(), "a pasted token").is_empty());
    assert_eq!(world.coffer(&["list"]).run().ok(), "{}\n", "a token that get would not answer is not listed");
    world.coffer(&["erase"]).input(HOST).run().silent();
}

/// What docker-credential-ecr-login does with no AWS credentials at all, and so without asking anybody; beside it, Coffer.
#[test]
fn the_helper_that_it_replaces_refuses_logins_and_hides_its_reasons() {
    let world = World::new();
    let login = login(HOST, "AWS", "a pasted token");
    let peer = |action: &str, input: &str| world.call("docker-credential-ecr-login", &[action]).input(input).run();
    // awslabs/amazon-ecr-credential-helper#102: a docker login cannot end well.
    for outcome in [peer("store", &login), peer("erase", HOST)] {
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), "not implemented\n"), "{outcome:#?}");
    }
    world.coffer(&["store"]).input(&login).run().silent();
    world.coffer(&["erase"]).input(HOST).run().silent();
    // #207: whatever went wrong, it says that it holds nothing; the reason is in a log that everyone can read.
    assert_eq!(peer("get", HOST).stdout.trim(), "credentials not found in native keychain");
    assert_ne!(mode(&world.home().join(".ecr/log/ecr-login.log")) & 0o044, 0);
    world.get(HOST).fails("no AWS credentials found");
}

#[test]
fn minting_does_not_need_the_key() {
    let mut world = World::new();
    world.store_login("ghcr.io", "alice", "x").silent();
    std::fs::remove_file(world.store().join("identities")).unwrap();
    let _moto = Moto::start(&mut world);
    world.get(HOST).answers(HOST, "AWS", "123456789012-auth-token");
}

#[test]
fn a_look_alike_and_plain_http_never_ask_aws() {
    let mut world = World::new();
    // Whoever connects would be seen.
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    api.set_nonblocking(true).unwrap();
    world.set("AWS_ENDPOINT_URL", &format!("http://{}", api.local_addr().unwrap()));
    world.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    world.set("AWS_SECRET_ACCESS_KEY", "nobody's");
    for server in [
        "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example",
        "http://123456789012.dkr.ecr.us-east-1.amazonaws.com",
        "12345678901.dkr.ecr.us-east-1.amazonaws.com",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com:5000",
        "ghcr.io/123456789012.dkr.ecr.us-east-1.amazonaws.com",
    ] {
        world.get(server).misses();
    }
    assert!(api.accept().is_err());
}

#[test]
fn what_keeps_aws_from_answering_is_said() {
    let mut world = World::new();
    world.get(HOST).fails("cannot mint a token for 123456789012.dkr.ecr.us-east-1.amazonaws.com");
    world.get("public.ecr.aws").misses();
    world.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    world.set("AWS_SECRET_ACCESS_KEY", "SECRET-VALUE");
    // A port on which nobody listens.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.set("AWS_ENDPOINT_URL", &format!("http://{free}"));
    let outcome = world.get(HOST);
    assert!(!outcome.said().contains("SECRET-VALUE"));
    outcome.fails("cannot mint a token");
    // One that accepts and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    world.set("AWS_ENDPOINT_URL", &format!("http://{}", silent.local_addr().unwrap()));
    world.config("[ecr]\ntimeout = \"2s\"\n");
    world.get(HOST).fails("no answer within 2 s");
    for (name, value) in
        [("AWS_RETRY_MODE", "legacy"), ("AWS_MAX_ATTEMPTS", "0"), ("AWS_CA_BUNDLE", "/nonexistent.pem")]
    {
        world.coffer(&["get"]).env(name, value).input(HOST).run().fails("cannot mint a token");
    }
}
