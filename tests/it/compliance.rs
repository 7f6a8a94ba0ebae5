//! One suite, four programs: what Docker's protocol promises, asked of Docker's own helpers and of Coffer.
//!
//! Coffer keeps every promise, with either store. For each of Docker's helpers stands the exact list of those that
//! it breaks, and why: a test fails when a peer breaks another one or mends one.
//! `h#` is an issue of docker/docker-credential-helpers.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{Bus, Outcome, Pass, World, login};

/// What a case has found out: nothing to complain of, or what was said instead.
type Verdict = Result<(), String>;

const HUB: &str = "https://index.docker.io/v1/";

/// One helper in an empty world.
struct Helper {
    // Ended before the world is.
    _pass: Option<Pass>,
    world: World,
    program: &'static str,
    /// Leaves something in the store that is not the helper's own.
    litter: fn(&World),
    _bus: Option<Bus>,
}

fn coffer_with_age() -> Helper {
    let litter = |world: &World| fs::create_dir_all(world.store().join("store/empty.example")).unwrap();
    Helper { _pass: None, _bus: None, world: World::new(), program: "docker-credential-coffer", litter }
}

fn coffer_with_keyring() -> Helper {
    let mut world = World::new();
    world.config("store = \"keyring\"");
    let bus = Bus::with_keyring(&mut world);
    Helper { _pass: None, _bus: Some(bus), world, program: "docker-credential-coffer", litter: keep_something_else }
}

fn secretservice() -> Helper {
    let mut world = World::new();
    let bus = Bus::with_keyring(&mut world);
    let program = "docker-credential-secretservice";
    Helper { _pass: None, _bus: Some(bus), world, program, litter: keep_something_else }
}

/// Puts an item of some other program into the keyring.
fn keep_something_else(world: &World) {
    let item = ["store", "--label=ghcr.io", "server", "ghcr.io", "user", "mallory"];
    world.call("secret-tool", &item).input("not a registry's").run().ok();
}

fn pass() -> Helper {
    let mut world = World::new();
    let pass = Pass::start(&mut world);
    let litter = |world: &World| {
        let stray = world.home().join(".password-store/docker-credential-helpers/ZW1wdHkuZXhhbXBsZQ==");
        fs::create_dir_all(stray).unwrap();
    };
    Helper { _pass: Some(pass), _bus: None, world, program: "docker-credential-pass", litter }
}

impl Helper {
    fn call(&self, action: &str, input: impl AsRef<[u8]>) -> Outcome {
        self.world.call(self.program, &[action]).input(input).run()
    }

    /// A request that succeeds and says nothing.
    fn takes(&self, action: &str, input: impl AsRef<[u8]>) -> Verdict {
        let outcome = self.call(action, input);
        check((outcome.code, outcome.stdout.as_str()) == (Some(0), ""), &outcome)
    }

    fn stores(&self, server: &str, username: &str, secret: &str) -> Verdict {
        self.takes("store", login(server, username, secret))
    }

    fn erases(&self, server: &str) -> Verdict {
        self.takes("erase", server)
    }

    fn answers(&self, server: &str, username: &str, secret: &str) -> Verdict {
        let outcome = self.call("get", server);
        let expected = json!({ "ServerURL": server, "Username": username, "Secret": secret });
        check(outcome.code == Some(0) && outcome.stdout.parse().ok() == Some(expected), &outcome)
    }

    fn lists(&self, expected: Value) -> Verdict {
        // What docker writes, and nobody reads.
        let outcome = self.call("list", "unused");
        check(outcome.code == Some(0) && outcome.stdout.parse().ok() == Some(expected), &outcome)
    }

    /// A request that fails with one of the sentences that clients compare.
    fn refuses(&self, action: &str, input: impl AsRef<[u8]>, sentence: &str) -> Verdict {
        let outcome = self.call(action, input);
        check((outcome.code, outcome.stdout.trim()) == (Some(1), sentence), &outcome)
    }

    fn misses(&self, server: &str) -> Verdict {
        self.refuses("get", server, "credentials not found in native keychain")
    }

    /// That no secret is given out for a server, in whatever words: those of a miss have a case of their own.
    fn gives_nothing(&self, server: &str) -> Verdict {
        let outcome = self.call("get", server);
        let reply: Value = outcome.stdout.parse().unwrap_or_default();
        check(outcome.code == Some(1) || reply["Secret"] == "", &outcome)
    }

