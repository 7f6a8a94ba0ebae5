//! What users see of commands that show something: `explain`, `key show`, the helps.

use std::fs;

use crate::support::keys::{Pinentry, keygen, token};
use crate::support::{Aws, Bus, World, chmod};

const ALL_LOST: &str = "nobody else can read the store, and without the key everything is lost: docker-credential-coffer recipients add \
     --recovery";

/// The public half of the key in a world's store.
fn recipient(world: &World) -> String {
    fs::read_to_string(world.store().join("store/.age-recipients")).unwrap().trim().to_owned()
}

#[track_caller]
fn shows(world: &World, arguments: &[&str], lines: &[&str]) {
    let shown = world.shown(&world.coffer(arguments).run().ok());
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(shown, lines);
}

#[test]
fn explain() {
    let world = World::of_docker_alone();
    world.store_login("ghcr.io", "alice", "x").silent();
    world.config(
        "[[registry]]\nmatch = \"*.pkg.dev\"\nhelper = \"gcloud\"\n\
         [[registry]]\nmatch = \"mirror.internal\"\nanonymous = true\n\
         [[registry]]\nmatch = \"*.dkr.ecr.*\"\nprofile = \"prod\"\nrole-arn = \"arn:aws:iam::1:role/pull\"\n",
    );
    let docker = "docker asks nobody (~/.docker/config.json)";
    let rule = |number: usize| format!("rule {number} of ~/.config/coffer/config.toml decides");
    for (server, key, rule, answer) in [
        ("https://GHCR.io/v2/", "ghcr.io", "no rule matches it", "the store holds a credential for it"),
        ("quay.io", "quay.io", "no rule matches it", "the store holds nothing for it: not found"),
        ("x.pkg.dev", "x.pkg.dev", &rule(1), "docker-credential-gcloud is to answer, and is not on the PATH"),
        ("mirror.internal", "mirror.internal", &rule(2), "it is anonymous: there is no credential"),
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            &rule(3),
            "a token is minted for account 123456789012 in eu-west-1, as AWS profile prod in role arn:aws:iam::1:role/pull",
        ),
        (
            "123456789012.dkr-ecr.us-west-2.on.aws",
            "123456789012.dkr-ecr.us-west-2.on.aws",
            "no rule matches it",
            "a token is minted for account 123456789012 in us-west-2, dual-stack endpoint, as the default AWS credentials",
        ),
        (
            "123456789012.dkr-ecr-fips.us-east-1.on.aws",
            "123456789012.dkr-ecr-fips.us-east-1.on.aws",
            "no rule matches it",
            "a token is minted for account 123456789012 in us-east-1, FIPS dual-stack endpoint, as the default AWS credentials",
        ),
        (
            "public.ecr.aws",
            "public.ecr.aws",
            "no rule matches it",
            "a token is minted for ECR Public, as the default AWS credentials",
        ),
    ] {
        shows(&world, &["explain", server], &[&format!("{server} is looked up as {key}"), rule, answer, docker]);
    }
    world.script("docker-credential-gcloud", "exit 1");
    let lines = ["x.pkg.dev is looked up as x.pkg.dev", &rule(1), "docker-credential-gcloud answers", docker];
    shows(&world, &["explain", "x.pkg.dev"], &lines);
    world.config("store = \"keyring\"\n");
    let cannot_tell = "the store cannot tell whether it holds anything for it";
    let lines = ["ghcr.io is looked up as ghcr.io", "no rule matches it", cannot_tell, docker];
    shows(&world, &["explain", "ghcr.io"], &lines);
}

#[test]
fn explain_of_a_token_that_is_kept() {
    let mut world = World::new();
    let _aws = Aws::start(&mut world);
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    world.get(host).ok();
    let said = world.coffer(&["explain", host]).run().ok();
    let minted = said.lines().nth(2).unwrap();
    let (words, moment) = minted.rsplit_once(' ').unwrap();
    assert_eq!(
        words,
        "a token is minted for account 123456789012 in eu-west-1, as the default AWS credentials; one is kept that is \
         valid until"
    );
    assert!(moment.parse::<jiff::Timestamp>().is_ok(), "{said}");
    let asked = world.coffer(&["get"]).env("COFFER_LOG", "debug").env("AWS_ECR_DISABLE_CACHE", "1").input(host).run();
    assert!(asked.stderr.contains(&format!("\ncoffer: minting for {host} in eu-west-1\n")), "{asked:#?}");
}

