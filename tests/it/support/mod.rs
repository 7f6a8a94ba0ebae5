//! What tests stand on: a world of their own, and the real servers in it.

mod aws;
mod aws_keys;
mod bus;
mod lived_in;
mod moto;
mod registry;
mod server;
mod world;

pub use aws::{Asked, Aws, Reply};
pub use bus::Bus;
pub use lived_in::{LivedIn, SECRET, held, in_two_threads, lacks_nothing};
pub use moto::Moto;
pub use registry::Registry;
pub use server::{Server, free_port};
pub use world::{Outcome, World, chmod, login, mode};
