//! `doctor`: each thing that goes wrong in practice is found, named with its cure, and found nowhere else.

use std::fs;

use serde_json::{Value, json};

use crate::support::keys::{keygen, token};
use crate::support::{Bus, World, chmod};

/// A machine on which everything is as it should be.
fn healthy() -> World {
    let mut world = World::new();
    // Without podman's kin, which is another matter.
    let tools = world.path("tools");
    fs::create_dir(&tools).unwrap();
    let program = env!("CARGO_BIN_EXE_docker-credential-coffer");
    std::os::unix::fs::symlink(program, tools.join("docker-credential-coffer")).unwrap();
    world.set("PATH", &format!("{}:{}", world.path("bin").display(), tools.display()));
    world.coffer(&["setup", "--yes"]).run().ok();
    world
}

/// What doctor found broken: name, detail and cure.
fn broken(world: &World) -> Vec<(String, String, String)> {
    let outcome = world.coffer(&["doctor", "--json"]).run();
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:#?}"));
    let checks = report["checks"].as_array().unwrap();
    let mut found = Vec::new();
    for check in checks {
        let mut fields: Vec<_> = check.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["cure", "detail", "name", "ok"]);
        if check["ok"] == json!(false) {
            let text = |field: &str| world.shown(check[field].as_str().unwrap_or_else(|| panic!("{check}")));
            found.push((text("name"), text("detail"), text("cure")));
        }
    }
    assert_eq!((report["ok"] == json!(true), outcome.code), (found.is_empty(), Some(i32::from(!found.is_empty()))));
    found
}

/// That one thing alone is broken, how it is told, and what to do about it.
#[track_caller]
fn is_broken(world: &World, name: &str, detail: &str, cure: &str) {
    let found = broken(world);
    let expected = vec![(name.to_owned(), detail.to_owned(), cure.to_owned())];
    assert_eq!(found, expected);
}

const SETUP: &str = "docker-credential-coffer setup";

#[test]
fn a_machine_that_was_set_up_is_well() {
    let world = healthy();
    assert_eq!(broken(&world), []);
    let said = world.coffer(&["doctor"]).run();
    // This machine may have the package.
    let is_installed = ["/usr/local/bin", "/usr/bin"]
        .iter()
        .any(|directory| fs::exists(format!("{directory}/docker-credential-coffer")).unwrap());
    let program = env!("CARGO_BIN_EXE_docker-credential-coffer");
    let services = if is_installed {
        "services and programs that a desktop starts find it, too".to_owned()
    } else {
        format!(
            "services, sudo and programs that a desktop starts may look only in /usr/local/bin and /usr/bin\n     \
             if one of these should: sudo install -t /usr/local/bin {program}"
        )
    };
    assert_eq!(
        world.shown(&said.ok()).replace(&format!("ok   services: {services}\n"), ""),
        "ok   configuration: there is no ~/.config/coffer/config.toml, so defaults hold\n\
         ok   program: /world/tools/docker-credential-coffer is on the PATH\n\
         ok   clock: not behind what it wrote itself; only AWS can tell more\n\
         ok   docker: ~/.docker/config.json says credsStore: coffer\n\
         ok   plaintext: no registry secret lies in plaintext where clients look\n\
         ok   key: it is in ~/.local/share/coffer/identities, a plain file; with the disk alone, an attacker opens everything, \
         since the key lies there too, unless the disk itself is encrypted\n     \
         docker-credential-coffer key protect --passphrase, or --keyring, holds it better\n\
         ok   store: ~/.local/share/coffer holds 0 logins\n\
         ok   aws: profile default, where no rule names another, can be read\n"
    );
    world.write(".docker/config.json", "{}");
    let failed = world.coffer(&["doctor"]).run();
    assert_eq!(failed.stderr, "1 of 9 checks failed\nhint: the cure stands below each\n");
    let told = "FAIL docker: ~/.docker/config.json names no credsStore, so docker login keeps plaintext\n     \
                docker-credential-coffer setup\n";
    assert!(world.shown(&failed.stdout).contains(told), "{failed:#?}");
}

#[test]
fn a_configuration_with_a_mistake() {
    let world = healthy();
    world.config("stoer = 1\n");
    is_broken(
        &world,
        "configuration",
        "~/.config/coffer/config.toml:1: unknown field `stoer`, expected one of `store`, `age`, `ecr`, `registry`",
        "mend that line; docs/configuration.md lists every key",
    );
}

