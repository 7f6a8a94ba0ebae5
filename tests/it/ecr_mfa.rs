//! Identities that need a code: one a day, for all their registries.

use std::thread;
use std::time::Duration;

use crate::support::{Aws, Outcome, World};

const HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
const OTHER: &str = "210987654321.dkr.ecr.eu-west-1.amazonaws.com";
const DEVICE: &str = "arn:aws:iam::123456789012:mfa/bob@example.com";

/// Bob, whose roles need a code.
fn world() -> (World, Aws) {
    let mut world = World::new();
    let aws = Aws::start(&mut world);
    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    world.set("AWS_PROFILE", "pull");
    let keys = "aws_access_key_id = AKIDBOB\naws_secret_access_key = x";
    world.write(
        ".aws/config",
        &format!(
            "[profile bob]\n{keys}\n\
             [profile pull]\nrole_arn = arn:aws:iam::123456789012:role/pull\nsource_profile = bob\nmfa_serial = {DEVICE}\n\
             external_id = shared\n\
             [profile far]\nrole_arn = arn:aws:iam::210987654321:role/far\nsource_profile = pull\n\
             [profile user]\n{keys}\nmfa_serial = {DEVICE}\n"
        ),
    );
    (world, aws)
}

fn give(world: &World, server: &[&str], code: &str) -> Outcome {
    world.coffer(&[&["mfa"], server].concat()).input(format!("{code}\n")).run()
}

/// Whose keys signed each request, and what for.
fn who(aws: &Aws) -> Vec<String> {
    let operation = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    aws.asked()
        .iter()
        .map(|asked| format!("{} {}", asked.scope.split('/').next().unwrap(), operation(&asked.operation)))
        .collect()
}

/// docker-credential-ecr-login#180, #310: it has no MFA at all.
#[test]
fn one_code_lasts_for_all_registries_of_the_identity() {
    let (world, aws) = world();
    let refused = world.get(HOST);
    assert!(refused.stderr.contains(&format!("hint: docker-credential-coffer mfa {HOST}")), "{refused:#?}");
    refused.fails(&format!("the MFA device {DEVICE} has given no code for today"));
    assert!(aws.asked().is_empty());

    let given = give(&world, &[HOST], "123456");
    assert!(given.stderr.starts_with(&format!("code of the MFA device {DEVICE}:\ngood until 20")), "{given:#?}");
    assert_eq!(given.ok(), "");
    world.get(HOST).answers(HOST, "AWS", "token-1");
    world.get(OTHER).answers(OTHER, "AWS", "token-2");
    let expected = [
        "AKIDBOB GetSessionToken",
        "ASIASESSION AssumeRole",
        "ASIApull GetAuthorizationToken",
        "ASIASESSION AssumeRole",
        "ASIApull GetAuthorizationToken",
    ];
    assert_eq!(who(&aws), expected);
    let asked = aws.asked();
    assert!(
        asked[0].body.contains("DurationSeconds=129600") && asked[0].body.contains("bob%40example.com"),
        "{asked:?}"
    );
    assert!(asked[1].body.contains("ExternalId=shared"), "{asked:?}");
    for secret in ["SECRET-OF-THE-SESSION", "TOKEN-OF-THE-SESSION", "token-1"] {
        assert!(world.files_with(&world.home(), secret).is_empty(), "{secret}");
    }
    assert!(!world.coffer(&["ls"]).run().ok().contains("mfa"), "a session is no login");
}

#[test]
fn a_chain_of_roles_is_assumed_from_the_session() {
    let (mut world, aws) = world();
    world.set("AWS_PROFILE", "far");
    give(&world, &[], "123456").ok();
    world.get(HOST).ok();
    let expected =
        ["AKIDBOB GetSessionToken", "ASIASESSION AssumeRole", "ASIApull AssumeRole", "ASIAfar GetAuthorizationToken"];
    assert_eq!(who(&aws), expected);
}

/// Keys that stand beside the role, in the profile itself or in the environment.
#[test]
fn a_role_may_go_back_to_keys_beside_it() {
    for (source, environment, user) in [
        ("source_profile = own\naws_access_key_id = AKIDOWN\naws_secret_access_key = x", false, "AKIDOWN"),
        ("credential_source = Environment", true, "AKIDENV"),
    ] {
        let (mut world, aws) = world();
        let role = format!("[profile own]\nrole_arn = arn:aws:iam::1:role/own\nmfa_serial = {DEVICE}\n{source}\n");
        world.write(".aws/config", &role);
        world.config("[[registry]]\nmatch = \"*\"\nprofile = \"own\"\n");
        world.unset("AWS_PROFILE");
        if environment {
            world.set("AWS_ACCESS_KEY_ID", "AKIDENV");
            world.set("AWS_SECRET_ACCESS_KEY", "x");
        }
        world.get(HOST).fails("has given no code");
        give(&world, &[HOST], "123456").ok();
        let expected = [
            format!("{user} GetSessionToken"),
            "ASIASESSION AssumeRole".into(),
            "ASIAown GetAuthorizationToken".into(),
        ];
        assert_eq!(who(&aws), expected);
    }
}

