//! What users see of a migration: what it moves, what stays and why, what is asked first.

use std::fs;

use crate::support::scripted::{Scripted, gives, lists};
use crate::support::{Terminal, World};

const DOCKER: &str = "~/.docker/config.json";
/// A file with one login in plaintext.
const CONFIG: &str = r#"{"auths":{"ghcr.io":{"auth":"YTpi"}}}"#;

/// What `migrate` says with these arguments: exit code, and both streams together.
fn migrate(world: &World, arguments: &[&str]) -> (i32, String) {
    let outcome = world.coffer(&[&["migrate"], arguments].concat()).run();
    (outcome.code.unwrap(), world.shown(&outcome.said()))
}

const FAILED: &str = "1 of these could not be done\nhint: mend what is named, and run it again; nothing was lost\n";

#[track_caller]
fn says(world: &World, arguments: &[&str], expected: &str) {
    let seen = migrate(world, arguments);
    let code = i32::from(expected.contains("\nhint: "));
    assert_eq!(seen, (code, expected.to_owned()));
}

#[test]
fn what_is_moved() {
    let world = World::new();
    world
        .write(".docker/config.json", r#"{"auths":{"ghcr.io":{"auth":"YTpi"},"https://quay.io/v2/":{"auth":"YTpi"}}}"#);
    says(
        &world,
        &["--dry-run"],
        &format!(
            "{DOCKER}: would move 2 logins\n  ghcr.io\n  quay.io (there: https://quay.io/v2/)\n{DOCKER}: would be rewritten\n"
        ),
    );
    let (_, said) = migrate(&world, &[]);
    let backup = world.files(&world.store().join("backups")).concat();
    assert_eq!(
        said,
        format!(
            "{DOCKER}: moved 2 logins\n  ghcr.io\n  quay.io (there: https://quay.io/v2/)\n\
             {DOCKER}: rewritten; backup in ~/.local/share/coffer/backups/{backup}\n\
             what lay in plaintext may lie in backups and snapshots too: change those passwords and tokens where you can\n"
        )
    );
    says(&world, &[], "nothing to do\n");
    world.write(".docker/config.json", r#"{"credsStore":"other"}"#);
    Scripted::install(&world, "other", &lists(&["gcr.io"]), &[("gcr.io", gives("gcr.io", "alice", "x"))]);
    let rewritten = format!("{DOCKER}: would be rewritten\n");
    says(&world, &["--dry-run"], &format!("docker-credential-other: would import gcr.io\n{rewritten}"));
    let (_, said) = migrate(&world, &[]);
    assert!(
        said.starts_with(&format!("docker-credential-other: imported gcr.io\n{DOCKER}: rewritten; backup in ")),
        "{said}"
    );
}

#[test]
fn what_stays() {
    let entries = |entries: &str| format!("{{\"auths\":{{{entries}}},\"credsStore\":\"coffer\"}}");
    let one = |key: &str| entries(&format!("\"{key}\":{{\"auth\":\"YTpi\"}}"));
    for (config, text, left) in [
        (
            "[[registry]]\nmatch = \"*\"\nhelper = \"other\"\n",
            one("ghcr.io"),
            "ghcr.io: rule 1 of config.toml sends it to docker-credential-other",
        ),
        (
            "[[registry]]\nmatch = \"*\"\nanonymous = true\n",
            one("ghcr.io"),
            "ghcr.io: rule 1 of config.toml makes it anonymous",
        ),
        ("", one("*.example.com"), "*.example.com: it is a pattern, and no registry's name"),
        ("", one("ghcr.io/../x"), "ghcr.io/../x: the server name holds a path that climbs, so it was not moved"),
    ] {
        let world = World::of_docker_alone();
        world.config(config);
        world.write(".docker/config.json", &text);
        says(&world, &[], &format!("{DOCKER}: {left}\n"));
    }
    let world = World::of_docker_alone();
    world.store_login("ghcr.io", "alice", "x").silent();
    world.write(".docker/config.json", &one("ghcr.io"));
    says(
        &world,
        &["--dry-run"],
        &format!(
            "{DOCKER}: would be rewritten\n\
             {DOCKER}: ghcr.io: given up for the login of alice, which is what clients ask for; the backup holds it\n"
        ),
    );
    world.coffer(&["erase"]).input("ghcr.io").run().silent();
    world.write(".docker/config.json", &entries(r#""ghcr.io/a":{"auth":"YTpi"},"ghcr.io/b":{"auth":"YTpj"}"#));
    says(
        &world,
        &["--dry-run"],
        &format!(
            "{DOCKER}: would move 2 logins\n  ghcr.io/a\n  ghcr.io/b\n{DOCKER}: would be rewritten\n\
             {DOCKER}: several logins for parts of ghcr.io, none for all of it; docker login ghcr.io\n"
        ),
    );
}

#[test]
fn what_cannot_be_done() {
    let world = World::new();
    let missing = world.home().join("missing.json");
    says(&world, &[missing.to_str().unwrap()], &format!("~/missing.json: does not exist\n{FAILED}"));
    says(&world, &["--undo", missing.to_str().unwrap()], &format!("~/missing.json has no backup\n{FAILED}"));
    says(&world, &["--undo"], "nothing to do\nthere is no backup\n");
    let legacy = world.write(".dockercfg", r#"{"ghcr.io":{"auth":"YTpi"}}"#);
    let untold = "it stays until Docker's present configuration can name Coffer for what lies here: mend that one, or \
                  migrate both";
    says(&world, &[legacy.to_str().unwrap()], &format!("~/.dockercfg: {untold}\n{FAILED}"));
    fs::remove_file(legacy).unwrap();
    for (list, gets, problem) in [
        (
            "echo '{\"ghcr.io\":\"alice\"}'",
            "echo credentials not found in native keychain; exit 1",
            "docker-credential-other: ghcr.io: docker-credential-other failed: it lists this server, and gives nothing for it, as if a keyring were \
             locked",
        ),
        ("echo '[]'", "exit 1", "docker-credential-other failed: its answer is not a list of servers"),
        ("echo 'agent is locked'; exit 1", "exit 1", "docker-credential-other failed: agent is locked"),
    ] {
        Scripted::install(&world, "other", list, &[("ghcr.io", gets.to_owned())]);
        let again = "when it works: docker-credential-coffer migrate --from other";
        says(&world, &["--from", "other"], &format!("{problem}; {again}\n{FAILED}"));
    }
    world.write(".docker/config.json", CONFIG);
    let call = world.call(env!("CARGO_BIN_EXE_docker-credential-coffer"), &["migrate"]).env("PATH", "/usr/bin:/bin");
    world.person_sees(
        call.run(),
        "docker-credential-coffer is not on the PATH, where clients look for it; nothing was done",
        "docker-credential-coffer setup puts it there",
    );
}

#[test]
fn what_is_asked_first() {
    let world = World::new();
    world.write(".docker/config.json", CONFIG);
    migrate(&world, &[]);
    let path = world.path("shown");
    let mut terminal = Terminal::run(
        &world,
        &format!("docker-credential-coffer migrate --undo 2>&1 | /usr/bin/tee {}", path.display()),
    );
    terminal.see("go on? [Y/n]").write("n\n");
    terminal.end();
    assert_eq!(
        world.shown(&fs::read_to_string(path).unwrap()),
        format!(
            "this puts back, with the secrets that were in them:\n  {DOCKER}\ngo on? [Y/n]\nnothing was done\n\
             hint: --yes does not ask\n"
        )
    );
}

/// A pinentry that does something else before it answers.
fn busy_pinentry(world: &World, meanwhile: &str) {
    let script =
        "echo OK; while read -r line; do case $line in\nGETPIN) MEANWHILE; echo D open sesame ;;\nesac; echo OK; done";
    world.script("pinentry", &script.replace("MEANWHILE", meanwhile));
}

/// Docker, say, writes its file whenever somebody types the passphrase.
#[test]
fn what_others_are_faster_with() {
    let world = World::new();
    world.store_login("gcr.io", "alice", "x").silent();
    world.coffer(&["key", "protect", "--passphrase"]).input("open sesame\n").run().ok();
    let file = world.write(".docker/config.json", CONFIG);
    // The store gives something else.
    let list = world.store().join("store/.age-recipients");
    let login = r#"{"ServerURL":"ghcr.io","Username":"a","Secret":"other"}"#;
    let other = world.home().join("other.age");
    let call = ["-R", list.to_str().unwrap(), "-o", other.to_str().unwrap()];
    world.call("age", &call).input(login).run().ok();
    let kept = world.store().join("store/ghcr.io/a.age");
    busy_pinentry(&world, &format!("cp {} {}", other.display(), kept.display()));
    world.person_sees(
        world.coffer(&["migrate"]).run(),
        "the store does not give back what it was given for ghcr.io",
        "no file was changed; see docker-credential-coffer get with COFFER_LOG=debug",
    );
    world.coffer(&["erase"]).input("ghcr.io").run().silent();
    // It is never as it was read.
    busy_pinentry(&world, &format!("echo >> {}", file.display()));
    let (_, said) = migrate(&world, &[]);
    let told = format!("{DOCKER}: other programs keep writing it; it was left as it is\n");
    assert!(said.contains(&told), "{said}");
    busy_pinentry(&world, ":");
    migrate(&world, &[]);
    busy_pinentry(&world, &format!("echo >> {}", file.display()));
    says(&world, &["--undo"], &format!("{DOCKER} is written by other programs all the time\n{FAILED}"));
}

/// Each question is waited for as long as any; after three in vain, no more are asked.
#[test]
fn a_helper_that_hangs() {
    let world = World::new();
    let names = ["a.io", "b.io", "c.io", "d.io"];
    let hangs = names.map(|name| (name, "exec sleep 60".to_owned()));
    Scripted::install(&world, "other", &lists(&names), &hangs);
    let again = "when it works: docker-credential-coffer migrate --from other";
    let waited = names[..3].iter().map(|name| {
        format!("docker-credential-other: {name}: docker-credential-other failed: no answer within 15 s; {again}\n")
    });
    says(
        &world,
        &["--from", "other"],
        &format!(
            "{}docker-credential-other: d.io: docker-credential-other failed: it gave no answer too often, and was not \
             asked; {again}\n{}",
            waited.collect::<String>(),
            FAILED.replace("1 of", "4 of")
        ),
    );
}

#[test]
fn a_path_that_is_not_text() {
    let world = World::new();
    let script =
        format!("path=$(printf 'caf\\351.json'); echo '{CONFIG}' > $path; docker-credential-coffer migrate $path");
    let outcome = world.call("sh", &["-c", &script]).run();
    let file = "caf\u{fffd}.json";
    assert_eq!(
        world.shown(&outcome.said()),
        format!("{file}: moved 1 login\n  ghcr.io\n{file}: ~/{file} has a path that is not UTF-8\n{FAILED}")
    );
}
