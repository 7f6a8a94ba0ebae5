//! Tokens that are kept: when they are answered, when not, and who asks for new ones.

use std::fs;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use base64::Engine;

use crate::support::{Aws, Bus, Outcome, Reply, World};

const HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
const OTHER: &str = "210987654321.dkr.ecr.eu-west-1.amazonaws.com";

fn world() -> (World, Aws) {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    (world, aws)
}

/// That the N-th token was answered, without a word.
#[track_caller]
fn is_token(outcome: Outcome, server: &str, number: u32) {
    assert_eq!(outcome.stderr, "", "{outcome:#?}");
    outcome.answers(server, "AWS", &format!("token-{number}"));
}

fn kept(world: &World, server: &str) -> std::path::PathBuf {
    let directory = world.store().join("ecr").join(server);
    let files = world.files(&directory);
    assert_eq!(files.len(), 1, "{files:?}");
    directory.join(&files[0])
}

#[test]
fn a_token_is_kept_encrypted_and_answered_again() {
    let (world, aws) = world();
    is_token(world.get(HOST), HOST, 1);
    let again = format!("https://{HOST}/v2/");
    is_token(world.get(&again), &again, 1);
    is_token(world.get(&format!("{HOST}/some/image")), &format!("{HOST}/some/image"), 1);
    is_token(world.get(OTHER), OTHER, 2);
    is_token(world.get(HOST), HOST, 1);
    assert_eq!(aws.calls(), 2);
    assert_eq!(aws.asked()[0].body, "{\"registryIds\":[\"123456789012\"]}");
    assert!(aws.asked()[0].scope.ends_with("/us-east-1/ecr") && aws.asked()[1].scope.ends_with("/eu-west-1/ecr"));
    assert!(world.files_with(&world.home(), "token-1").is_empty());
    // Named without a key and without the network.
    fs::remove_file(world.store().join("identities")).unwrap();
    let listed = world.coffer(&["list"]).without("AWS_ENDPOINT_URL").run().ok();
    assert_eq!(listed, format!("{{\"{HOST}\":\"AWS\",\"{OTHER}\":\"AWS\"}}\n"));
    // What `get` would not answer from is not named.
    assert_eq!(world.coffer(&["list"]).env("AWS_ECR_DISABLE_CACHE", "1").run().ok(), "{}\n");
    let explained = world.coffer(&["explain", HOST, "--json"]).run().ok();
    let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
    let until = explained["ecr"]["cached_until"].as_str().unwrap();
    assert!(until.len() == "2026-11-21T09:30:00Z".len() && until.ends_with('Z'), "{until}");
}

/// docker-credential-ecr-login: 12 parallel calls left 8 entries, each minted.
#[test]
fn sixty_four_at_once_make_one_call() {
    let (world, aws) = world();
    aws.delay(Duration::from_millis(300));
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| is_token(world.get(HOST), HOST, 1));
        }
    });
    assert_eq!(aws.calls(), 1);
}

#[test]
fn in_the_second_half_of_its_life_it_is_minted_anew() {
    let (world, aws) = world();
    // Long enough for the SDK to try three times, a few seconds apart, before the second half is over.
    aws.reply(Reply::Token(12));
    is_token(world.get(HOST), HOST, 1);
    is_token(world.get(HOST), HOST, 1);
    thread::sleep(Duration::from_millis(6100));
    // AWS is away, the old one is still good.
    aws.reply(Reply::Error(500, "ServerException", "away"));
    let older = world.get(HOST);
    assert!(older.stderr.starts_with("answered with an older token: cannot mint"), "{older:#?}");
    older.answers(HOST, "AWS", "token-1");
    aws.reply(Reply::Token(3600));
    is_token(world.get(HOST), HOST, 2);
    is_token(world.get(HOST), HOST, 2);
}