    /// That a secret comes back to the byte.
    fn keeps(&self, secret: &str) -> Verdict {
        self.stores("ghcr.io", "alice", secret)?;
        self.answers("ghcr.io", "alice", secret)
    }

    /// That a username comes back, from `get` and from `list`.
    fn knows(&self, username: &str) -> Verdict {
        self.stores("ghcr.io", username, "hunter2")?;
        self.answers("ghcr.io", username, "hunter2")?;
        self.lists(json!({ "ghcr.io": username }))
    }
}

fn wait_for_another_second() {
    let second = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = second();
    while second() == before {
        thread::sleep(Duration::from_millis(5));
    }
}

fn check(kept: bool, outcome: &Outcome) -> Verdict {
    if kept { Ok(()) } else { Err(format!("{outcome:#?}")) }
}

fn a_login_comes_back(helper: &Helper) -> Verdict {
    helper.stores("ghcr.io", "alice", "hunter2")?;
    helper.answers("ghcr.io", "alice", "hunter2")?;
    helper.stores(HUB, "bob", "password")?;
    helper.answers(HUB, "bob", "password")?;
    helper.stores("localhost:5000", "carol", "secret")?;
    helper.answers("localhost:5000", "carol", "secret")
}

fn a_request_may_end_in_a_newline(helper: &Helper) -> Verdict {
    helper.stores("ghcr.io", "alice", "hunter2")?;
    let outcome = helper.call("get", " ghcr.io\r\n");
    let expected = json!({ "ServerURL": "ghcr.io", "Username": "alice", "Secret": "hunter2" });
    check(outcome.stdout.parse().ok() == Some(expected), &outcome)?;
    helper.erases("ghcr.io\n")?;
    helper.gives_nothing("ghcr.io")
}

fn a_new_password_replaces_the_old_one(helper: &Helper) -> Verdict {
    helper.stores("ghcr.io", "alice", "hunter2")?;
    helper.stores("ghcr.io", "alice", "hunter3")?;
    helper.answers("ghcr.io", "alice", "hunter3")
}

fn a_new_user_replaces_the_old_one(helper: &Helper) -> Verdict {
    helper.stores("ghcr.io", "alice", "hunter2")?;
    // Where both are kept, which of them answers may hang on their age, told by the second.
    wait_for_another_second();
    helper.stores("ghcr.io", "bob", "password")?;
    helper.answers("ghcr.io", "bob", "password")?;
    helper.lists(json!({ "ghcr.io": "bob" }))
}

fn what_was_erased_is_gone(helper: &Helper) -> Verdict {
    helper.stores("ghcr.io", "alice", "hunter2")?;
    helper.stores("ghcr.io", "bob", "password")?;
    helper.stores("quay.io", "carol", "secret")?;
    helper.erases("ghcr.io")?;
    helper.gives_nothing("ghcr.io")?;
    helper.lists(json!({ "quay.io": "carol" }))?;
    helper.answers("quay.io", "carol", "secret")
}

fn a_get_of_nothing_is_a_miss(helper: &Helper) -> Verdict {
    helper.misses("ghcr.io")?;
    helper.stores("quay.io", "alice", "hunter2")?;
    helper.misses("ghcr.io")
}

fn an_erase_of_nothing_succeeds(helper: &Helper) -> Verdict {
    helper.erases("ghcr.io")?;
    helper.stores("ghcr.io", "alice", "hunter2")?;
    helper.erases("ghcr.io")?;
    helper.erases("ghcr.io")
}

fn an_empty_list_is_an_empty_object(helper: &Helper) -> Verdict {
    let outcome = helper.call("list", "");
    check((outcome.code, outcome.stdout.trim()) == (Some(0), "{}"), &outcome)
}

fn a_list_names_servers_and_users(helper: &Helper) -> Verdict {
    helper.stores("ghcr.io", "alice", "hunter2")?;
    helper.stores(HUB, "bob", "password")?;
    helper.lists(json!({ "ghcr.io": "alice", HUB: "bob" }))
}

fn a_list_passes_over_what_others_left(helper: &Helper) -> Verdict {
    helper.stores("quay.io", "alice", "hunter2")?;
    (helper.litter)(&helper.world);
    helper.lists(json!({ "quay.io": "alice" }))?;
    helper.gives_nothing("ghcr.io")
}

