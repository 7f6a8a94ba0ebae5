//! The real clients, as users call them: login, logout, push, pull.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Outcome, Registry, World};

/// Whom registries know.
pub const USER: &str = "alice";

/// Alice's.
pub const PASSWORD: &str = "correct horse battery staple";

/// podman's kin, which know no `credsStore`.
pub const CONTAINERS: [&str; 3] = ["podman", "skopeo", "buildah"];

/// `docker login`, which needs no engine.
pub fn docker_login(world: &World, registry: &Registry, password: &str) -> Outcome {
    world.call("docker", &["login", "-u", USER, "--password-stdin", &registry.name]).input(password).run()
}

/// `login` of podman, skopeo or buildah to a registry or a namespace of it.
pub fn containers_login(world: &World, program: &str, server: &str, password: &str) -> Outcome {
    let arguments = ["login", "--tls-verify=false", "-u", USER, "--password-stdin", server];
    world.call(program, &arguments).input(password).run()
}

/// Keeps podman's and buildah's storage inside the world.
pub fn keep_storage(world: &mut World) {
    let storage = world.path("storage.conf");
    let (root, run) = (world.path("storage"), world.path("run/storage"));
    let text = format!("[storage]\ndriver = \"vfs\"\nrunroot = {run:?}\ngraphroot = {root:?}\n");
    fs::write(&storage, text).unwrap();
    world.set("CONTAINERS_STORAGE_CONF", storage.to_str().unwrap());
}

/// An OCI layout of an image with one layer of nothing; the bytes of its manifest.
pub fn write_image(layout: &Path) -> Vec<u8> {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |media_type: &str, bytes: &[u8]| {
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(blobs.join(&digest), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() })
    };
    // The two blocks that end a tar archive.
    let layer = put("application/vnd.oci.image.layer.v1.tar", &[0; 1024]);
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
    });
    let config = put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": [layer] });
    let manifest = manifest.to_string().into_bytes();
    let index = json!({ "schemaVersion": 2, "manifests": [put(manifest_type, &manifest)] });
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    manifest
}

/// `skopeo copy` from an OCI layout to the registry. Run by root, skopeo notes outside this world, in
/// /var/lib/containers/cache, which registry has which layer; nothing can tell it otherwise.
pub fn push(world: &World, layout: &Path, image: &str) -> Outcome {
    let source = format!("oci:{}", layout.display());
    let flags = ["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false"];
    world.call("skopeo", &[&flags[..], &[&source, image]].concat()).run()
}

/// An image in the registry, put there by nobody's login; its name.
pub fn publish(world: &World, registry: &Registry, repository: &str) -> String {
    let layout = world.path("image");
    write_image(&layout);
    let image = format!("{}/{repository}:1", registry.name);
    let (source, target) = (format!("oci:{}", layout.display()), format!("docker://{image}"));
    let login = format!("{USER}:{PASSWORD}");
    let flags = ["--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds", &login];
    world.call("skopeo", &[&flags[..], &[&source, &target]].concat()).run().ok();
    image
}

/// `skopeo copy` from the registry to a directory of plain files.
pub fn copy(world: &World, image: &str, directory: &Path) -> Outcome {
    let target = format!("dir:{}", directory.display());
    world.call("skopeo", &["--insecure-policy", "copy", "--src-tls-verify=false", image, &target]).run()
}

/// The least that a client does to pull, and that the registry lets nobody do who is not logged in.
pub fn pull(world: &World, program: &str, image: &str) -> Outcome {
    let url = format!("docker://{image}");
    match program {
        // `docker pull` needs the engine.
        "docker" => world.call(program, &["manifest", "inspect", "--insecure", image]).run(),
        "skopeo" => world.call(program, &["inspect", "--raw", "--tls-verify=false", &url]).run(),
        "podman" => world.call(program, &["pull", "--quiet", "--tls-verify=false", image]).run(),
        "buildah" => world.call(program, &["pull", "--quiet", "--policy=always", "--tls-verify=false", &url]).run(),
        other => panic!("{other} is no client"),
    }
}

/// That the registry did not let a client in, in whatever words the client says so.
#[track_caller]
pub fn is_refused(outcome: Outcome) {
    assert_ne!(outcome.code, Some(0), "{outcome:#?}");
    let said = outcome.stderr.to_lowercase();
    let words = [
        "unauthorized",
        "authentication required",
        "invalid username/password",
        "no basic auth credentials",
        // `docker manifest inspect`, of what a wrong password does not show it.
        "no such manifest",
    ];
    assert!(words.iter().any(|word| said.contains(word)), "{outcome:#?}");
}

/// Runs a Python program that has docker-py; what it printed.
#[track_caller]
pub fn docker_py(world: &World, program: &str) -> String {
    // tests/run installs it there, since Debian's version is older.
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    world.call(python, &["-c", program]).run().ok()
}

/// A file of JSON.
pub fn read_json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// That no file below a directory holds alice's password.
#[track_caller]
pub fn keeps_no_plaintext(world: &World, directory: &Path) {
    assert_eq!(world.files_with(directory, PASSWORD), Vec::<PathBuf>::new());
}
