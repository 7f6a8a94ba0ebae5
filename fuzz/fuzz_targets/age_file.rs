//! A file in a credential's place, whoever wrote it.

#![no_main]

use std::cell::OnceCell;

use coffer::error::Error;
use coffer::server::ServerKey;
use coffer::store::age_dir::AgeDir;
use coffer::store::{Shelf, Store};
use coffer_fuzz::check_error;
use coffer_fuzz::world::World;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static WORLD: OnceCell<World> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    WORLD.with(|world| {
        let world = world.get_or_init(World::new);
        world.write("store/ghcr.io/alice.age", data);
        let settings = world.settings();
        let server: ServerKey = "ghcr.io".parse().unwrap();
        match AgeDir::new(&settings, Shelf::Logins).get(&server) {
            Ok(Some(credential)) => assert_eq!(credential.username, "alice"),
            Ok(None) => panic!("a file that is there is no miss"),
            Err(error) => {
                assert!(matches!(error, Error::BadFile { .. } | Error::WrongKey { .. }), "{error}");
                check_error(&error);
            }
        }
    });
});
