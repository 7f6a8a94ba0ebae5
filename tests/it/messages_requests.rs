//! What users of clients see of requests that cannot be answered: names, credentials, other helpers.

use crate::support::{Call, World, login};

/// The hints that several messages share.
const NAME_IT: &str = "name the registry as host[:port], for example registry.example.com:5000";
const SEND: &str = "send {\"ServerURL\": ..., \"Username\": ..., \"Secret\": ...} to store, and the server's name alone to get and \
                    erase";

#[test]
fn names_of_servers() {
    let world = World::new();
    let long = "x".repeat(2049);
    for (name, message) in [
        ("quay.io//", "the server name can be read in two ways"),
        (&long, "the server name is longer than 2048 bytes"),
        ("ghcr.io\u{7}/app", "the server name holds a control character"),
        ("{\"ServerURL\":\"ghcr.io\"}", "the server name begins with {, as JSON does"),
        ("alice@ghcr.io", "the server name holds one of @ \\ %"),
        ("https:///v2/", "the server name holds no host"),
        ("ghcr.io:5000.", "the server name has a dot behind its port"),
        ("ghcr.io/a/../b", "the server name holds a path that climbs"),
        ("ghcr.io /a", "the server name holds white space at the end of a part"),
    ] {
        world.client_sees(world.get(name), message, NAME_IT);
    }
    world.client_sees(world.get(" \n"), "no credentials server URL", "name a registry, for example ghcr.io");
    world.client_sees(world.coffer(&["get"]).input(b"\xff").run(), "the request is not UTF-8", SEND);
}

#[test]
fn credentials_to_store() {
    let world = World::new();
    let too_long = login("ghcr.io", "alice", &"x".repeat(1 << 20));
    for (request, message, hint) in [
        (&*login(" ", "alice", "x"), "no credentials server URL", "name a registry, for example ghcr.io"),
        (
            &login("ghcr.io", " ", "x"),
            "no credentials username",
            "give the username to log in with, for example docker login -u NAME",
        ),
        (
            &login("ghcr.io", "al\u{7}ice", "x"),
            "the username holds a control character",
            "use the name that the registry knows you by",
        ),
        (
            &too_long,
            "the request is longer than 1048576 bytes",
            "send less: no registry takes a name or a secret that long",
        ),
        ("{\"ServerURL\": 1}", "not the JSON of a credential: a field of the wrong type at line 1 column 15", SEND),
        ("{\"ServerURL\":\n", "not the JSON of a credential: it ends at line 2 column 0", SEND),
        ("ghcr.io alice x", "not the JSON of a credential: a syntax error at line 1 column 1", SEND),
    ] {
        world.client_sees(world.coffer(&["store"]).input(request).run(), message, hint);
    }
}

#[test]
fn input_and_output() {
    let world = World::new();
    let shell = |script: &str| world.call("sh", &["-c", script]).run();
    let directory = shell("docker-credential-coffer get < /");
    world.client_sees(directory, "cannot read standard input: Is a directory (os error 21)", "");
    let full = shell("docker-credential-coffer list > /dev/full");
    world.person_sees(full, "cannot write standard output: No space left on device (os error 28)", "");
    let kubelet = shell("docker-credential-coffer kubelet < /");
    world.person_sees(kubelet, "cannot read standard input: Is a directory (os error 21)", "");
}

#[test]
fn other_helpers() {
    let world = World::new();
    world.config("[[registry]]\nmatch = \"*\"\nhelper = \"other\"\n");
    world.client_sees(
        world.get("ghcr.io"),
        "docker-credential-other is not installed",
        "install docker-credential-other, or remove the rule that names it",
    );
    for (script, message) in [
        ("echo 'gcloud is not logged in'; exit 1", "docker-credential-other failed: gcloud is not logged in"),
        ("exit 1", "docker-credential-other failed: it failed without a message"),
        ("echo '{\"Secret\":\"SECRET\"}'; exit 1", "docker-credential-other failed: it failed without a message"),
        ("echo SECRET", "docker-credential-other failed: its answer is not a credential"),
        ("exec cat /dev/zero", "docker-credential-other failed: its answer does not end"),
    ] {
        world.script("docker-credential-other", script);
        world.client_sees(world.get("ghcr.io"), message, "try it alone: echo SERVER | docker-credential-other get");
    }
    let program = world.path("bin/docker-credential-other");
    std::fs::write(program, "#!/nonexistent/python\n").unwrap();
    world.client_sees(
        world.get("ghcr.io"),
        "docker-credential-other failed: it cannot be started: No such file or directory (os error 2)",
        "try it alone: echo SERVER | docker-credential-other get",
    );
    let around = world.coffer(&["get"]).env("COFFER_VIA_HELPER", "other").input("ghcr.io").run();
    world.client_sees(
        around,
        "docker-credential-other leads back to docker-credential-coffer",
        "remove the rule of config.toml that names it",
    );
}

/// An `erase` that fails asks the helper whether it holds anything, so that it may be waited for twice.
#[test]
fn what_is_waited_for_in_vain() {
    let world = World::new();
    world.config("[[registry]]\nmatch = \"slow.example\"\nhelper = \"slow\"\n");
    world.script("docker-credential-slow", "sleep 12; exit 1");
    world.client_sees(
        world.coffer(&["erase"]).input("slow.example").run(),
        "gave up after 19 s of waiting for another credential helper",
        "find what keeps it from answering, and try again",
    );
}

#[test]
fn an_anonymous_registry_takes_no_login() {
    let world = World::new();
    world.config("[[registry]]\nmatch = \"mirror.internal\"\nanonymous = true\n");
    world.client_sees(
        world.store_login("mirror.internal", "alice", "x"),
        "mirror.internal is anonymous by rule 1 of ~/.config/coffer/config.toml",
        "remove that rule to log in",
    );
}

/// Which way a request went, for whoever asks why.
#[test]
fn the_trace() {
    let world = World::new();
    let traced = |call: Call, lines: &str| {
        let outcome = call.env("COFFER_LOG", "debug").run();
        assert_eq!((outcome.code, world.shown(&outcome.stderr)), (Some(0), lines.to_owned()));
    };
    traced(
        world.coffer(&["store"]).input(login("ghcr.io", "alice", "x")),
        "coffer: ghcr.io: rule None, source Store\ncoffer: a new key is made in File\n",
    );
    traced(
        world.coffer(&["get"]).input("ghcr.io"),
        "coffer: ghcr.io: rule None, source Store\n\
         coffer: the key is looked for in File(\"~/.local/share/coffer/identities\", Private)\n",
    );
    world.coffer(&["key", "protect", "--passphrase"]).input("open sesame\n").run().ok();
    world.coffer(&["unlock"]).input("open sesame\n").run().ok();
    traced(
        world.coffer(&["get"]).input("ghcr.io"),
        "coffer: ghcr.io: rule None, source Store\n\
         coffer: the key is looked for in File(\"~/.local/share/coffer/identities\", Private)\n\
         coffer: it is unlocked in the kernel's keyring\n",
    );
    world.coffer(&["lock"]).run().ok();
}
