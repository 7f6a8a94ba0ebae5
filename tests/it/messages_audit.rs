//! What users see of registry secrets that lie in clients' files: the lines of `audit`.

use crate::support::World;

const DOCKER: &str = "~/.docker/config.json";
const DRY_RUN: &str = "docker-credential-coffer migrate --dry-run shows what it would do about them";
/// A file with one login in plaintext.
const CONFIG: &str = r#"{"auths":{"ghcr.io":{"auth":"YTpi"}}}"#;

/// How what was found is counted.
const SECRET: &str = "1 secret";
const PLACE: &str = "1 place where there may be a secret";

#[track_caller]
fn audits(world: &World, arguments: &[&str], counted: &str, found: &str) {
    let audit = world.coffer(&[&["audit"], arguments].concat()).run();
    let seen = (audit.code, world.shown(&audit.stdout), audit.stderr);
    let expected = (Some(1), format!("{found}\n"), format!("found in plaintext: {counted}\nhint: {DRY_RUN}\n"));
    assert_eq!(seen, expected);
}

#[test]
fn entries_of_dockers_file() {
    let world = World::of_docker_alone();
    let long = format!(r#"{{"username":"alice","password":"{}"}}"#, "x".repeat((1 << 20) + 1));
    for (entry, reason) in [
        (r#""x""#, "the entry is not an object"),
        (r#"{"auth":1}"#, "a field of the entry is not a text"),
        (r#"{"password":"x"}"#, "the entry has a password and no username"),
        (r#"{"username":" ","password":"x"}"#, "the username cannot be one"),
        (r#"{"auth":"%"}"#, "auth is not base64"),
        (r#"{"auth":"/w=="}"#, "auth is not UTF-8"),
        (r#"{"auth":"YQ=="}"#, "auth has no colon between user and password"),
        (r#"{"auth":"OmI="}"#, "auth has an empty user"),
        (&long, "the secret is longer than a MiB"),
    ] {
        world.write(".docker/config.json", &format!("{{\"auths\":{{\"ghcr.io\":{entry}}}}}"));
        let advice = "no client can use it, and Docker drops others with it: remove it, and log in again";
        audits(&world, &[], PLACE, &format!("{DOCKER}: ghcr.io: {reason}; {advice}"));
    }
    for (text, found) in [
        (CONFIG, "ghcr.io: docker-credential-coffer migrate moves it into the store"),
        (
            r#"{"auths":{"ghcr.io/../x":{"auth":"YTpi"}}}"#,
            "ghcr.io/../x: its name is no registry's; remove it, or name the registry",
        ),
        (
            r#"{"auths":{"ghcr.io":{"registrytoken":"x"}}}"#,
            "ghcr.io: a registry token, which no helper can carry; log in with a password or an identity token",
        ),
        (
            r#"{"HttpHeaders":{"X-Meta":"x"}}"#,
            "HttpHeaders.X-Meta: Docker sends this header to its engine, and no helper can carry it; remove it if it holds a \
             secret that is not needed any more",
        ),
        (
            r#"{"proxies":{"default":{"httpProxy":"http://a:b@proxy.example"}}}"#,
            "proxies.default.httpProxy: a proxy's password, which Docker passes on to containers, and no helper can carry; \
             let the proxy know this machine by its address, or run a proxy here that knows the password",
        ),
    ] {
        world.write(".docker/config.json", text);
        audits(&world, &[], SECRET, &format!("{DOCKER}: {found}"));
    }
    world.write(".docker/config.json", "{");
    audits(&world, &[], PLACE, &format!("{DOCKER} is not JSON at line 1 column 1; mend it, or remove it"));
    world.write(".docker/config.json", "[]");
    audits(&world, &[], PLACE, &format!("{DOCKER} is not a JSON object at line 1 column 2; mend it, or remove it"));
}

#[test]
fn a_file_that_is_not_there() {
    let audit = World::of_docker_alone().coffer(&["audit", "nowhere.json"]).run();
    let message = "cannot open nowhere.json: No such file or directory (os error 2)\n";
    assert_eq!((audit.code, audit.stdout.as_str(), audit.stderr.as_str()), (Some(1), "", message));
}

#[test]
fn files_of_other_clients() {
    let stays = "its reader knows no helper; let root alone read the file, or use the instance's own role or identity";
    for (file, text, found) in [
        (
            ".regctl/config.json",
            r#"{"hosts":{"ghcr.io":{"user":"alice","pass":"x"}}}"#,
            "ghcr.io: regctl asks a helper only where it is told to; docker login to it, and regctl registry set \
             --cred-helper docker-credential-coffer HOST",
        ),
        (
            ".ecr/cache.json",
            r#"{"Registries":{"https://1.dkr.ecr":{}}}"#,
            "https://1.dkr.ecr: tokens for ECR in clear; docker-credential-coffer migrate removes the file; Coffer mints \
             its own, and keeps them encrypted",
        ),
        ("ecs.config", r#"ECS_ENGINE_AUTH_DATA={"ghcr.io":{"auth":"YTpi"}}"#, &format!("ghcr.io: {stays}")),
        (
            "ecs.config",
            r#"ECS_ENGINE_AUTH_DATA='{"ghcr.io":{"auth":"YTpi"}}'"#,
            "ECS_ENGINE_AUTH_DATA: ECS_ENGINE_AUTH_DATA is not JSON, so the agent cannot use it; write it without quotes \
             around it and without line breaks, or remove it",
        ),
        (".dockerconfigjson", CONFIG, &format!("ghcr.io: {stays}")),
    ] {
        let world = World::of_docker_alone();
        let path = world.write(file, text);
        let counted = if found.contains("is not JSON") { PLACE } else { SECRET };
        audits(&world, &[path.to_str().unwrap()], counted, &format!("~/{file}: {found}"));
    }
    let mut world = World::of_docker_alone();
    world.set("DOCKER_AUTH_CONFIG", CONFIG);
    audits(
        &world,
        &[],
        SECRET,
        "DOCKER_AUTH_CONFIG: ghcr.io: it stands in the environment, where Docker takes it before any store; unset it where \
         it is set (a CI variable, a shell's profile), and docker login",
    );
}
