//! What tests stand on: a world of their own, and the real servers in it.

mod aws;
mod aws_keys;
mod bus;
pub mod clients;
pub mod crowd;
mod dice;
pub mod faults;
mod gnupg;
pub mod history;
pub mod keys;
mod lived_in;
mod machine;
pub mod marker;
mod moto;
mod power;
pub mod properties;
mod registry;
pub mod scripted;
mod server;
pub mod small_disk;
pub mod spelling;
pub mod strace;
mod tame;
mod terminal;
mod world;

pub use aws::{Asked, Aws, Reply};
pub use bus::Bus;
pub use dice::Dice;
pub use gnupg::Pass;
pub use lived_in::{LivedIn, SECRET, held, in_two_threads, lacks_nothing};
pub use machine::{Machine, entry};
pub use moto::Moto;
pub use registry::Registry;
pub use server::{Server, free_port};
pub use terminal::Terminal;
pub use world::{Outcome, World, chmod, login, mode};
