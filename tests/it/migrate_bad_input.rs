//! Files that are not what they should be: each is told with its place and left byte for byte, the others are done, and no
//! secret is ever said.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use crate::support::{Outcome, World, chmod, mode};

const MARK: &str = "MARK-OF-A-SECRET";

/// One more file beside the one that is tried, to see that it is done all the same.
fn with_another() -> World {
    let world = World::new();
    world.write(".config/containers/auth.json", r#"{"auths":{"other.example":{"auth":"dTpw"}}}"#);
    world
}

#[track_caller]
fn does_the_other(world: &World, outcome: &Outcome) {
    assert!(!outcome.said().contains(MARK), "{outcome:#?}");
    let other = fs::read_to_string(world.home().join(".config/containers/auth.json")).unwrap();
    assert!(other.contains("\"other.example\": {}"), "{outcome:#?}");
    world.get("other.example").answers("other.example", "u", "p");
}

/// Migrates, expecting that Docker's configuration cannot be read.
#[track_caller]
fn is_told_and_left(text: &[u8], words: &str) {
    let world = with_another();
    let path = world.write(".docker/config.json", "");
    fs::write(&path, text).unwrap();
    let outcome = world.coffer(&["migrate", "--yes"]).run();
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let line = outcome.stdout.lines().find(|line| line.starts_with(path.to_str().unwrap()));
    assert!(line.is_some_and(|line| line.contains(words)), "{words}: {outcome:#?}");
    assert!(outcome.stderr.contains("hint: "), "{outcome:#?}");
    assert_eq!(fs::read(&path).unwrap(), text);
    does_the_other(&world, &outcome);
    let audit = world.coffer(&["audit"]).run();
    assert!(audit.code == Some(1) && audit.stdout.contains(words) && !audit.said().contains(MARK), "{audit:#?}");
    assert!(audit.stderr.contains("found in plaintext: 1 place where there may be a secret\n"), "{audit:#?}");
}

#[test]
fn what_is_not_json_is_told_with_its_place() {
    let broken = format!("{{\n\t\"auths\": {{\n\t\t\"a.example\": {{\"auth\": \"{MARK}\",}}\n\t}}\n}}");
    is_told_and_left(broken.as_bytes(), "is not JSON at line 3 column 44");
    is_told_and_left(format!("{{\"auths\":{{\"a\":{{\"auth\":\"{MARK}").as_bytes(), "is not JSON at line 1");
    is_told_and_left(
        format!("\u{feff}{{\"auths\":{{\"a\":{{\"auth\":\"{MARK}\"}}}}}}").as_bytes(),
        "is not JSON at line 1 column 1",
    );
    is_told_and_left(b"{\"auths\":{\"a\":{\"auth\":\"MARK-OF-A-SECRET\xff\"}}}", "is not JSON at line 1");
    is_told_and_left(format!("{MARK} = 1").as_bytes(), "is not JSON at line 1 column 1");
    let deep = format!("{{\"auths\":{}\"{MARK}\"{}}}", "[".repeat(100_000), "]".repeat(100_000));
    is_told_and_left(deep.as_bytes(), "is not JSON at line 1");
}

#[test]
fn what_is_json_and_no_object_is_told() {
    for text in ["[]", "\"MARK-OF-A-SECRET\"", "7", "[{\"auths\":{}}]", "true"] {
        is_told_and_left(text.as_bytes(), "is not a JSON object");
    }
}

#[test]
fn what_holds_nothing_is_left_as_it_is() {
    for text in [
        "",
        " \n",
        "null",
        "{}",
        "{} trailing MARK-OF-A-SECRET",
        r#"{"auths":null}"#,
        r#"{"auths":{}}"#,
        r#"{"auths":{"a.example":{},"b.example":null,"c.example":{"auth":""}}}"#,
        r#"{"auths":[]}"#,
        r#"{"auths":"x"}"#,
    ] {
        let world = World::new();
        let path = world.write(".docker/config.json", text);
        let before = world.files(&world.home());
        let outcome = world.coffer(&["migrate", "--yes"]).run();
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), "nothing to do\n"), "{text}: {outcome:#?}");
        assert_eq!(fs::read_to_string(path).unwrap(), text);
        assert_eq!(world.files(&world.home()), before, "{text}");
        world.coffer(&["audit"]).run().silent();
    }
}

