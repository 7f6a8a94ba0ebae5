//! What others have put into clients' files, and other helpers that are out for harm: each command ends in time, writes
//! nowhere else, and says nothing that a terminal would obey.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{IN_TIME, World, chmod, mode};

const CALLS: [&[&str]; 8] = [
    &["audit"],
    &["audit", "--json"],
    &["doctor"],
    &["explain", "ghcr.io"],
    &["migrate", "--dry-run"],
    &["setup", "--no-migrate"],
    &["migrate", "--yes"],
    &["setup", "--yes"],
];

/// Names of helpers as somebody may have written them, none of which is a program's.
const HELPERS: [&str; 16] = [
    "../../tmp/evil",
    "/tmp/evil",
    "-x",
    "--help",
    "a b",
    "a;touch evil",
    "$(touch evil)",
    "`touch evil`",
    "a\nb",
    "a\u{1b}[31mb",
    "a\u{9b}31mb",
    "a\u{202e}b",
    "a\0b",
    ".",
    "..",
    "coffer ",
];

#[test]
fn a_helper_is_run_by_a_plain_name_alone() {
    for helper in HELPERS {
        let world = World::new();
        // What each could lead to, from where the client was called and from the PATH.
        for path in ["bin/evil", "home/evil", "home/docker-credential-evil", "bin/docker-credential-a"] {
            fs::write(world.path(path), "#!/bin/sh\ntouch \"$HOME/was-run\"\n").unwrap();
            chmod(&world.path(path), 0o755);
        }
        let config = json!({
            "credsStore": helper,
            "credHelpers": { "quay.io": helper, "evil\u{1b}]0;x\u{7}.example": helper, "-x": helper, "a\u{202e}b": helper },
            "auths": { "ghcr.io": {}, "a.example": { "auth": "dTpw" } },
        });
        let path = world.write(".docker/config.json", &config.to_string());
        for call in CALLS {
            world.coffer(call).run().is_tame(&format!("{helper:?}: {call:?}"), IN_TIME);
        }
        assert!(!world.home().join("was-run").exists(), "{helper:?} was run");
        let after: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(after["credHelpers"]["quay.io"], helper, "{helper:?}");
        let named = world.coffer(&["migrate", "--yes", "--from", &helper.replace('\0', "")]).run();
        assert!(named.code != Some(0) && !world.home().join("was-run").exists(), "{helper:?}: {named:#?}");
    }
}

#[test]
fn names_of_entries_are_said_in_plain_text() {
    let world = World::new();
    let long = "x".repeat(1 << 20);
    let names = [
        "evil\u{1b}[31m.example",
        "evil\n.example",
        "-x",
        "../../evil",
        "\u{202e}evil",
        "e\u{200b}vil",
        "",
        long.as_str(),
        "\0",
    ];
    let auths: serde_json::Map<_, _> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "auth": "dTpw" })))
        .chain([("a.example".into(), json!({ "auth": "dTpw" }))])
        .collect();
    let text = json!({ "auths": auths, "HttpHeaders": { "X\u{1b}[31m": "y" }, "proxies": { "\u{1b}[31m": { "\u{1b}[2J": "http://a:b@c" } } }).to_string();
    for file in [".docker/config.json", ".config/containers/auth.json", ".config/helm/registry/config.json"] {
        world.write(file, &text);
    }
    for call in CALLS {
        world.coffer(call).run().is_tame(&format!("{call:?}"), IN_TIME);
    }
    world.get("a.example").answers("a.example", "u", "p");
    assert!(world.files(&world.store()).iter().all(|name| !name.contains("..") || name.contains("%2E")));
}

/// Kinds of files, and links to what is others': see `migrate_bad_input` for what a migration does with each.
#[test]
fn what_stands_in_a_files_place_is_not_waited_for_by_any_command() {
    type Make = fn(&World, &Path);
    let makers: [(&str, Make); 7] = [
        ("a FIFO", |world, path| world.call("mkfifo", &[path.to_str().unwrap()]).run().silent()),
        ("zeros", |_, path| symlink("/dev/zero", path).unwrap()),
        ("the terminal", |_, path| symlink("/dev/tty", path).unwrap()),
        ("its own memory", |_, path| symlink("/proc/self/mem", path).unwrap()),
        ("what never ends", |_, path| symlink("/dev/urandom", path).unwrap()),
        ("ten gibibytes", |_, path| fs::File::create(path).unwrap().set_len(10 << 30).unwrap()),
        ("a directory", |_, path| fs::create_dir(path).unwrap()),
    ];
    for (name, make) in makers {
        let world = World::new();
        for file in [
            ".docker/config.json",
            ".config/containers/auth.json",
            ".dockercfg",
            ".ecr/cache.json",
            ".regctl/config.json",
        ] {
            let path = world.home().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            make(&world, &path);
        }
        for call in CALLS {
            world.coffer(call).run().is_tame(&format!("{name}: {call:?}"), IN_TIME);
        }
    }
    let world = World::new();
    for (name, text) in [
        ("deep", format!("{{\"auths\":{}1{}}}", "{\"a\":".repeat(1_000_000), "}".repeat(1_000_000))),
        (
            "wide",
            format!(
                "{{\"auths\":{{{}\"z\":{{}}}}}}",
                (0..200_000).map(|n| format!("\"h{n}.example\":{{}},")).collect::<String>()
            ),
        ),
        (
            "many helpers",
            format!(
                "{{\"credHelpers\":{{{}\"z\":\"gone\"}}}}",
                (0..2_000).map(|n| format!("\"h{n}.example\":\"g\",")).collect::<String>()
            ),
        ),
    ] {
        world.write(".docker/config.json", &text);
        for call in [&["audit"][..], &["doctor"], &["explain", "ghcr.io"], &["migrate", "--dry-run"]] {
            world.coffer(call).run().is_tame(&format!("{name}: {call:?}"), IN_TIME);
        }
    }
}

/// In a directory that somebody else writes to, as root working in a user's home, a name may lead elsewhere a moment later:
/// here between the last look at the old file, and its being overwritten.
#[test]
fn what_comes_out_of_an_exchange_is_not_overwritten_through_a_link() {
    let world = World::new();
    let precious = world.write("outside/precious", "precious");
    chmod(&precious, 0o644);
    let path = world.write(".docker/config.json", r#"{"auths":{"a.example":{"auth":"dTpw"}}}"#);
    let directory = path.parent().unwrap().to_owned();
    let target = precious.clone();
    let attacker = std::thread::spawn(move || {
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let is_old = fs::read_to_string(entry.path()).is_ok_and(|text| text.contains("dTpw"));
                if entry.file_name().to_string_lossy().starts_with(".coffer-") && is_old {
                    // The looks are over, and the directory is being synced.
                    std::thread::sleep(Duration::from_millis(300));
                    symlink(&target, directory.join("aside")).unwrap();
                    return fs::rename(directory.join("aside"), entry.path()).is_ok();
                }
            }
        }
        false
    });
    let slow = ["-f", "-o", "/dev/null", "-e", "inject=fsync:delay_enter=600000"];
    let program = env!("CARGO_BIN_EXE_docker-credential-coffer");
    world.call("strace", &[&slow[..], &[program, "migrate", "--yes"]].concat()).run();
    assert!(attacker.join().unwrap(), "the attacker came too late");
    assert_eq!((fs::read_to_string(&precious).unwrap().as_str(), mode(&precious)), ("precious", 0o644));
}