#[test]
fn a_program_that_clients_do_not_find_or_that_is_another() {
    let mut world = healthy();
    world.script("docker-credential-coffer", "echo 'docker-credential-coffer (docker-credential-coffer) 0.0.1'");
    let find = |said: &str| format!("clients find /world/bin/docker-credential-coffer, which {said}");
    let this = env!("CARGO_BIN_EXE_docker-credential-coffer");
    let replace = format!("remove it, or replace it with this one: install {this} /world/bin/docker-credential-coffer");
    let older = "says it is docker-credential-coffer (docker-credential-coffer) 0.0.1";
    is_broken(&world, "program", &find(older), &replace);
    world.script("docker-credential-coffer", "exit 1");
    is_broken(&world, "program", &find("does not run, or does not answer"), &replace);
    for (endless, said) in [
        ("/usr/bin/sleep 60", "does not run, or does not answer"),
        ("exec /usr/bin/sleep 60", "does not run, or does not answer"),
        ("exec /usr/bin/yes", "says it is y"),
    ] {
        world.script("docker-credential-coffer", endless);
        is_broken(&world, "program", &find(said), &replace);
        assert!(world.coffer(&["doctor"]).run().took.as_secs() < 14);
    }
    let copy = world.path("bin/docker-credential-coffer");
    fs::copy(this, &copy).unwrap();
    let told = "ok   program: /world/bin/docker-credential-coffer is on the PATH, another copy of this one\n";
    let said = world.shown(&world.coffer(&["doctor"]).run().ok());
    assert!(said.contains(told), "{said}");
    world.set("PATH", "/nowhere");
    let found = broken(&world);
    let expected = (
        "program".to_owned(),
        "docker-credential-coffer is not on the PATH, so no client finds it".to_owned(),
        "docker-credential-coffer setup puts it into ~/.local/bin; add that to the PATH of your session and of services"
            .to_owned(),
    );
    assert_eq!(found[0], expected);
}

/// Something listens where the bus would be, and says nothing; nobody else sets a limit to that.
#[test]
fn a_bus_that_says_nothing_is_told() {
    let world = healthy();
    let _silent = std::os::unix::net::UnixListener::bind(world.path("run/bus")).unwrap();
    world.config("store = \"keyring\"\n");
    let said = world.coffer(&["doctor"]).run();
    let told = "FAIL store: the OS keyring cannot be reached: it does not answer\n";
    assert!(said.stdout.contains(told) && said.took.as_secs() < 14, "{said:#?}");
}

/// As under WSL, where the PATH goes on into Windows.
#[test]
fn a_docker_that_is_windows_own() {
    let world = healthy();
    world.script("docker", "exit 0");
    assert_eq!(broken(&world), []);
    world.script("docker.exe", "exit 0");
    fs::remove_file(world.path("bin/docker")).unwrap();
    std::os::unix::fs::symlink("docker.exe", world.path("bin/docker")).unwrap();
    is_broken(
        &world,
        "wsl",
        "/world/bin/docker.exe is of Windows, and knows nothing of this distribution's files and helpers",
        "have Docker Desktop integrate this distribution (Settings, Resources, WSL integration), or install the docker CLI in it",
    );
}