/// Docker drops all entries for one that it cannot read; this must not.
#[test]
fn entries_of_every_wrong_type_are_left_and_the_others_moved() {
    let world = World::new();
    let wrong = [
        "7",
        "\"MARK-OF-A-SECRET\"",
        "[]",
        "true",
        "{\"auth\":7}",
        "{\"auth\":{}}",
        "{\"auth\":\"!MARK-OF-A-SECRET\"}",
        "{\"identitytoken\":[\"MARK-OF-A-SECRET\"]}",
        "{\"username\":true,\"password\":\"MARK-OF-A-SECRET\"}",
        "{\"password\":\"MARK-OF-A-SECRET\"}",
        "{\"auth\":\"dT pw\"}",
        "{\"auth\":\"Tk9DT0xPTg==\"}",
        "{\"auth\":\"OnA=\"}",
    ];
    let entries: Vec<String> = wrong.iter().enumerate().map(|(n, entry)| format!("\"w{n}.example\":{entry}")).collect();
    let path = world.write(
        ".docker/config.json",
        &format!("{{\"auths\":{{{},\"good.example\":{{\"auth\":\"dTpw\"}}}}}}", entries.join(",")),
    );
    let outcome = world.coffer(&["migrate", "--yes"]).run();
    assert!(outcome.code == Some(0) && !outcome.said().contains(MARK), "{outcome:#?}");
    world.get("good.example").answers("good.example", "u", "p");
    let after: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (number, entry) in wrong.iter().enumerate() {
        let key = format!("w{number}.example");
        assert_eq!(after["auths"][&key], serde_json::from_str::<serde_json::Value>(entry).unwrap(), "{entry}");
        assert!(outcome.stdout.contains(&format!("config.json: {key}: ")), "{entry}: {outcome:#?}");
    }
}

#[test]
fn names_in_any_case_and_names_that_stand_twice_are_read_as_docker_reads_them() {
    let world = World::new();
    let path = world.write(
        ".docker/config.json",
        r#"{"AUTHS":{"a.example":{"AUTH":"dTph"}},"auths":{"a.example":{"auth":"dTpi"},"b.example":{"Username":"u","PassWord":"p"},"b.example":{"auth":"dTpj"}},"CredsStore":""} and more"#,
    );
    world.coffer(&["migrate", "--yes"]).run().ok();
    world.get("a.example").answers("a.example", "u", "b");
    world.get("b.example").answers("b.example", "u", "c");
    let after = fs::read_to_string(path).unwrap();
    let start = "{\n\t\"AUTHS\": {\n\t\t\"a.example\": {}\n\t},\n\t\"auths\": {\n\t\t\"a.example\": {},\n\t\t\"b.example\": {}\n\t},\n\t\"CredsStore\": \"coffer\"";
    assert!(after.starts_with(start), "{after}");
}

/// Tabs, escapes, order, numbers and what nobody knows.
#[test]
fn the_text_is_as_docker_writes_it() {
    let world = World::new();
    world.script("podman", "");
    let text = |entry: &str, end: &str| {
        format!(
            "{{\n\t\"zeta\": [\n\t\t12345678901234567890123,\n\t\t1.50,\n\t\t-0,\n\t\t[],\n\t\t\"\\u0001\\t\\n\\\\\\\"\\u003ca\\u003e\\u0026\\u2028/é\"\n\t],\n\t\"auths\": {{\n\t\t\"b.example\": {entry},\n\t\t\"a.example\": {{}}\n\t}},\n\t\"detachKeys\": \"ctrl-e,e\"{end}\n}}"
        )
    };
    let path = world.write(".docker/config.json", &text("{\n\t\t\t\"auth\": \"dTpw\",\n\t\t\t\"note\": 1\n\t\t}", ""));
    world.coffer(&["migrate", "--yes"]).run().ok();
    let end = ",\n\t\"credsStore\": \"coffer\",\n\t\"credHelpers\": {\n\t\t\"b.example\": \"coffer\"\n\t}";
    assert_eq!(fs::read_to_string(path).unwrap(), text("{\n\t\t\t\"note\": 1\n\t\t}", end));
}