fn servers_do_not_mix(helper: &Helper) -> Verdict {
    let servers = ["ghcr.io", "ghcr.io.example", "localhost:5000", "localhost:5001", "localhost", "127.0.0.1:5000"];
    for server in servers {
        helper.stores(server, "alice", server)?;
    }
    for server in servers {
        helper.answers(server, "alice", server)?;
    }
    helper.erases("localhost:5000")?;
    helper.gives_nothing("localhost:5000")?;
    helper.answers("localhost:5001", "alice", "localhost:5001")?;
    helper.answers("localhost", "alice", "localhost")
}

/// What `docker login` stores after a login in the browser.
fn the_hubs_three_entries_do_not_mix(helper: &Helper) -> Verdict {
    let entries = [HUB, "https://index.docker.io/v1/access-token", "https://index.docker.io/v1/refresh-token"];
    for entry in entries {
        helper.stores(entry, "alice", entry)?;
    }
    for entry in entries {
        helper.answers(entry, "alice", entry)?;
    }
    helper.erases(entries[1])?;
    helper.gives_nothing(entries[1])?;
    helper.answers(HUB, "alice", HUB)
}

/// A login under one is asked for under the other (docker/cli#3665); osxkeychain supplies what is missing (h#72).
fn a_host_and_its_url_are_one_server(helper: &Helper) -> Verdict {
    helper.stores("https://ghcr.io", "alice", "hunter2")?;
    helper.answers("ghcr.io", "alice", "hunter2")?;
    helper.stores("quay.io", "bob", "password")?;
    helper.answers("https://quay.io", "bob", "password")
}