#[test]
fn docker_that_asks_somebody_else() {
    let world = healthy();
    for (config, words, cure) in [
        (
            r#"{"credsStore":"desktop"}"#,
            "says credsStore: desktop; Docker Desktop puts that back whenever it starts",
            "docker-credential-coffer setup after Docker Desktop has started; or name registries in credHelpers, which it \
             leaves alone",
        ),
        (r#"{"credsStore":"pass"}"#, "says credsStore: pass, so Docker does not ask Coffer", SETUP),
        ("{}", "names no credsStore, so docker login keeps plaintext", SETUP),
    ] {
        world.write(".docker/config.json", config);
        is_broken(&world, "docker", &format!("~/.docker/config.json {words}"), cure);
    }
    world.write(".docker/config.json", "{");
    let (name, detail, cure) = &broken(&world)[0];
    let said = (name.as_str(), detail.as_str(), cure.as_str());
    assert_eq!(
        said,
        ("docker", "~/.docker/config.json is not JSON at line 1 column 1", "mend it there; nothing was changed")
    );
}

#[test]
fn helpers_of_single_registries() {
    let world = healthy();
    world.write(".docker/config.json", r#"{"credsStore":"coffer","credHelpers":{"gcr.io":"gcloud"}}"#);
    is_broken(
        &world,
        "credHelpers",
        "~/.docker/config.json sends gcr.io to docker-credential-gcloud, which is not on the PATH",
        "install it, or take that entry out",
    );
    world.script("docker-credential-gcloud", "exit 1");
    assert_eq!(broken(&world), []);
    world.write(".docker/config.json", r#"{"credsStore":"coffer","credHelpers":{"gcr.io":""}}"#);
    is_broken(
        &world,
        "credHelpers",
        "~/.docker/config.json turns helpers off for gcr.io, so its login stays in plaintext",
        "docker-credential-coffer migrate says why, and what to do",
    );
}

#[test]
fn a_rule_for_a_helper_that_is_not_there() {
    let world = healthy();
    world.config("[[registry]]\nmatch = \"gcr.io\"\nhelper = \"gcloud\"\n");
    is_broken(
        &world,
        "rules",
        "rule 1 sends what it matches to docker-credential-gcloud, which is not on the PATH",
        "install it, or take that rule out",
    );
    assert!(
        world.coffer(&["explain", "gcr.io"]).run().ok().contains("docker-credential-gcloud is to answer, and is not")
    );
    world.script("docker-credential-gcloud", "exit 1");
    assert_eq!(broken(&world), []);
}

#[test]
fn plaintext_and_what_overrides_the_store() {
    let mut world = healthy();
    world.write(".config/containers/auth.json", r#"{"auths":{"quay.io":{"auth":"YTpi"}}}"#);
    let audit = "docker-credential-coffer audit names each, and what can be done about it";
    is_broken(&world, "plaintext", "1 secret: ~/.config/containers/auth.json", audit);
    fs::remove_file(world.home().join(".config/containers/auth.json")).unwrap();
    world.write(".docker/.coffer-x1y2z3x1y2z3x1y2", r#"{"auths":{}}"#);
    is_broken(
        &world,
        "leftovers",
        "a migration that was killed left ~/.docker/.coffer-x1y2z3x1y2z3x1y2",
        "docker-credential-coffer migrate finishes it",
    );
    fs::remove_file(world.home().join(".docker/.coffer-x1y2z3x1y2z3x1y2")).unwrap();
    world.set("DOCKER_AUTH_CONFIG", r#"{"auths":{"quay.io":{"auth":"YTpi"}}}"#);
    let found = broken(&world);
    let found: Vec<_> =
        found.iter().map(|(name, detail, cure)| (name.as_str(), detail.as_str(), cure.as_str())).collect();
    let environment = "DOCKER_AUTH_CONFIG is set: Docker takes what stands there before it asks any helper";
    assert_eq!(
        found,
        [
            ("plaintext", "1 secret: DOCKER_AUTH_CONFIG", audit),
            ("environment", environment, "unset DOCKER_AUTH_CONFIG where it is set"),
        ]
    );
}

#[test]
fn a_store_that_others_can_read_and_one_with_a_stray_file() {
    let world = healthy();
    world.store_login("ghcr.io", "alice", "x").silent();
    fs::create_dir(world.store().join("store/not%zz")).unwrap();
    fs::write(world.store().join("store/not%zz/a.age"), "x").unwrap();
    is_broken(
        &world,
        "store",
        "1 file of ~/.local/share/coffer cannot be named: ~/.local/share/coffer/store/not%zz/a.age is not a whole age file",
        "restore ~/.local/share/coffer/store/not%zz/a.age from a backup, or move it away; a login that it held is made again \
         with docker login",
    );
    fs::remove_dir_all(world.store().join("store/not%zz")).unwrap();
    chmod(&world.store().join("identities"), 0o644);
    let found = broken(&world);
    let key = ("key", "~/.local/share/coffer/identities can be read by others");
    let cure = "chmod go-rwx ~/.local/share/coffer/identities";
    assert!(found.iter().any(|(name, detail, told)| (&**name, &**detail) == key && told == cure), "{found:?}");
}

#[test]
fn podman_is_told_what_it_does_not_ask_for() {
    let world = healthy();
    world.script("podman", "exit 0");
    world.store_login("quay.io", "alice", "x").silent();
    let said = world.coffer(&["doctor"]).run().ok();
    let told = "ok   containers: podman does not ask Coffer for quay.io (podman logout --all takes such entries out)\n     \
                if it should, write into its auth.json: {\"credHelpers\": {\"quay.io\": \"coffer\"}}\n";
    assert!(said.contains(told), "{said}");
    world.write(".config/containers/auth.json", r#"{"credHelpers":{"quay.io":"coffer"}}"#);
    let said = world.coffer(&["doctor"]).run().ok();
    assert!(said.contains("ok   containers: podman asks Coffer for every registry that the store holds\n"), "{said}");
    (0..9).for_each(|number| world.store_login(&format!("r{number}.example.com"), "alice", "x").silent());
    let said = world.coffer(&["doctor"]).run().ok();
    assert!(said.contains("r4.example.com and 4 more (") && !said.contains("r5."), "{said}");
}

#[test]
fn aws_profiles_and_sso_sessions() {
    let world = healthy();
    world.config("[[registry]]\nmatch = \"*.dkr.ecr.*\"\nprofile = \"prod\"\n");
    is_broken(
        &world,
        "aws",
        "rule 1: there is no AWS profile prod",
        "see those that there are: aws configure list-profiles",
    );
    world.write(
        ".aws/config",
        "[profile prod]\nsso_session = work\nsso_account_id = 1\nsso_role_name = r\n[sso-session work]\nsso_region = eu-west-1\nsso_start_url = https://x.awsapps.com/start\n",
    );
    let log_in = "aws sso login --profile prod";
    is_broken(&world, "aws", "rule 1: nobody has logged in to the SSO session of profile prod", log_in);
    let session = |expires: &str, rest: &str| {
        let text =
            format!(r#"{{"startUrl":"https://x.awsapps.com/start","expiresAt":"{expires}","accessToken":"t"{rest}}}"#);
        world.write(".aws/sso/cache/abc.json", &text);
    };
    session("2020-01-02T03:04:05Z", "");
    is_broken(&world, "aws", "rule 1: the SSO session of profile prod ended at 2020-01-02T03:04:05Z", log_in);
    session("2020-01-02T03:04:05Z", r#","refreshToken":"r""#);
    assert_eq!(broken(&world), []);
    // With a client whose registration is over, the SDK does not renew it.
    session("2020-01-02T03:04:05Z", r#","refreshToken":"r","registrationExpiresAt":"2020-03-02T03:04:05Z""#);
    is_broken(&world, "aws", "rule 1: the SSO session of profile prod ended at 2020-01-02T03:04:05Z", log_in);
    session("2020-01-02T03:04:05Z", r#","refreshToken":"r","registrationExpiresAt":"2120-03-02T03:04:05Z""#);
    assert_eq!(broken(&world), []);
    session("2120-01-02T03:04:05UTC", "");
    assert_eq!(broken(&world), []);
    world.write(".aws/config", "[profile prod]\nsso_session = gone\nsso_account_id = 1\nsso_role_name = r\n");
    is_broken(
        &world,
        "aws",
        "rule 1: profile prod needs the sso-session gone, which the AWS config file does not hold",
        "write it anew: aws configure sso --profile prod",
    );
    world.write(".aws/config", "[profile prod\n");
    assert!(broken(&world).iter().all(|(name, ..)| name == "aws"));
    // Nobody waits for somebody to write into it.
    fs::remove_file(world.home().join(".aws/config")).unwrap();
    world.call("/usr/bin/mkfifo", &[".aws/config"]).run().ok();
    let of_rule =
        ("aws".into(), "rule 1: ~/.aws/config is a FIFO, not a file".into(), "put a file in its place".into());
    let of_default = ("aws".into(), "~/.aws/config is a FIFO, not a file".into(), "put a file in its place".into());
    assert_eq!(broken(&world), [of_rule, of_default]);
}

#[test]
fn a_clock_that_is_behind_what_was_written() {
    let world = healthy();
    world.store_login("ghcr.io", "alice", "x").silent();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(3630);
    fs::File::open(world.store().join("store/ghcr.io")).unwrap().set_modified(later).unwrap();
    is_broken(
        &world,
        "clock",
        "the store was written 60 minutes from now",
        "set the clock (timedatectl set-ntp true); AWS refuses requests that are minutes off",
    );
}

#[test]
fn a_keyring_that_is_locked_or_gone() {
    let mut world = World::new();
    let mut bus = Bus::with_keyring(&mut world);
    world.coffer(&["setup", "--yes", "--key", "keyring"]).run().ok();
    assert_eq!(broken(&world), []);
    world.store_login("ghcr.io", "alice", "x").silent();
    let unlock = "unlock the keyring (log in to the desktop, or gnome-keyring-daemon --unlock) and try again";
    bus.lock(&world);
    is_broken(&world, "key", "the OS keyring is locked, or does not answer", unlock);
    bus.stop_keyring();
    is_broken(&world, "key", "the OS keyring is locked, or does not answer", unlock);
}

#[test]
fn a_key_that_does_not_open_the_store() {
    let world = healthy();
    let key = |detail: &str, cure: &str| is_broken(&world, "key", detail, cure);
    let (identities, marker) = (world.store().join("identities"), world.store().join("rekeying"));
    fs::write(&marker, "").unwrap();
    key(
        "a change of the key or of the recipients was interrupted",
        "call it again: docker-credential-coffer key rotate, or recipients add",
    );
    fs::remove_file(marker).unwrap();
    // Whose PATH has everything on it.
    let elsewhere = World::new();
    let (other, _) = keygen(&elsewhere, "other.txt");
    fs::rename(other, &identities).unwrap();
    let recipients = "~/.local/share/coffer/store/.age-recipients";
    key(
        &format!("the key is not among the recipients in {recipients}"),
        &format!("bring back the key that the store was made with, or add this one's recipient to {recipients}"),
    );
    fs::rename(token(&elsewhere, "mine"), &identities).unwrap();
    chmod(&identities, 0o600);
    let mine = fs::read_to_string(&identities).unwrap();
    let recipient = mine.lines().nth(1).unwrap().rsplit(' ').next().unwrap();
    fs::write(world.store().join("store/.age-recipients"), format!("{recipient}\n")).unwrap();
    key(
        "it is held by age-plugin-token, which is not on the PATH",
        "install age-plugin-token where the PATH of clients finds it",
    );
    fs::remove_file(&identities).unwrap();
    key(
        "there is no identities file, and the OS keyring is locked, or does not answer",
        "bring back the identities file, unlock the OS keyring, or set COFFER_IDENTITY_FILE",
    );
    world.config("[age]\nkey = \"file\"\n");
    key(
        "no key for the store in ~/.local/share/coffer: there is no identities file",
        "bring back the identities file, unlock the OS keyring, or set COFFER_IDENTITY_FILE",
    );
}

#[test]
fn what_is_well_with_other_stores_and_keys() {
    let mut world = World::new();
    let told = |world: &World, line: &str| {
        let said = world.shown(&world.coffer(&["doctor"]).run().stdout);
        assert!(said.contains(&format!("{line}\n")), "{line} is not in {said}");
    };
    told(&world, "ok   key: there is none yet; the first docker login makes it");
    let mut bus = Bus::with_keyring(&mut world);
    world.store_login("ghcr.io", "alice", "x").silent();
    told(
        &world,
        "ok   key: it is in the OS keyring; with the disk alone, an attacker sees names of registries and users, and must \
         break the password of the OS keyring",
    );
    told(&world, "ok   store: ~/.local/share/coffer holds 1 login");
    world.coffer(&["unlock"]).run().ok();
    bus.stop_keyring();
    let said = world.coffer(&["doctor"]).run().stdout;
    let key = said.lines().find_map(|line| line.strip_prefix("ok   key: unlocked until ")).unwrap();
    assert!(key.ends_with("Z; the OS keyring is out of reach"), "{said}");
    world.coffer(&["lock"]).run().ok();
    bus.start_keyring(&world);
    world.config("store = \"keyring\"\n");
    world.store_login("quay.io", "alice", "x").silent();
    told(&world, "ok   configuration: ~/.config/coffer/config.toml is valid");
    told(&world, "ok   key: the OS keyring is unlocked");
    told(&world, "ok   store: the OS keyring holds 1 login");
}