#[test]
fn what_is_no_regular_file_is_told_and_never_waited_for() {
    type Make = fn(&World, &Path);
    let makers: [(&str, Make); 5] = [
        ("is not a regular file", |_, path| fs::create_dir(path).unwrap()),
        ("is not a regular file", |world, path| world.call("mkfifo", &[path.to_str().unwrap()]).run().silent()),
        ("cannot open", |_, path| drop(UnixListener::bind(path).unwrap())),
        ("is not a regular file", |_, path| symlink("/dev/zero", path).unwrap()),
        ("is a loop of symbolic links", |_, path| symlink("config.json", path).unwrap()),
    ];
    for (words, make) in makers {
        let world = with_another();
        let path = world.home().join(".docker/config.json");
        fs::create_dir(path.parent().unwrap()).unwrap();
        make(&world, &path);
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        let outcome = world.coffer(&["migrate", "--yes"]).run();
        assert!(outcome.code == Some(1) && outcome.stdout.contains(words), "{words}: {outcome:#?}");
        assert!(outcome.took < Duration::from_secs(10), "{outcome:#?}");
        does_the_other(&world, &outcome);
        assert_eq!(fs::symlink_metadata(&path).unwrap().file_type(), kind, "fifo: {}", kind.is_fifo());
        // The store does not get in the way of later runs.
        assert_eq!(world.coffer(&["audit"]).run().code, Some(1));
    }
}

#[test]
fn links_stay_and_their_targets_are_rewritten() {
    let mount = World::new();
    for (target, link) in [
        (mount.path("run/docker.json"), mount.path("run/docker.json")),
        ("../dotfiles/docker.json".into(), "home/dotfiles/docker.json".into()),
    ] {
        let world = World::new();
        let real = world.path("").join(link);
        fs::create_dir_all(real.parent().unwrap()).unwrap();
        fs::write(&real, r#"{"auths":{"a.example":{"auth":"dTpw"}}}"#).unwrap();
        chmod(&real, 0o644);
        fs::create_dir(world.home().join(".docker")).unwrap();
        symlink(&target, world.home().join(".docker/config.json")).unwrap();
        world.coffer(&["migrate", "--yes"]).run().ok();
        assert_eq!(fs::read_link(world.home().join(".docker/config.json")).unwrap(), target);
        assert!(fs::read_to_string(&real).unwrap().contains("\"credsStore\": \"coffer\""));
        assert_eq!(mode(&real), 0o644);
        assert_eq!(world.files(real.parent().unwrap()), ["docker.json"]);
    }
    let world = with_another();
    fs::create_dir(world.home().join(".docker")).unwrap();
    symlink("../nowhere/docker.json", world.home().join(".docker/config.json")).unwrap();
    let outcome = world.coffer(&["migrate", "--yes"]).run();
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    does_the_other(&world, &outcome);
}

#[test]
fn a_link_to_another_file_system_is_followed_there() {
    let world = World::new();
    fs::create_dir(world.home().join(".docker")).unwrap();
    fs::create_dir(world.path("mnt")).unwrap();
    symlink(world.path("mnt/docker.json"), world.home().join(".docker/config.json")).unwrap();
    let script = format!(
        "set -e; mount -t tmpfs tmpfs {0}; echo '{{\"auths\":{{\"a.example\":{{\"auth\":\"dTpw\"}}}}}}' >{0}/docker.json
         docker-credential-coffer migrate --yes >&2; ls -A {0}; cat {0}/docker.json",
        world.path("mnt").display()
    );
    let said = world.call("unshare", &["-m", "sh", "-c", &script]).run().ok();
    assert!(said.starts_with("docker.json\n{\n\t\"auths\": {\n\t\t\"a.example\": {}"), "{said}");
}

#[test]
fn another_hard_link_is_told_and_keeps_its_bytes() {
    let world = World::new();
    let text = r#"{"auths":{"a.example":{"auth":"dTpw"}}}"#;
    let path = world.write(".docker/config.json", text);
    fs::hard_link(&path, world.home().join("copy.json")).unwrap();
    let said = world.coffer(&["migrate", "--yes"]).run().ok();
    let inode = fs::metadata(world.home().join("copy.json")).unwrap().ino();
    let told = "~/.docker/config.json has another hard link, which still holds what was there: find ";
    let shown = world.shown(&said);
    let search = shown.split(&format!("\n{told}")).nth(1).and_then(|rest| rest.lines().next()).expect(&said);
    assert!(search.ends_with(&format!(" -xdev -inum {inode}")), "{said}");
    let found = world.call("sh", &["-c", &format!("find {search}")]).run();
    assert!(found.stdout.contains("/home/copy.json\n"), "{found:#?}");
    assert_eq!(fs::read_to_string(world.home().join("copy.json")).unwrap(), text);
    assert!(fs::read_to_string(&path).unwrap().contains("\"a.example\": {}"));
}
