//! The AWS config files and the CLI's SSO sessions, as far as they are read here.

#![no_main]

use std::cell::OnceCell;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_config::profile::ProfileSet;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::{Env, Fs};
use coffer::fuzzing::{profiles, standing};
use coffer_fuzz::check_message;
use coffer_fuzz::world::World;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static WORLD: OnceCell<World> = const { OnceCell::new() };
}

fuzz_target!(|text: &str| {
    // A session of the CLI's may follow the configuration, behind a line of its own.
    let (config, session) = text.split_once("\n---\n").unwrap_or((text, ""));
    let Some(profiles) = load(config) else { return };
    let names: Vec<String> = profiles.profiles().map(str::to_owned).collect();
    WORLD.with(|world| {
        let world = world.get_or_init(World::new);
        world.write("sso/session.json", session.as_bytes());
        for name in names.iter().map(String::as_str).chain(["default", "nobody"]) {
            check(&profiles, name, &world.path("sso"));
        }
    });
});

fn check(profiles: &ProfileSet, name: &str, cache: &Path) {
    let chain = profiles::chain(profiles, name);
    assert!(chain.len() <= profiles.profiles().count());
    assert_eq!(chain.first().map(|profile| profile.name()), profiles.get_profile(name).map(|profile| profile.name()));
    if let Err(problem) = profiles::check(profiles, name) {
        // The name of a profile is no secret, whatever it is.
        let named = chain.iter().filter_map(|profile| profile.get("source_profile")).chain([name]);
        let is_name = named.into_iter().any(|name| name.contains(coffer_fuzz::SECRET));
        assert!(is_name || !problem.what.contains(coffer_fuzz::SECRET), "{}", problem.what);
        check_message(&problem.cure);
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let _ = standing(profiles, name, cache, now);
}

/// What the SDK makes of a text.
fn load(config: &str) -> Option<ProfileSet> {
    let files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, config).build();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let env = Env::from_slice(&[]);
    runtime.block_on(aws_config::profile::load(&Fs::from_slice(&[]), &env, &files, None)).ok()
}