#[test]
fn key_show() {
    let key = |kind: &str| format!("the key is in ~/.local/share/coffer/identities, {kind}");
    let mut world = World::new();
    Pinentry::install(&world, &[]);
    world.store_login("ghcr.io", "alice", "x").silent();
    let own = format!("its recipient is {}", recipient(&world));
    let plain = [
        "with the disk alone, an attacker opens everything, since the key lies there too, unless the disk itself is encrypted",
        "in your session, an attacker opens everything, at any time",
    ];
    shows(&world, &["key", "show"], &[&key("a plain file"), &own, ALL_LOST, plain[0], plain[1]]);
    let (identity, friend) = keygen(&world, "friend.txt");
    world.coffer(&["recipients", "add", &friend]).run().ok();
    shows(&world, &["key", "show"], &[&key("a plain file"), &own, "1 other can read the store", plain[0], plain[1]]);
    let (_, another) = keygen(&world, "another.txt");
    world.coffer(&["recipients", "add", &another]).run().ok();
    shows(&world, &["key", "show"], &[&key("a plain file"), &own, "2 others can read the store", plain[0], plain[1]]);
    for recipient in [friend, another] {
        world.coffer(&["recipients", "remove", &recipient]).run().ok();
    }
    world.set("COFFER_IDENTITY_FILE", identity.to_str().unwrap());
    let elsewhere = "the key is in ~/friend.txt, a plain file, which COFFER_IDENTITY_FILE names";
    let stranger = "it is not among those who can read the store";
    shows(&world, &["key", "show"], &[elsewhere, stranger, plain[0], plain[1]]);
    world.unset("COFFER_IDENTITY_FILE");

    world.coffer(&["key", "protect", "--passphrase"]).input("open sesame\n").run().ok();
    let marker = world.store().join("rekeying");
    fs::write(&marker, "").unwrap();
    chmod(&marker, 0o600);
    shows(
        &world,
        &["key", "show"],
        &[
            &key("sealed with a passphrase"),
            "it is not unlocked",
            "its recipient shows only when it is open; 1 can read the store",
            "with the disk alone, an attacker sees names of registries and users, and can try passphrases, a second and \
             256 MiB each",
            "in your session, an attacker opens everything while the key is unlocked, and can watch you type the passphrase",
            "a change of the key or of the recipients was interrupted; call that command again",
        ],
    );
    fs::remove_file(marker).unwrap();

    let _bus = Bus::with_keyring(&mut world);
    world.coffer(&["key", "protect", "--keyring"]).input("open sesame\n").run().ok();
    shows(
        &world,
        &["key", "show"],
        &[
            "the key is in the OS keyring",
            &own,
            ALL_LOST,
            "with the disk alone, an attacker sees names of registries and users, and must break the password of the OS \
             keyring",
            "in your session, an attacker opens everything while the OS keyring is unlocked, on most desktops from login \
             to logout",
        ],
    );
    let mine = token(&world, "mine");
    world.coffer(&["key", "protect", "--plugin", mine.to_str().unwrap()]).run().ok();
    shows(
        &world,
        &["key", "show"],
        &[
            "the key is held by age-plugin-token, as ~/.local/share/coffer/identities says",
            &format!("its recipient is {}", recipient(&world)),
            ALL_LOST,
            "with the disk alone, an attacker sees names of registries and users, and opens nothing without the token",
            "in your session, an attacker opens what the token lets through: one credential a touch, or everything where \
             it asks for none",
        ],
    );
}

#[test]
fn spans_of_time() {
    let world = World::new();
    for (time, why) in [("8761h", "longer than a year"), ("8 hours", "not a span of time such as 30m or 8h")] {
        let refused = world.coffer(&["unlock", "--for", time]).run();
        let expected =
            format!("error: invalid value '{time}' for '--for <TIME>': {why}\n\nFor more information, try '--help'.\n");
        assert_eq!((refused.code, refused.stderr), (Some(2), expected));
    }
}