#[test]
fn a_rule_may_name_the_device() {
    let (mut world, aws) = world();
    world.unset("AWS_PROFILE");
    world.config(&format!(
        "[[registry]]\nmatch = \"123456789012.dkr.ecr.*\"\nprofile = \"bob\"\nmfa-serial = \"{DEVICE}\"\n\
         role-arn = \"arn:aws:iam::123456789012:role/ruled\"\n\
         [[registry]]\nmatch = \"210987654321.dkr.ecr.*\"\nprofile = \"bob\"\nmfa-serial = \"{DEVICE}\"\n"
    ));
    // Both rules name one device: one code.
    give(&world, &[], "123456").ok();
    world.get(HOST).ok();
    world.get(OTHER).ok();
    let expected = [
        "AKIDBOB GetSessionToken",
        "ASIASESSION AssumeRole",
        "ASIAruled GetAuthorizationToken",
        "ASIASESSION GetAuthorizationToken",
    ];
    assert_eq!(who(&aws), expected);
}

/// Hardware devices have serials that say nothing of whose they are.
#[test]
fn a_session_is_of_one_user_at_one_aws() {
    let (mut world, aws) = world();
    world.unset("AWS_PROFILE");
    world.write(
        ".aws/credentials",
        "[alice]\naws_access_key_id = AKIDALICE\naws_secret_access_key = x\n\
         [carol]\naws_access_key_id = AKIDCAROL\naws_secret_access_key = x\n",
    );
    let rule = |account: &str, profile: &str| {
        format!("[[registry]]\nmatch = \"{account}.*\"\nprofile = \"{profile}\"\nmfa-serial = \"GAHT12345678\"\n")
    };
    world.config(&(rule("123456789012", "alice") + &rule("210987654321", "carol")));
    give(&world, &[HOST], "123456").ok();
    world.get(OTHER).fails("has given no code");
    assert_eq!(aws.calls(), 1);
    let elsewhere = Aws::start(&mut world);
    world.unset("AWS_ACCESS_KEY_ID");
    world.unset("AWS_SECRET_ACCESS_KEY");
    world.get(HOST).fails("has given no code");
    assert!(elsewhere.asked().is_empty());
}

/// The AWS CLI uses a user's own keys without asking for a code.
#[test]
fn a_users_own_keys_do_without_until_a_code_is_given() {
    let (mut world, aws) = world();
    world.set("AWS_PROFILE", "user");
    world.get(HOST).ok();
    give(&world, &[OTHER], "123456").ok();
    let expected = ["AKIDBOB GetAuthorizationToken", "AKIDBOB GetSessionToken", "ASIASESSION GetAuthorizationToken"];
    assert_eq!(who(&aws), expected);
}

/// It failed for as long as the session lived.
#[test]
fn a_users_own_keys_do_without_a_session_that_is_locked() {
    let (mut world, aws) = world();
    world.set("AWS_PROFILE", "user");
    give(&world, &[OTHER], "123456").ok();
    world.coffer(&["key", "protect", "--passphrase"]).input("open sesame\n").run().ok();
    world.set("COFFER_NO_PROMPT", "1");
    world.get(HOST).ok();
    assert_eq!(who(&aws).last().unwrap(), "AKIDBOB GetAuthorizationToken");
}

#[test]
fn a_session_that_has_ended_is_asked_for_again() {
    let (world, aws) = world();
    aws.sessions_live(2);
    give(&world, &[], "123456").ok();
    thread::sleep(Duration::from_millis(2100));
    world.get(HOST).fails("has given no code for today");
    // AWS takes a code only once.
    let again = give(&world, &[], "123456");
    world.person_sees(
        again,
        &format!(
            "code of the MFA device {DEVICE}:\nno session was begun: the code was refused: MultiFactorAuthentication failed \
             with invalid MFA one time pass code."
        ),
        "wait for the next one: AWS takes each code once",
    );
    aws.sessions_live(3600);
    give(&world, &[], "654321").ok();
    world.get(HOST).ok();
}

#[test]
fn what_is_no_code_and_what_needs_none_is_said() {
    let (mut world, aws) = world();
    for bad in ["", "12345", "1234567", "12345a", "SECRET"] {
        let message = format!("code of the MFA device {DEVICE}:\nthat is not a code");
        world.person_sees(give(&world, &[HOST], bad), &message, "give the six digits it shows");
    }
    world.person_sees(
        give(&world, &["ghcr.io"], "123456"),
        "ghcr.io is not answered with tokens of ECR",
        "see how it is answered: docker-credential-coffer explain ghcr.io",
    );
    let closed = world.call("sh", &["-c", "docker-credential-coffer mfa </"]).run();
    let message = format!("code of the MFA device {DEVICE}:\ncannot read the code: Is a directory (os error 21)");
    world.person_sees(closed, &message, "");
    world.set("AWS_PROFILE", "bob");
    world.person_sees(
        give(&world, &[], "123456"),
        "nothing here needs an MFA code",
        "name the device with mfa_serial in the AWS profile, or with mfa-serial in a rule of config.toml",
    );
    assert!(aws.asked().is_empty());
}
