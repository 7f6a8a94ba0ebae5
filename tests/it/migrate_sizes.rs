//! `migrate` on files of sizes and with names that no client writes: nothing is lost, nothing hangs.

use std::collections::BTreeMap;
use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{World, held};

fn auth(username: &str, secret: &str) -> Value {
    json!({ "auth": STANDARD.encode(format!("{username}:{secret}")) })
}

#[test]
fn fifty_megabytes_are_migrated_and_more_than_64_mib_left() {
    let entry = r#""a.example":{"auth":"dTpw"}"#;
    let unknown: Vec<String> = (0..300_000).map(|number| format!("\"unknown-{number}\":\"{number:030}\"")).collect();
    let markers: Vec<String> = (0..200_000).map(|number| format!("\"m{number}.example\":{{}}")).collect();
    let giant = "x".repeat(31 << 20);
    let text = format!("{{\"auths\":{{{entry},{}}},{},\"giant\":\"{giant}\"}}", markers.join(","), unknown.join(","));
    assert!(text.len() > 50_000_000);
    let world = World::new();
    let path = world.write(".docker/config.json", &text);
    world.coffer(&["migrate", "--yes"]).run().ok();
    world.get("a.example").answers("a.example", "u", "p");
    let after = fs::read_to_string(&path).unwrap();
    assert!(!after.contains("dTpw") && after.contains(&giant) && after.contains("\"m199999.example\": {}"));
    let world = World::new();
    let text = format!("{{\"auths\":{{{entry}}},\"giant\":\"{}\"}}", "x".repeat(64 << 20));
    let path = world.write(".docker/config.json", &text);
    let outcome = world.coffer(&["migrate", "--yes"]).run();
    assert!(outcome.code == Some(1) && outcome.stdout.contains("is longer than 67108864 bytes"), "{outcome:#?}");
    assert!(fs::read(&path).unwrap() == text.as_bytes());
}

#[test]
fn secrets_of_every_kind_are_kept_as_they_are() {
    let world = World::new();
    let long = "x".repeat(1 << 20);
    let secrets = BTreeMap::from([
        ("long.example", long.as_str()),
        ("nul.example", "a\0b"),
        ("quotes.example", "\"'\\`$"),
        ("lines.example", "a\r\nb\n"),
        ("wide.example", "🔑\u{2028}é"),
        ("colons.example", ":a:b:"),
        ("spaces.example", "  a  "),
        ("empty.example", ""),
    ]);
    let auths: BTreeMap<_, _> = secrets.iter().map(|(server, secret)| (*server, auth("u", secret))).collect();
    world.write(".docker/config.json", &json!({ "auths": auths }).to_string());
    world.coffer(&["migrate", "--yes"]).run().ok();
    for (server, secret) in secrets {
        world.get(server).answers(server, "u", secret);
    }
}

#[test]
fn a_text_in_json_escapes_is_read_and_a_lone_surrogate_is_told() {
    let world = World::new();
    let path = world.write(".docker/config.json", r#"{"auths":{"a.example":{"identitytoken":"\ud83d\udd11 \u0000"}}}"#);
    world.coffer(&["migrate", "--yes"]).run().ok();
    world.get("a.example").answers("a.example", "<token>", "🔑 \0");
    let lone = r#"{"auths":{"a.example":{"identitytoken":"MARK \ud83d"}}}"#;
    fs::write(&path, lone).unwrap();
    let outcome = world.coffer(&["migrate", "--yes"]).run();
    assert!(outcome.code == Some(1) && outcome.stdout.contains("is not JSON at line 1 column"), "{outcome:#?}");
    assert!(!outcome.said().contains("MARK"));
    assert_eq!(fs::read_to_string(&path).unwrap(), lone);
}

#[test]
fn names_that_cannot_be_a_servers_or_a_users_are_left_and_told() {
    let long = format!("{}.example", "x".repeat(3000));
    let names = [
        "user@host.example",
        "a%2eb.example",
        "a\\b.example",
        "a\u{7}b.example",
        long.as_str(),
        "",
        " ",
        "*.example",
        "a.example//",
    ];
    let world = World::new();
    let mut auths: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).into(), auth("u", "MARK-OF-A-SECRET"))).collect();
    auths.insert("control.example".into(), auth("a\u{1b}[2Jb", "MARK-OF-A-SECRET"));
    auths.insert("good.example".into(), auth(&"u".repeat(10_000), "MARK-OF-A-SECRET"));
    let path = world.write(".docker/config.json", &json!({ "auths": auths }).to_string());
    for arguments in [&["migrate", "--dry-run"][..], &["audit"], &["audit", "--json"], &["migrate", "--yes"]] {
        let outcome = world.coffer(arguments).run();
        assert!(!outcome.said().contains("MARK-OF-A-SECRET") && !outcome.said().contains('\u{7}'), "{outcome:#?}");
        assert!(!outcome.said().contains('\u{1b}'), "{outcome:#?}");
    }
    let after: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for name in names.iter().chain(&["control.example"]) {
        assert_eq!(after["auths"][*name], auths[*name], "{name:?}");
    }
    world.get("good.example").answers("good.example", &"u".repeat(10_000), "MARK-OF-A-SECRET");
}

#[test]
fn a_secret_that_is_too_long_stays_and_does_not_stop_the_others() {
    let world = World::new();
    let auths =
        json!({ "auths": { "big.example": auth("u", &"x".repeat((1 << 20) + 1)), "a.example": auth("u", "p") } });
    let path = world.write(".docker/config.json", &auths.to_string());
    let outcome = world.coffer(&["migrate", "--yes"]).run();
    world.get("a.example").answers("a.example", "u", "p");
    let after: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(after["auths"]["big.example"], auths["auths"]["big.example"]);
    assert_eq!(after["auths"]["a.example"], json!({}), "{outcome:#?}");
}

/// Spellings of one server: its own name wins, then its URL, and `http` is another.
#[test]
fn one_server_in_many_spellings_is_one_login() {
    let world = World::new();
    let spellings = [
        "https://A.example",
        "a.example",
        "https://a.example:443/v2/",
        "A.EXAMPLE.",
        "http://a.example",
        "a.example:443",
    ];
    let auths: serde_json::Map<String, Value> =
        spellings.iter().map(|name| ((*name).into(), auth(&format!("of {name}").replace(':', "-"), "p"))).collect();
    let path = world.write(".docker/config.json", &json!({ "auths": auths }).to_string());
    let outcome = world.coffer(&["migrate", "--yes"]).run();
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let held = held(&world.store());
    assert_eq!(held["a.example"].0, "of a.example");
    assert_eq!(held["http://a.example"].0, "of http-//a.example");
    assert_eq!(held.len(), 2, "{held:?}");
    let after: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for spelling in spellings {
        assert_eq!(after["auths"][spelling], json!({}), "{spelling}");
    }
    assert_eq!(outcome.stdout.matches("given up for the login of of a.example").count(), 4, "{outcome:#?}");
}
