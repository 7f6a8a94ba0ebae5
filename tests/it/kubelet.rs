//! `kubelet`: one request of the kubelet, one response, as its API has them.

use serde_json::{Value, json};

use crate::support::{Aws, Outcome, World};

const API: &str = "credentialprovider.kubelet.k8s.io/v1";
const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

fn request(image: &str) -> Value {
    json!({ "apiVersion": API, "kind": "CredentialProviderRequest", "image": image })
}

fn ask(world: &World, request: &Value) -> Outcome {
    world.coffer(&["kubelet"]).input(request.to_string()).run()
}

fn response(world: &World, image: &str) -> Value {
    serde_json::from_str(&ask(world, &request(image)).ok()).unwrap()
}

#[test]
fn a_login_is_answered_for_its_registry() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "secret").silent();
    world.store_login("ghcr.io/other", "bob", "other").silent();
    world.store_login("docker.io", "hub", "hub").silent();
    assert_eq!(
        response(&world, "ghcr.io/org/app:1@sha256:00"),
        json!({
            "apiVersion": API, "kind": "CredentialProviderResponse", "cacheKeyType": "Image",
            "auth": { "ghcr.io": { "username": "alice", "password": "secret" } },
        })
    );
    assert_eq!(response(&world, "ghcr.io/other/app")["auth"]["ghcr.io"]["username"], "bob");
    for image in ["nginx", "library/nginx:1", "docker.io/library/nginx"] {
        assert_eq!(response(&world, image)["auth"], json!({ "docker.io": { "username": "hub", "password": "hub" } }));
    }
}

/// It compares letter by letter, and takes a port that is not named for another one.
#[test]
fn a_registry_is_answered_as_the_image_spells_it() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "secret").silent();
    for (image, registry) in [("ghcr.io:443/org/app:1", "ghcr.io:443"), ("GHCR.io/app", "GHCR.io")] {
        assert_eq!(response(&world, image)["auth"], json!({ registry: { "username": "alice", "password": "secret" } }));
    }
}

/// The kubelet would send it as the password of a user `<token>`.
#[test]
fn an_identity_token_is_refused() {
    let world = World::new();
    world.store_login("quay.io", "<token>", "SECRET").silent();
    world.person_sees(
        ask(&world, &request("quay.io/org/app")),
        "what is held for quay.io is an identity token, which the kubelet cannot use",
        "log in with a user and a password, or an access token in its place",
    );
}

#[test]
fn an_older_token_is_answered_with_a_word() {
    let mut world = World::new();
    let _aws = Aws::start(&mut world);
    response(&world, &format!("{ECR}/app"));
    world.store_login(ECR, "AWS", "pasted").silent();
    world.set("AWS_ECR_DISABLE_CACHE", "1");
    world.set("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let outcome = ask(&world, &request(&format!("{ECR}/app")));
    assert!(outcome.code == Some(0) && outcome.stderr.starts_with("an older token is answered: "), "{outcome:#?}");
}

#[test]
fn a_miss_is_an_empty_answer_that_is_not_remembered() {
    let world = World::new();
    let answer = response(&world, "quay.io/org/app");
    assert_eq!((&answer["auth"], &answer["cacheDuration"]), (&json!({}), &json!("0s")));
    assert!(world.files(&world.store()).is_empty());
    // What Nomad takes for a miss is one.
    world.config("[[registry]]\nmatch = \"quay.io\"\nanonymous = \"empty\"\n");
    assert_eq!(response(&world, "quay.io/org/app"), answer);
}

/// As the kubelet's own provider for ECR: half of the token's remaining life.
#[test]
fn a_token_is_remembered_for_half_of_its_remaining_life() {
    let mut world = World::new();
    let _aws = Aws::start(&mut world);
    for _ in 0..2 {
        let answer = response(&world, &format!("{ECR}/app:1"));
        assert_eq!(answer["auth"][ECR]["username"], "AWS");
        let seconds: u64 = answer["cacheDuration"].as_str().unwrap().strip_suffix('s').unwrap().parse().unwrap();
        assert!((21_000..=21_600).contains(&seconds), "{answer}");
    }
}

/// It would wait for a pinentry that nobody sees.
#[test]
fn nobody_is_asked_for_a_passphrase() {
    let mut world = World::new();
    world.store_login("ghcr.io", "alice", "secret").silent();
    world.coffer(&["key", "protect", "--passphrase"]).input("correct horse\n").run().ok();
    world.unset("COFFER_NO_PROMPT");
    world.unset("CI");
    let asked = world.path("asked");
    world.script("pinentry", &format!("touch {}", asked.display()));
    let outcome = ask(&world, &request("ghcr.io/app"));
    assert!(outcome.code == Some(1) && outcome.stderr.contains("nobody may be asked"), "{outcome:#?}");
    assert!(!asked.exists());
}

#[test]
fn a_service_account_is_no_reason_to_fail() {
    let world = World::new();
    world.store_login("ghcr.io", "alice", "secret").silent();
    let mut asked = request("ghcr.io/app");
    asked["serviceAccountToken"] = json!("token");
    asked["serviceAccountAnnotations"] = json!({ "a": "b" });
    ask(&world, &asked).ok();
}

#[test]
fn what_the_api_does_not_say_is_refused() {
    let world = World::new();
    let with = |field: &str, value: Value| {
        let mut asked = request("ghcr.io/app");
        asked[field] = value;
        asked.to_string()
    };
    let version = "a request of another version than this one knows";
    let nothing = "a request that names no image";
    for (asked, message) in [
        (with("apiVersion", json!("credentialprovider.kubelet.k8s.io/v2")), version),
        (with("kind", json!("CredentialProviderResponse")), version),
        (with("imagePullPolicy", json!("Always")), "not a request of the kubelet, at line 1 column 127"),
        (with("image", json!(null)), "not a request of the kubelet, at line 1 column 100"),
        (with("image", json!("")), nothing),
        (with("image", json!("/")), nothing),
        (with("image", json!("@sha256:00")), nothing),
        (
            json!({ "apiVersion": API, "kind": "CredentialProviderRequest" }).to_string(),
            "not a request of the kubelet, at line 1 column 88",
        ),
        ("not JSON, SECRET".into(), "not a request of the kubelet, at line 1 column 2"),
        (String::new(), "not a request of the kubelet, at line 1 column 0"),
        (request("ghcr.io/app").to_string() + "{}", "not a request of the kubelet, at line 1 column 111"),
    ] {
        let hint = "configure the provider with apiVersion: credentialprovider.kubelet.k8s.io/v1";
        world.person_sees(world.coffer(&["kubelet"]).input(&asked).run(), message, hint);
    }
}
