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

#[test]
fn a_miss_is_an_empty_answer_that_is_not_remembered() {
    let world = World::new();
    let answer = response(&world, "quay.io/org/app");
    assert_eq!((&answer["auth"], &answer["cacheDuration"]), (&json!({}), &json!("0s")));
    assert!(world.files(&world.store()).is_empty());
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
    for asked in [
        with("apiVersion", json!("credentialprovider.kubelet.k8s.io/v2")),
        with("kind", json!("CredentialProviderResponse")),
        with("imagePullPolicy", json!("Always")),
        with("image", json!(null)),
        json!({ "apiVersion": API, "kind": "CredentialProviderRequest" }).to_string(),
        "not JSON, SECRET".into(),
        String::new(),
        request("ghcr.io/app").to_string() + "{}",
    ] {
        let outcome = world.coffer(&["kubelet"]).input(&asked).run();
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{asked}: {outcome:#?}");
        assert!(outcome.stderr.contains("hint: ") && !outcome.stderr.contains("SECRET"), "{outcome:#?}");
    }
}
