//! How properties are tried: the same cases in every run, so that what passes here passes everywhere.

use proptest::test_runner::{Config, RngSeed};

/// This many cases of one fixed sequence. `PROPTEST_RNG_SEED` and `PROPTEST_CASES` in the environment try others.
pub fn cases(count: u32) -> Config {
    let default = Config::default();
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(0xC0FFE2),
        chosen => chosen,
    };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { count };
    Config { cases, rng_seed, failure_persistence: None, ..default }
}