/// docker-credential-ecr-login answers an expired token on any error.
#[test]
fn an_expired_token_is_never_answered() {
    let (world, aws) = world();
    aws.reply(Reply::Token(2));
    is_token(world.get(HOST), HOST, 1);
    thread::sleep(Duration::from_millis(2100));
    aws.reply(Reply::Error(500, "ServerException", "away"));
    world.get(HOST).fails("cannot mint a token");
    assert_eq!(world.coffer(&["list"]).run().ok(), "{}\n");
    // One that arrives expired is answered, and not kept; what has expired is swept out with the next that is kept.
    aws.reply(Reply::Token(-10));
    is_token(world.get(HOST), HOST, 2);
    is_token(world.get(HOST), HOST, 3);
    aws.reply(Reply::Token(3600));
    is_token(world.get(OTHER), OTHER, 4);
    let tokens = world.files(&world.store().join("ecr"));
    let held: Vec<_> = tokens.iter().filter(|file| file.ends_with(".age")).collect();
    assert!(held.len() == 1 && held[0].starts_with(OTHER), "{held:?}");
}

#[test]
fn who_asks_decides_whose_token_it_is() {
    let (mut world, aws) = world();
    is_token(world.get(HOST), HOST, 1);
    let second = Aws::start(&mut world);
    is_token(world.get(HOST), HOST, 1);
    assert_eq!((aws.calls(), second.calls()), (1, 1), "a test stack's token is not one of AWS");
    for (name, value) in
        [("AWS_PROFILE", "other"), ("AWS_ACCESS_KEY_ID", "AKIDOTHER"), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")]
    {
        world.write(".aws/config", "[profile other]\nregion = us-east-1\n");
        let before = second.calls();
        is_token(world.coffer(&["get"]).env(name, value).input(HOST).run(), HOST, u32::try_from(before).unwrap() + 1);
    }
    let before = second.calls();
    world.get(HOST).ok();
    world.write(".aws/credentials", "[default]\naws_access_key_id = AKIDNEW\naws_secret_access_key = nobody's\n");
    world.get(HOST).ok();
    world.config("[[registry]]\nmatch = \"*\"\nregion = \"eu-west-1\"\n");
    world.get(HOST).ok();
    assert_eq!(second.calls(), before + 3);
    world.get(HOST).ok();
    assert_eq!(second.calls(), before + 3);
}

/// The SDK and the AWS CLI take `~/` in these variables for the home directory.
#[test]
fn a_config_file_that_is_named_from_home_decides_too() {
    let (mut world, aws) = world();
    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    for (variable, number) in [("AWS_CONFIG_FILE", 1), ("AWS_SHARED_CREDENTIALS_FILE", 3)] {
        world.set(variable, "~/elsewhere");
        for key in ["AKIDONE", "AKIDTWO"] {
            world.write("elsewhere", &format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = x\n"));
            world.get(HOST).ok();
            let asked = aws.asked();
            assert!(asked.last().unwrap().scope.starts_with(key), "{variable} {asked:?}");
        }
        assert_eq!(aws.calls(), number + 1);
        world.unset(variable);
    }
}

/// docker-credential-ecr-login#269, #1027: a cache key made of the access key misses whenever keys rotate.
#[test]
fn keys_that_rotate_behind_a_process_do_not_defeat_it() {
    let (mut world, aws) = world();
    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    world.script(
        "mint-keys",
        r#"date +%N > "$HOME/ran"; printf '{"Version":1,"AccessKeyId":"AKID%s","SecretAccessKey":"x"}' "$(date +%N)""#,
    );
    world.write(".aws/config", &format!("[default]\ncredential_process = {}\n", world.path("bin/mint-keys").display()));
    is_token(world.get(HOST), HOST, 1);
    fs::remove_file(world.home().join("ran")).unwrap();
    is_token(world.get(HOST), HOST, 1);
    assert!(!world.home().join("ran").exists(), "no credentials are resolved for a kept token");
    assert_eq!(aws.calls(), 1);
}

#[test]
fn keeping_can_be_turned_off() {
    let (world, aws) = world();
    for number in 1..=2 {
        is_token(world.coffer(&["get"]).env("AWS_ECR_DISABLE_CACHE", "").input(HOST).run(), HOST, number);
    }
    world.config("[ecr]\ncache = false\n");
    is_token(world.get(HOST), HOST, 3);
    assert_eq!(aws.calls(), 3);
    assert!(world.files(&world.store()).is_empty());
}

#[test]
fn what_keeps_a_token_from_being_kept_or_opened_costs_a_call_and_no_error() {
    let (world, aws) = world();
    is_token(world.get(HOST), HOST, 1);
    let file = kept(&world, HOST);
    let whole = fs::read(&file).unwrap();
    // Broken, foreign, and with a label that promises more than is inside.
    fs::write(&file, &whole[..50]).unwrap();
    is_token(world.get(HOST), HOST, 2);
    let file = kept(&world, HOST);
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let forged = name.replacen(&name[11..21], "9999999999", 1);
    fs::rename(&file, file.with_file_name(&forged)).unwrap();
    is_token(world.get(HOST), HOST, 3);
    fs::copy(kept(&world, HOST), world.store().join("ecr").join(HOST).join("notes.age")).unwrap();
    world.get(HOST).ok();
    // The key is away: minted each time, and nothing fails.
    world.store_login("ghcr.io", "alice", "x").silent();
    fs::remove_file(world.store().join("identities")).unwrap();
    let before = aws.calls();
    world.get(HOST).ok();
    world.get(HOST).ok();
    assert_eq!(aws.calls(), before + 2);
    assert!(!world.store().join("identities").exists());
}

#[test]
fn a_locked_keyring_is_not_asked_to_unlock_for_a_token() {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    let bus = Bus::with_keyring(&mut world);
    world.config("store = \"keyring\"\n");
    is_token(world.get(HOST), HOST, 1);
    is_token(world.get(HOST), HOST, 1);
    assert_eq!(world.coffer(&["list"]).run().ok(), format!("{{\"{HOST}\":\"AWS\"}}\n"));
    bus.lock(&world);
    let minted = world.get(HOST);
    assert!(minted.took < Duration::from_secs(14), "{minted:#?}");
    is_token(minted, HOST, 2);
    assert_eq!(aws.calls(), 2);
}

#[test]
fn another_writer_does_not_hold_up_a_token() {
    let (world, _aws) = world();
    world.store_login("ghcr.io", "alice", "x").silent();
    let lock = fs::File::open(world.store().join("lock")).unwrap();
    lock.lock().unwrap();
    let outcome = world.get(HOST);
    assert!(outcome.took < Duration::from_secs(14), "{outcome:#?}");
    is_token(outcome, HOST, 1);
}

#[test]
fn a_read_only_home_still_mints() {
    let (world, _aws) = world();
    let home = world.home().display().to_string();
    let script = format!(
        "mount --bind {home} {home} && mount -o remount,bind,ro {home} && printf {HOST} | docker-credential-coffer get"
    );
    is_token(world.call("unshare", &["--mount", "--map-root-user", "sh", "-c", &script]).run(), HOST, 1);
}

#[test]
fn a_pasted_token_is_the_last_resort_while_it_is_good() {
    let (mut world, aws) = world();
    let pasted = |expiration: u64| {
        base64::engine::general_purpose::STANDARD
            .encode(format!("{{\"payload\":\"p\",\"version\":\"2\",\"expiration\":{expiration}}}"))
    };
    let good = pasted(4_000_000_000);
    world.store_login(&format!("https://{HOST}"), "AWS", &good).silent();
    is_token(world.get(HOST), HOST, 1);
    world.coffer(&["erase"]).input(HOST).run().silent();
    assert_eq!(world.coffer(&["list"]).run().ok(), "{}\n", "a logout forgets the kept token too");

    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    world.get(HOST).fails("cannot mint a token");
    world.store_login(HOST, "AWS", &good).silent();
    let answered = world.get(HOST);
    assert_eq!(
        answered.stderr,
        format!(
            "answered with an older token: cannot mint a token for {HOST}: no AWS credentials found in the environment, the \
             profile, a web identity, the container or the instance\n"
        )
    );
    answered.answers(HOST, "AWS", &good);
    // What nobody writes into is not waited for.
    world.call("mkfifo", &["config"]).run().ok();
    world.set("AWS_CONFIG_FILE", world.home().join("config").to_str().unwrap());
    let answered = world.get(HOST);
    assert!(answered.stderr.contains("config is a FIFO") && answered.took.as_secs() < 9, "{answered:#?}");
    answered.answers(HOST, "AWS", &good);
    world.store_login(HOST, "AWS", &pasted(1_600_000_000)).silent();
    world.get(HOST).fails("cannot mint a token");
    assert_eq!(aws.calls(), 1);
}

#[test]
fn what_aws_answers_is_checked() {
    let (world, aws) = world();
    let endpoint = "try again, and check AWS_ENDPOINT_URL";
    let again = "try again, and see what COFFER_LOG=debug says";
    for (reply, problem, cure) in [
        ("{\"authorizationData\":[]}", "AWS answered without a token", endpoint),
        ("{\"authorizationData\":[{\"authorizationToken\":\"%%%\"}]}", "AWS answered with a malformed token", endpoint),
        (
            "{\"authorizationData\":[{\"authorizationToken\":\"QVdT\"}]}",
            "AWS answered with a malformed token",
            endpoint,
        ),
        (
            "{\"authorizationData\":[{\"authorizationToken\":\"SECRET",
            "service error: unhandled error: Error at offset 51: unexpected end of stream",
            again,
        ),
        (
            "<html>SECRET</html>",
            "service error: unhandled error: Error at offset 0: unexpected token '<'. Expected one of '{', '[', '\"', 'null', \
             'true', 'false', <number>",
            again,
        ),
    ] {
        aws.reply(Reply::Text(reply.into()));
        world.client_sees(world.get(HOST), &format!("cannot mint a token for {HOST}: {problem}"), cure);
    }
    let files = world.files(&world.store());
    assert!(files.iter().all(|file| file.ends_with(".lock")), "{files:?}");
}

#[test]
fn public_ecr_is_minted_when_it_can_be() {
    let (mut world, aws) = world();
    is_token(world.get("public.ecr.aws"), "public.ecr.aws", 1);
    is_token(world.get("public.ecr.aws"), "public.ecr.aws", 1);
    assert_eq!(aws.asked()[0].operation, "SpencerFrontendService.GetAuthorizationToken");
    assert!(aws.asked()[0].scope.ends_with("/us-east-1/ecr-public"));
    aws.reply(Reply::Error(500, "ServerException", "away"));
    world.get("ecr-public.aws.com").misses();
    world.unset("AWS_ACCESS_KEY_ID");
    world.get("ecr-public.aws.com").misses();
}

#[test]
fn a_role_is_assumed_where_the_rule_says() {
    let (world, aws) = world();
    world.config(
        "[[registry]]\nmatch = \"*.amazonaws.com\"\nrole-arn = \"arn:aws:iam::123456789012:role/pull\"\n\
         external-id = \"shared\"\nsession-name = \"ci\"\nregion = \"ap-south-1\"\n",
    );
    is_token(world.get(HOST), HOST, 1);
    let asked = aws.asked();
    assert!(asked[0].body.contains("RoleSessionName=ci") && asked[0].body.contains("ExternalId=shared"), "{asked:?}");
    assert!(asked[0].scope.ends_with("/ap-south-1/sts"), "{asked:?}");
    assert!(asked[1].scope.starts_with("ASIApull/") && asked[1].scope.ends_with("/us-east-1/ecr"), "{asked:?}");
}

#[test]
fn black_holes_cost_no_more_than_their_time() {
    let (mut world, aws) = world();
    aws.reply(Reply::Silence);
    let outcome = world.get(HOST);
    assert!(outcome.took < Duration::from_secs(18), "{outcome:#?}");
    outcome.fails("no answer within");
    // A metadata service that accepts and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    world.unset("AWS_EC2_METADATA_DISABLED");
    world.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", &format!("http://{}", silent.local_addr().unwrap()));
    let outcome = world.get(HOST);
    assert!(outcome.took < Duration::from_secs(9), "{outcome:#?}");
    outcome.fails("cannot mint a token");
    let public = world.get("public.ecr.aws");
    assert!(public.took < Duration::from_secs(9), "{public:#?}");
    public.misses();
}