fn a_secret_may_hold_quotes(helper: &Helper) -> Verdict {
    helper.keeps(r#"quote" quote' back\slash $HOME `id` %s"#)
}

fn a_secret_may_hold_letters_of_every_script(helper: &Helper) -> Verdict {
    helper.keeps("\u{e4}\u{df}\u{4e2d}\u{6587}\u{1f511}\u{2028}<&>")
}

fn a_secret_may_hold_newlines(helper: &Helper) -> Verdict {
    helper.keeps("\none\ntwo\r\n\n\tthree")
}

fn a_secret_may_end_in_newlines(helper: &Helper) -> Verdict {
    helper.keeps("one\n\n")
}

fn a_secret_may_begin_and_end_in_spaces(helper: &Helper) -> Verdict {
    helper.keeps("  hunter2 \t ")
}

fn a_secret_may_hold_a_nul(helper: &Helper) -> Verdict {
    helper.keeps("before\0after")
}

fn a_secret_may_be_empty(helper: &Helper) -> Verdict {
    helper.keeps("")
}

fn a_secret_may_be_as_long_as_a_token(helper: &Helper) -> Verdict {
    helper.keeps(&"0123456789abcdef".repeat(256))
}

fn a_secret_may_be_longer_than_64_kib(helper: &Helper) -> Verdict {
    helper.keeps(&"0123456789abcdef".repeat(5000))
}

/// What Google's registries take as the password of `_json_key`, as `docker login --password-stdin` reads it: less
/// the newline at the end.
fn a_secret_may_be_a_google_key_file(helper: &Helper) -> Verdict {
    let key = json!({
        "type": "service_account",
        "private_key": format!("-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n", "MIIE\n".repeat(26)),
        "client_email": "robot@example.iam.gserviceaccount.com",
    });
    let secret = format!("{key:#}");
    helper.stores("gcr.io", "_json_key", &secret)?;
    helper.answers("gcr.io", "_json_key", &secret)
}

fn a_username_may_say_that_the_secret_is_a_token(helper: &Helper) -> Verdict {
    helper.knows("<token>")
}

fn a_username_may_be_an_address(helper: &Helper) -> Verdict {
    helper.knows("Alice O'Hara+ci@example.com")
}

/// As Harbor's robots have it.
fn a_username_may_hold_a_dollar_sign(helper: &Helper) -> Verdict {
    helper.knows("robot$team+ci")
}

/// As Oracle's registry has it: tenancy/user.
fn a_username_may_hold_slashes(helper: &Helper) -> Verdict {
    helper.knows("tenancy/service/alice")
}

fn a_username_may_be_longer_than_a_file_name(helper: &Helper) -> Verdict {
    helper.knows(&"alice".repeat(80))
}

fn field_names_count_in_any_case(helper: &Helper) -> Verdict {
    helper.takes("store", r#"{"serverurl":"ghcr.io","USERNAME":"alice","secret":"hunter2"}"#)?;
    helper.answers("ghcr.io", "alice", "hunter2")
}

fn unknown_fields_are_passed_over(helper: &Helper) -> Verdict {
    let request = r#"{"Email":null,"ServerURL":"ghcr.io","X":[{}],"Username":"alice","Secret":"hunter2"}"#;
    helper.takes("store", request)?;
    helper.answers("ghcr.io", "alice", "hunter2")
}

/// Go's encoder escapes what HTML would trip over.
fn escapes_are_read_as_what_they_stand_for(helper: &Helper) -> Verdict {
    let request = r#"{"ServerURL":"ghcr.io","Username":"\u003ctoken\u003e","Secret":"a\u0026b\u2028\ud83d\udd11"}"#;
    helper.takes("store", format!("{request}\n"))?;
    helper.answers("ghcr.io", "<token>", "a&b\u{2028}\u{1f511}")
}

fn a_store_may_be_pretty_printed(helper: &Helper) -> Verdict {
    let request = json!({ "ServerURL": "ghcr.io", "Username": "alice", "Secret": "hunter 2" });
    helper.takes("store", format!("\n{request:#}\n\n"))?;
    helper.answers("ghcr.io", "alice", "hunter 2")
}

fn what_follows_a_store_is_passed_over(helper: &Helper) -> Verdict {
    helper.takes("store", login("ghcr.io", "alice", "hunter2") + "} and more\n")?;
    helper.answers("ghcr.io", "alice", "hunter2")
}

fn a_request_without_a_server_says_so(helper: &Helper) -> Verdict {
    for request in ["", "\n", " \t\r\n"] {
        helper.refuses("get", request, "no credentials server URL")?;
        helper.refuses("erase", request, "no credentials server URL")?;
    }
    helper.refuses("store", r#"{"Username":"alice","Secret":"hunter2"}"#, "no credentials server URL")?;
    helper.refuses("store", login("", "", ""), "no credentials server URL")
}

fn a_store_without_a_username_says_so(helper: &Helper) -> Verdict {
    helper.refuses("store", r#"{"ServerURL":"ghcr.io","Secret":"hunter2"}"#, "no credentials username")?;
    helper.refuses("store", login("ghcr.io", "", "hunter2"), "no credentials username")?;
    helper.gives_nothing("ghcr.io")
}

fn a_store_that_is_no_json_stores_nothing(helper: &Helper) -> Verdict {
    for request in ["", "{", "hunter2", r#"["ghcr.io","alice","hunter2"]"#, r#"{"ServerURL":"ghcr.io""#] {
        let outcome = helper.call("store", request);
        check(outcome.code == Some(1) && !outcome.stdout.trim().is_empty(), &outcome)?;
    }
    helper.lists(json!({}))
}

fn wrong_arguments_fail_with_a_text(helper: &Helper) -> Verdict {
    for arguments in [&[][..], &["bogus"], &[""], &["GET"], &["get", "ghcr.io"], &["list", "list"]] {
        let outcome = helper.world.call(helper.program, arguments).run();
        check(outcome.code == Some(1) && !outcome.stdout.trim().is_empty(), &outcome)?;
    }
    Ok(())
}

fn a_version_names_the_program(helper: &Helper) -> Verdict {
    for argument in ["version", "--version", "-v"] {
        let outcome = helper.call(argument, "");
        let name = format!("{} (", helper.program);
        check(outcome.code == Some(0) && outcome.stdout.starts_with(&name), &outcome)?;
    }
    Ok(())
}

/// A case and its name.
type Case = (&'static str, fn(&Helper) -> Verdict);

macro_rules! cases {
    ($($case:ident),* $(,)?) => { &[$((stringify!($case), $case)),*] };
}

const CASES: &[Case] = cases![
    a_login_comes_back,
    a_request_may_end_in_a_newline,
    a_new_password_replaces_the_old_one,
    a_new_user_replaces_the_old_one,
    what_was_erased_is_gone,
    a_get_of_nothing_is_a_miss,
    an_erase_of_nothing_succeeds,
    an_empty_list_is_an_empty_object,
    a_list_names_servers_and_users,
    a_list_passes_over_what_others_left,
    servers_do_not_mix,
    the_hubs_three_entries_do_not_mix,
    a_host_and_its_url_are_one_server,
    a_secret_may_hold_quotes,
    a_secret_may_hold_letters_of_every_script,
    a_secret_may_hold_newlines,
    a_secret_may_end_in_newlines,
    a_secret_may_begin_and_end_in_spaces,
    a_secret_may_hold_a_nul,
    a_secret_may_be_empty,
    a_secret_may_be_as_long_as_a_token,
    a_secret_may_be_longer_than_64_kib,
    a_secret_may_be_a_google_key_file,
    a_username_may_say_that_the_secret_is_a_token,
    a_username_may_be_an_address,
    a_username_may_hold_a_dollar_sign,
    a_username_may_hold_slashes,
    a_username_may_be_longer_than_a_file_name,
    field_names_count_in_any_case,
    unknown_fields_are_passed_over,
    escapes_are_read_as_what_they_stand_for,
    a_store_may_be_pretty_printed,
    what_follows_a_store_is_passed_over,
    a_request_without_a_server_says_so,
    a_store_without_a_username_says_so,
    a_store_that_is_no_json_stores_nothing,
    wrong_arguments_fail_with_a_text,
    a_version_names_the_program,
];

/// That a helper, each time in a new world, breaks these promises and no others.
#[track_caller]
fn breaks_only(start: fn() -> Helper, expected: &[&str]) {
    let broken: Vec<(&str, String)> =
        CASES.iter().filter_map(|(name, case)| Some((*name, case(&start()).err()?))).collect();
    let names: Vec<&str> = broken.iter().map(|(name, _)| *name).collect();
    let surprises = broken.iter().filter(|(name, _)| !expected.contains(name));
    let surprises: Vec<String> = surprises.map(|(name, said)| format!("{name}: {said}")).collect();
    assert_eq!(names, expected, "{}", surprises.join("\n"));
}

/// That a peer is the version whose faults are listed here.
#[track_caller]
fn is_the_measured_version(program: &str) {
    let version = World::new().call(program, &["version"]).run().ok();
    assert_eq!(version, "0.6.4\n", "the faults of another {program} have yet to be listed");
}

#[test]
fn coffer_with_the_age_store_keeps_every_promise() {
    breaks_only(coffer_with_age, &[]);
}

#[test]
fn coffer_with_the_keyring_store_keeps_every_promise() {
    breaks_only(coffer_with_keyring, &[]);
}

#[test]
fn docker_credential_pass_breaks_these_promises() {
    is_the_measured_version("docker-credential-pass");
    let broken = [
        // It keeps a file for each user, and takes the alphabetically first: alice stays.
        "a_new_user_replaces_the_old_one",
        // An empty credential, exit 0 (h#220).
        "a_get_of_nothing_is_a_miss",
        // "… is not in the password store", exit 1: what `docker logout` warns of (h#174).
        "an_erase_of_nothing_succeeds",
        // One empty directory fails the whole list: "no usernames for …" (h#321).
        "a_list_passes_over_what_others_left",
        // The directory is named for whatever the client sent.
        "a_host_and_its_url_are_one_server",
        // It trims what `pass show` prints.
        "a_secret_may_end_in_newlines",
        // bufio.Scanner takes no longer line.
        "a_secret_may_be_longer_than_64_kib",
        // They make directories, and the tree that `pass` draws of these is answered for the secret (h#162).
        "a_username_may_hold_slashes",
        // They are file names.
        "a_username_may_be_longer_than_a_file_name",
        // The bare number, and no options.
        "a_version_names_the_program",
    ];
    breaks_only(pass, &broken);
}

#[test]
fn docker_credential_secretservice_breaks_these_promises() {
    is_the_measured_version("docker-credential-secretservice");
    let broken = [
        // The username is part of what identifies an item. Of two it answers the older: alice stays.
        "a_new_user_replaces_the_old_one",
        // An attribute is compared to whatever the client sent.
        "a_host_and_its_url_are_one_server",
        // It is a C string on its way through libsecret: what follows is cut off.
        "a_secret_may_hold_a_nul",
        // Taken for a miss.
        "a_secret_may_be_empty",
        // bufio.Scanner takes no longer line.
        "a_secret_may_be_longer_than_64_kib",
        // The bare number, and no options.
        "a_version_names_the_program",
    ];
    breaks_only(secretservice, &broken);
}