/// What stands below the options, where somebody looks for how to begin.
#[test]
fn ends_of_the_helps() {
    let world = World::new();
    for (command, end) in [
        (
            &[][..],
            "Begin with:\n  \
             docker-credential-coffer setup\n  \
             docker login registry.example.com\n  \
             docker-credential-coffer explain registry.example.com\n\n\
             Clients call it with one of: get, store, erase, list, version.\n\
             Configuration: ~/.config/coffer/config.toml.\n\
             COFFER_LOG=debug shows which way a request goes.\n",
        ),
        (
            &["setup"],
            "What it would do is shown first. Safe to run again: a second run finds everything done.\n\n\
             Examples:\n  \
             docker-credential-coffer setup\n  \
             docker-credential-coffer setup --yes --key passphrase\n  \
             docker-credential-coffer setup --store keyring --no-migrate\n",
        ),
        (
            &["audit"],
            "Examples:\n  \
             docker-credential-coffer audit\n  \
             docker-credential-coffer audit ~/.docker/config.json /root/.docker/config.json\n  \
             docker-credential-coffer audit --json | jq -r '.findings[].file'\n",
        ),
        (
            &["explain"],
            "Examples:\n  \
             docker-credential-coffer explain ghcr.io\n  \
             docker-credential-coffer explain 123456789012.dkr.ecr.eu-west-1.amazonaws.com\n",
        ),
        (
            &["doctor"],
            "Examples:\n  \
             docker-credential-coffer doctor\n  \
             docker-credential-coffer doctor --json | jq '.checks[] | select(.ok | not)'\n",
        ),
        (
            &["unlock"],
            "Examples:\n  \
             docker-credential-coffer unlock\n  \
             docker-credential-coffer unlock --for 30m\n",
        ),
        (
            &["mfa"],
            "Examples:\n  \
             docker-credential-coffer mfa\n  \
             docker-credential-coffer mfa 123456789012.dkr.ecr.eu-west-1.amazonaws.com\n",
        ),
        (
            &["key", "protect"],
            "Examples:\n  \
             docker-credential-coffer key protect --passphrase\n  \
             docker-credential-coffer key protect --keyring\n  \
             docker-credential-coffer key protect --plugin age-yubikey-identity.txt\n",
        ),
        (
            &["recipients", "add"],
            "Examples:\n  \
             docker-credential-coffer recipients add \"$(age-keygen -y key.txt)\"\n  \
             docker-credential-coffer recipients add --recovery\n",
        ),
        (
            &["migrate"],
            "Every login is read back from the store before a file is changed, and an encrypted backup of each file is kept.\n\n\
             Examples:\n  \
             docker-credential-coffer migrate --dry-run\n  \
             docker-credential-coffer migrate --from pass\n  \
             docker-credential-coffer migrate --undo ~/.docker/config.json\n",
        ),
        (
            &["export"],
            "Examples:\n  \
             docker-credential-coffer export --format password ghcr.io |\n      \
             docker login -u alice --password-stdin ghcr.io\n  \
             docker-credential-coffer export --format header ghcr.io |\n      \
             curl -H @- https://ghcr.io/v2/\n  \
             docker-credential-coffer export --format kubernetes --name pull ghcr.io |\n      \
             kubectl apply -f -\n  \
             docker-credential-coffer export --format ecs-docker ghcr.io |\n      \
             sudo sh -c 'f=/etc/ecs/ecs.config; touch $f; chmod 600 $f; cat >> $f'\n",
        ),
        (
            &["kubelet"],
            "The kubelet's CredentialProviderConfig names this program, with args: [\"kubelet\"]; see docs/clients.md.\n",
        ),
        (
            &["completions"],
            "Examples:\n  \
             docker-credential-coffer completions bash \\\n      \
             > ~/.local/share/bash-completion/completions/docker-credential-coffer\n  \
             docker-credential-coffer completions zsh \\\n      \
             > \"${fpath[1]}/_docker-credential-coffer\"\n  \
             docker-credential-coffer completions fish \\\n      \
             > ~/.config/fish/completions/docker-credential-coffer.fish\n",
        ),
        (&["man"], "Examples:\n  docker-credential-coffer man | man -l -\n"),
    ] {
        let help = |columns: &str| world.coffer(&[command, &["--help"]].concat()).env("COLUMNS", columns).run().ok();
        let whole = help("200");
        assert!(whole.ends_with(&format!("\n\n{end}")), "{whole}");
        // What is to be copied is not broken by a narrow terminal.
        let narrow = help("80");
        let examples = end.lines().filter(|line| line.starts_with("  "));
        examples
            .for_each(|example| assert!(narrow.lines().any(|line| line == example), "{example} is not in {narrow}"));
    }
}
