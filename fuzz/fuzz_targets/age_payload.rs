//! What stands inside a file that was encrypted to the store's key, as anybody can who knows its public half.

#![no_main]

use std::cell::OnceCell;

use coffer::credential::Login;
use coffer::error::Error;
use coffer::server::ServerKey;
use coffer::store::age_dir::AgeDir;
use coffer::store::{Shelf, Store};
use coffer_fuzz::check_error;
use coffer_fuzz::world::World;
use libfuzzer_sys::fuzz_target;
use secrecy::ExposeSecret;

thread_local! {
    static WORLD: OnceCell<World> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    WORLD.with(|world| {
        let world = world.get_or_init(World::new);
        world.write("store/ghcr.io/alice.age", &world.encrypt(data));
        let settings = world.settings();
        let server: ServerKey = "ghcr.io".parse().unwrap();
        let said = Login::from_json(data);
        match AgeDir::new(&settings, Shelf::Logins).get(&server) {
            Ok(Some(credential)) => {
                let said = said.unwrap();
                assert_eq!(said.server.parse::<ServerKey>().unwrap(), server);
                assert_eq!((credential.username.as_str(), said.username.as_str()), ("alice", "alice"));
                assert_eq!(credential.secret.expose_secret(), said.secret.expose_secret());
            }
            Ok(None) => panic!("a file that is there is no miss"),
            Err(error) => {
                assert!(matches!(error, Error::BadFile { .. }), "{error}");
                check_error(&error);
                let is_ours = said.is_ok_and(|said| said.server == "ghcr.io" && said.username == "alice");
                assert!(!is_ours, "refused: {error}");
            }
        }
    });
});
